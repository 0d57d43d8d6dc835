"""BDL with pseudo-labels, GTA to Cityscapes, DAFormer's network, seed 0.

Labels of the round before, of tools/make_pseudo_labels.py --rule bdl, and the first weights again: see
docs/methods/bdl.md.

Command:  python run_experiments.py --config configs/bdl/gta2cs_bdl_ssl_daformer_mitb5_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     40k iterations of batch 2 on one GPU. Not measured here.
"""
_base_ = ['gta2cs_bdl_daformer_mitb5_s0.py']

data = dict(train=dict(target=dict(pseudo_labels='data/pseudo_labels/gta2cs_bdl_daformer_mitb5')))

name = 'gta2cs_bdl_ssl_daformer_mitb5_s0'
exp = 'basic'
