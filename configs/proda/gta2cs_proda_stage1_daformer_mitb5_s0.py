"""ProDA's stage 1, GTA to Cityscapes, DAFormer's network, seed 0.

It starts from the warm-up (load_from).
Data and budget are DAFormer's: crops of 512x512, 40k iterations of batch 2, the last checkpoint.

Command:  python run_experiments.py --config configs/proda/gta2cs_proda_stage1_daformer_mitb5_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     40k iterations of batch 2 on one GPU. Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/daformer_sepaspp_mitb5.py',
    '../_base_/datasets/uda_gta_to_cityscapes_512x512.py',
    '../_base_/uda/proda_stage1.py',
    '../_base_/schedules/adamw_mit.py',
    '../_base_/schedules/poly10warm.py',
]

seed = 0
data = dict(samples_per_gpu=2, workers_per_gpu=4, train=dict(target=dict(full_images=True)))
optimizer_config = None
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=40000)
checkpoint_config = dict(by_epoch=False, interval=40000, max_keep_ckpts=1)
evaluation = dict(interval=4000, metric='mIoU')
load_from = 'pretrained/gta2cs_proda_warmup_daformer_mitb5.pth'

name = 'gta2cs_proda_stage1_daformer_mitb5_s0'
exp = 'basic'
