"""FDA of beta 0.01, GTA to Cityscapes, DeepLabV2-R101, seed 0.

One of three networks; the others are made with --options uda.beta=0.05 and uda.beta=0.09.

Command:  python run_experiments.py --config configs/fda/gta2cs_fda_dlv2_r101_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     100k iterations of batch 1 on one GPU. Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/deeplabv2_r101.py',
    '../_base_/datasets/uda_gta_to_cityscapes_fda.py',
    '../_base_/uda/fda.py',
    '../_base_/schedules/sgd_dlv2.py',
    '../_base_/schedules/poly09_over_150k.py',
]

seed = 0
data = dict(samples_per_gpu=1, workers_per_gpu=4)
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=100000)
checkpoint_config = dict(by_epoch=False, interval=100000, max_keep_ckpts=1)
evaluation = dict(interval=5000, metric='mIoU')

name = 'gta2cs_fda_dlv2_r101_s0'
exp = 'basic'
