"""BDL with pseudo-labels, Cityscapes to ACDC, DeepLabV2-R101, seed 0.

Labels of the round before, of tools/make_pseudo_labels.py --rule bdl, and the first weights again: see
docs/methods/bdl.md.

Command:  python run_experiments.py --config configs/bdl/cs2acdc_bdl_ssl_dlv2_r101_s0.py
Score:    published: 37.7 mIoU on ACDC test (table of the HRDA repository). Not measured here.
Cost:     120k iterations of batch 1 on one GPU. Not measured here.
"""
_base_ = ['cs2acdc_bdl_dlv2_r101_s0.py']

data = dict(train=dict(target=dict(pseudo_labels='data/pseudo_labels/cs2acdc_bdl_dlv2_r101')))
runner = dict(max_iters=120000)
checkpoint_config = dict(interval=120000)

name = 'cs2acdc_bdl_ssl_dlv2_r101_s0'
exp = 'basic'
