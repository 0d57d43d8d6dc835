"""DACS, GTA to Cityscapes, DeepLabV2-R101, seed 0.

Command:  python run_experiments.py --config configs/dacs/gta2cs_dacs_dlv2_r101_s0.py
Score:    published: 52.1 mIoU on labels of 1024x512 (best 53.66, last 53.04). Not measured here.
Cost:     250k iterations of batch 2 on one GPU. Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/deeplabv2_r101_dacs.py',
    '../_base_/datasets/uda_gta_to_cityscapes_dacs.py',
    '../_base_/uda/dacs_original.py',
    '../_base_/schedules/sgd_dlv2.py',
    '../_base_/schedules/poly09.py',
]

seed = 0
data = dict(samples_per_gpu=2, workers_per_gpu=4)
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=250000)
checkpoint_config = dict(by_epoch=False, interval=250000, max_keep_ckpts=1)
evaluation = dict(interval=5000, metric='mIoU')

name = 'gta2cs_dacs_dlv2_r101_s0'
exp = 'basic'
