"""FDA with pseudo-labels, Cityscapes to ACDC, DAFormer's network, seed 0.

Labels of three networks together, of tools/make_pseudo_labels.py --rule fda, and the first weights again:
see docs/methods/fda.md.

Command:  python run_experiments.py --config configs/fda/cs2acdc_fda_ssl_daformer_mitb5_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     40k iterations of batch 2 on one GPU. Not measured here.
"""
_base_ = ['cs2acdc_fda_daformer_mitb5_s0.py']

data = dict(train=dict(target=dict(pseudo_labels='data/pseudo_labels/cs2acdc_fda_daformer_mitb5')))

name = 'cs2acdc_fda_ssl_daformer_mitb5_s0'
exp = 'basic'
