"""ProDA's stage 3, GTA to Cityscapes, DeepLabV2-R101, seed 0.

From stage 2 (load_from), which is the teacher too, and its labels.

Command:  python run_experiments.py --config configs/proda/gta2cs_proda_stage3_dlv2_r101_s0.py
Score:    published: 57.5 mIoU (authors and table of the HRDA repository). Not measured here.
Cost:     62412 iterations of batch 4 on one GPU; the authors had four. Not measured here.
"""
_base_ = ['gta2cs_proda_stage2_dlv2_r101_s0.py']

load_from = 'pretrained/gta2cs_proda_stage2_dlv2_r101.pth'
data = dict(train=dict(target=dict(pseudo_labels='data/pseudo_labels/gta2cs_proda_stage2_dlv2_r101')))
uda = dict(teacher=None, teacher_from=None)

name = 'gta2cs_proda_stage3_dlv2_r101_s0'
exp = 'basic'
