"""DACS, Cityscapes to ACDC, DeepLabV2-R101, seed 0.

The settings are the authors' for GTA; the size of ACDC is ours.

Command:  python run_experiments.py --config configs/dacs/cs2acdc_dacs_dlv2_r101_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     250k iterations of batch 2 on one GPU. Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/deeplabv2_r101_dacs.py',
    '../_base_/datasets/uda_cityscapes_to_acdc_dacs.py',
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

name = 'cs2acdc_dacs_dlv2_r101_s0'
exp = 'basic'
