"""EBDA, Cityscapes to ACDC, seed 0, at DAFormer's budget: 40k iterations of batch 2.

Differs from DAFormer's config by the entropy balance alone, so the two compare fairly. No
checkpoint is chosen on target labels: the last one is the result.

Command:  python run_experiments.py --config configs/ebda/cs2acdc_ebda_daformer_mitb5_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     40k iterations of batch 2 on one GPU. Not measured here.
"""
_base_ = [
    '../daformer/cs2acdc_uda_warm_fdthings_rcs_croppl_a999_daformer_mitb5_s0.py',
    '../_base_/uda/entropy_balance.py',
]

uda = dict(entropy_balance={{_base_._entropy_balance}})

name = 'cs2acdc_ebda_daformer_mitb5_s0'
name_uda = 'dacs_a999_fdthings_rcs0.01_cpl_eb0.4x0.1'
