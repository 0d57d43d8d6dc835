"""MGCDA's first step: stylised Cityscapes, and ACDC's places in normal conditions.

DAFormer's network, seed 0. The folders are made by the programs of docs/methods/mgcda.md.

Command:  python run_experiments.py --config configs/mgcda/cs2acdc_mgcda_step1_daformer_mitb5_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     40k iterations of batch 2, one GPU. Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/daformer_sepaspp_mitb5.py',
    '../_base_/datasets/uda_cityscapes_to_acdc_512x512.py',
    '../_base_/uda/mgcda.py',
    '../_base_/schedules/adamw_mit.py',
    '../_base_/schedules/poly10warm.py',
]

optimizer_config = None
seed = 0
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=4,
    train=dict(
        source=dict(translated='data/translated/cs2acdc_mgcda'),
        target=dict(references=True, pseudo_labels='data/pseudo_labels/cs2acdc_mgcda_step1_daformer_mitb5')))
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=40000)
checkpoint_config = dict(by_epoch=False, interval=40000, max_keep_ckpts=1)
evaluation = dict(interval=4000, metric='mIoU')
load_from = 'pretrained/cs_source_daformer_mitb5.pth'

name = 'cs2acdc_mgcda_step1_daformer_mitb5_s0'
exp = 'basic'
