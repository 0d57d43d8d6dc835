"""BDL with pseudo-labels, GTA to Cityscapes, DeepLabV2-R101, seed 0.

Labels of the round before, of tools/make_pseudo_labels.py --rule bdl, and the first weights again: see
docs/methods/bdl.md.

Command:  python run_experiments.py --config configs/bdl/gta2cs_bdl_ssl_dlv2_r101_s0.py
Score:    published: 48.5 mIoU (table of the HRDA repository). Not measured here.
Cost:     120k iterations of batch 1 on one GPU. Not measured here.
"""
_base_ = ['gta2cs_bdl_dlv2_r101_s0.py']

data = dict(train=dict(target=dict(pseudo_labels='data/pseudo_labels/gta2cs_bdl_dlv2_r101')))
runner = dict(max_iters=120000)
checkpoint_config = dict(interval=120000)

name = 'gta2cs_bdl_ssl_dlv2_r101_s0'
exp = 'basic'
