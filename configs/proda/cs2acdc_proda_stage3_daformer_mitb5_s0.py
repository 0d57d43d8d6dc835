"""ProDA's stage 3, Cityscapes to ACDC, DAFormer's network, seed 0.

From stage 2 (load_from), which is the teacher too, and its labels.

Command:  python run_experiments.py --config configs/proda/cs2acdc_proda_stage3_daformer_mitb5_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     40k iterations of batch 2 on one GPU. Not measured here.
"""
_base_ = ['cs2acdc_proda_stage2_daformer_mitb5_s0.py']

load_from = 'pretrained/cs2acdc_proda_stage2_daformer_mitb5.pth'
data = dict(train=dict(target=dict(pseudo_labels='data/pseudo_labels/cs2acdc_proda_stage2_daformer_mitb5')))
uda = dict(teacher=None, teacher_from=None)

name = 'cs2acdc_proda_stage3_daformer_mitb5_s0'
exp = 'basic'
