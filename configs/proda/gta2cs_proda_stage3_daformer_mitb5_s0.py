"""ProDA's stage 3, GTA to Cityscapes, DAFormer's network, seed 0.

From stage 2 (load_from), which is the teacher too, and its labels.

Command:  python run_experiments.py --config configs/proda/gta2cs_proda_stage3_daformer_mitb5_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     40k iterations of batch 2 on one GPU. Not measured here.
"""
_base_ = ['gta2cs_proda_stage2_daformer_mitb5_s0.py']

load_from = 'pretrained/gta2cs_proda_stage2_daformer_mitb5.pth'
data = dict(train=dict(target=dict(pseudo_labels='data/pseudo_labels/gta2cs_proda_stage2_daformer_mitb5')))
uda = dict(teacher=None, teacher_from=None)

name = 'gta2cs_proda_stage3_daformer_mitb5_s0'
exp = 'basic'
