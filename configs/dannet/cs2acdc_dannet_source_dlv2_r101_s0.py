"""The network that DANNet starts from, Cityscapes alone, DeepLabV2-R101, seed 0.

The authors tell its 150k iterations; the optimiser is that of their DANNet, without its discriminators.

Command:  python run_experiments.py --config configs/dannet/cs2acdc_dannet_source_dlv2_r101_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     150k iterations of batch 2 on one GPU. Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/deeplabv2_r101_dannet.py',
    '../_base_/datasets/cityscapes_to_acdc_dannet.py',
    '../_base_/schedules/poly09.py',
]

seed = 0
data = dict(samples_per_gpu=2, workers_per_gpu=4)
optimizer = dict(type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4)
optimizer_config = {}
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=150000)
checkpoint_config = dict(by_epoch=False, interval=150000, max_keep_ckpts=1)
evaluation = dict(interval=10000, metric='mIoU')

name = 'cs2acdc_dannet_source_dlv2_r101_s0'
exp = 'basic'
