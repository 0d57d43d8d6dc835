"""MGCDA's second step on the synthetic streets: stylised clear ones, and adverse ones with corrected labels.

The chain: docs/methods/mgcda.md.

Command:  python run_experiments.py --config configs/toy/streets_mgcda_step2_mitb0_s0.py --options
          data.train.source.translated=DIR data.train.target.pseudo_labels=DIR load_from=CHECKPOINT
Score:    not measured yet.
Cost:     800 iterations of batch 2 at 128x128; minutes on two CPU cores.
"""
_base_ = ['streets_mgcda_step1_mitb0_s0.py']

data = dict(train=dict(target=dict(references=False)))

name = 'streets_mgcda_step2_mitb0_s0'
