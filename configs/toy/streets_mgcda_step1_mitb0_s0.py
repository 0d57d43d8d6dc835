"""MGCDA's first step on the synthetic streets: stylised clear ones, and clear pictures of the adverse places.

The streets need these: tools/make_synthetic_streets.py … --references. The chain: docs/methods/mgcda.md.

Command:  python run_experiments.py --config configs/toy/streets_mgcda_step1_mitb0_s0.py --options
          data.train.source.translated=DIR data.train.target.pseudo_labels=DIR
Score:    not measured yet.
Cost:     800 iterations of batch 2 at 128x128; minutes on two CPU cores.
"""
_base_ = [
    '../_base_/toy_runtime.py',
    '../_base_/models/daformer_sepaspp_mitb0_narrow.py',
    '../_base_/datasets/uda_streets_256x128.py',
    '../_base_/uda/mgcda.py',
    '../_base_/schedules/adamw_toy.py',
    '../_base_/schedules/poly10warm_toy.py',
]

data = dict(
    samples_per_gpu=2,
    workers_per_gpu=2,
    train=dict(target=dict(references=True)))

optimizer_config = None

name = 'streets_mgcda_step1_mitb0_s0'
exp = 'basic'
