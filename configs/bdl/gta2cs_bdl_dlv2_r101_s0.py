"""BDL without pseudo-labels, GTA to Cityscapes, DeepLabV2-R101, seed 0.

The source images are to be translated beforehand: data.train.source.translated, docs/methods/bdl.md.

Command:  python run_experiments.py --config configs/bdl/gta2cs_bdl_dlv2_r101_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     80k iterations of batch 1 on one GPU. Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/deeplabv2_r101.py',
    '../_base_/datasets/uda_gta_to_cityscapes_advent.py',
    '../_base_/uda/bdl.py',
    '../_base_/schedules/sgd_adam_dlv2.py',
    '../_base_/schedules/poly09_over_250k.py',
]

seed = 0
data = dict(samples_per_gpu=1, workers_per_gpu=4)
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=80000)
checkpoint_config = dict(by_epoch=False, interval=80000, max_keep_ckpts=1)
evaluation = dict(interval=4000, metric='mIoU')

name = 'gta2cs_bdl_dlv2_r101_s0'
exp = 'basic'
