"""FDA with pseudo-labels, Cityscapes to ACDC, DeepLabV2-R101, seed 0.

Labels of three networks together, of tools/make_pseudo_labels.py --rule fda, and the first weights again:
see docs/methods/fda.md.

Command:  python run_experiments.py --config configs/fda/cs2acdc_fda_ssl_dlv2_r101_s0.py
Score:    published: 45.7 mIoU on ACDC test (table of the HRDA repository). Not measured here.
Cost:     100k iterations of batch 1 on one GPU. Not measured here.
"""
_base_ = ['cs2acdc_fda_dlv2_r101_s0.py']

data = dict(train=dict(target=dict(pseudo_labels='data/pseudo_labels/cs2acdc_fda_dlv2_r101')))

name = 'cs2acdc_fda_ssl_dlv2_r101_s0'
exp = 'basic'
