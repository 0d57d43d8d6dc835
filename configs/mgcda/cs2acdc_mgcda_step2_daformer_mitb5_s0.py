"""MGCDA's second step: stylised Cityscapes, and ACDC with corrected labels.

DAFormer's network, seed 0. The folders are made by the programs of docs/methods/mgcda.md.

Command:  python run_experiments.py --config configs/mgcda/cs2acdc_mgcda_step2_daformer_mitb5_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     40k iterations of batch 2, one GPU. Not measured here.
"""
_base_ = ['cs2acdc_mgcda_step1_daformer_mitb5_s0.py']

data = dict(
    train=dict(
        target=dict(references=False, pseudo_labels='data/pseudo_labels/cs2acdc_mgcda_step2_daformer_mitb5')))
load_from = 'pretrained/cs2acdc_mgcda_step1_daformer_mitb5.pth'

name = 'cs2acdc_mgcda_step2_daformer_mitb5_s0'
exp = 'basic'
