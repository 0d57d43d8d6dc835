"""DACS, Cityscapes to ACDC, DAFormer's network, seed 0.

Data and budget are DAFormer's: crops of 512x512, 40k iterations of batch 2, the last checkpoint.

Command:  python run_experiments.py --config configs/dacs/cs2acdc_dacs_daformer_mitb5_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     40k iterations of batch 2 on one GPU. Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/daformer_sepaspp_mitb5.py',
    '../_base_/datasets/uda_cityscapes_to_acdc_512x512.py',
    '../_base_/uda/dacs_original.py',
    '../_base_/schedules/adamw_mit.py',
    '../_base_/schedules/poly10warm.py',
]

seed = 0
data = dict(samples_per_gpu=2, workers_per_gpu=4)
optimizer_config = None
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=40000)
checkpoint_config = dict(by_epoch=False, interval=40000, max_keep_ckpts=1)
evaluation = dict(interval=4000, metric='mIoU')
model = dict(decode_head=dict(loss_decode=dict(avg_non_ignore='unweighted')))

name = 'cs2acdc_dacs_daformer_mitb5_s0'
exp = 'basic'
