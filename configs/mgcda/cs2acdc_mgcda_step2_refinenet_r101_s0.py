"""MGCDA's second step: stylised Cityscapes, and ACDC with corrected labels.

RefineNet-R101, seed 0. The folders are made by the programs of docs/methods/mgcda.md.

Command:  python run_experiments.py --config configs/mgcda/cs2acdc_mgcda_step2_refinenet_r101_s0.py
Score:    published: 48.7 mIoU on ACDC test (table of the HRDA repository). Not measured here.
Cost:     30k iterations of a source and a target image (10 epochs of the source), one GPU. Not measured here.
"""
_base_ = ['cs2acdc_mgcda_step1_refinenet_r101_s0.py']

data = dict(
    train=dict(
        target=dict(references=False, pseudo_labels='data/pseudo_labels/cs2acdc_mgcda_step2_refinenet_r101')))
load_from = 'pretrained/cs2acdc_mgcda_step1_refinenet_r101.pth'

name = 'cs2acdc_mgcda_step2_refinenet_r101_s0'
exp = 'basic'
