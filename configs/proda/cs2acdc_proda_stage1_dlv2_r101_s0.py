"""ProDA's stage 1, Cityscapes to ACDC, DeepLabV2-R101, seed 0.

It starts from the warm-up (load_from). 62412 steps are 84 epochs of the 2975 images of Cityscapes.
The settings are the authors' for GTA; the size of ACDC is ours.

Command:  python run_experiments.py --config configs/proda/cs2acdc_proda_stage1_dlv2_r101_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     62412 iterations of batch 4 on one GPU; the authors had four. Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/deeplabv2_r101_proda.py',
    '../_base_/datasets/uda_cityscapes_to_acdc_proda.py',
    '../_base_/uda/proda_stage1.py',
    '../_base_/schedules/sgd_proda_stage1.py',
    '../_base_/schedules/poly09_over_90k.py',
]

seed = 0
data = dict(samples_per_gpu=4, workers_per_gpu=4, train=dict(target=dict(full_images=True)))
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=62412)
checkpoint_config = dict(by_epoch=False, interval=62412, max_keep_ckpts=1)
evaluation = dict(interval=5000, metric='mIoU')
load_from = 'pretrained/cs2acdc_proda_warmup_dlv2_r101.pth'

name = 'cs2acdc_proda_stage1_dlv2_r101_s0'
exp = 'basic'
