"""DANNet, Cityscapes to ACDC, DeepLabV2-R101, seed 0.

It starts from a network of the source (load_from): docs/methods/dannet.md.

Command:  python run_experiments.py --config configs/dannet/cs2acdc_dannet_dlv2_r101_s0.py
Score:    published: 50.0 mIoU on ACDC test (table of the HRDA repository; with PSPNet). Not measured here.
Cost:     50k iterations of batch 2 on one GPU. Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/deeplabv2_r101_dannet.py',
    '../_base_/datasets/uda_cityscapes_to_acdc_dannet.py',
    '../_base_/uda/dannet.py',
    '../_base_/schedules/sgd_adam_dannet.py',
    '../_base_/schedules/poly09.py',
]

seed = 0
data = dict(samples_per_gpu=2, workers_per_gpu=4)
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=50000)
checkpoint_config = dict(by_epoch=False, interval=50000, max_keep_ckpts=1)
evaluation = dict(interval=5000, metric='mIoU')
load_from = 'pretrained/cs2acdc_dannet_source_dlv2_r101.pth'
model = dict(type='RelitEncoderDecoder')
uda = dict(target_size=(960, 960))

name = 'cs2acdc_dannet_dlv2_r101_s0'
exp = 'basic'
