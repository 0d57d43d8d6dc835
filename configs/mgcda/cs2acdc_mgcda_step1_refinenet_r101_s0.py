"""MGCDA's first step: stylised Cityscapes, and ACDC's places in normal conditions.

RefineNet-R101, seed 0. The folders are made by the programs of docs/methods/mgcda.md.

Command:  python run_experiments.py --config configs/mgcda/cs2acdc_mgcda_step1_refinenet_r101_s0.py
Score:    nothing published at this setting. Not measured here.
Cost:     30k iterations of a source and a target image (10 epochs of the source), one GPU. Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/refinenet_r101.py',
    '../_base_/datasets/uda_cityscapes_to_acdc_mgcda.py',
    '../_base_/uda/mgcda.py',
    '../_base_/schedules/sgd_mgcda.py',
]

seed = 0
data = dict(
    samples_per_gpu=1,
    workers_per_gpu=4,
    train=dict(
        source=dict(translated='data/translated/cs2acdc_mgcda'),
        target=dict(references=True, pseudo_labels='data/pseudo_labels/cs2acdc_mgcda_step1_refinenet_r101')))
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=29750)
checkpoint_config = dict(by_epoch=False, interval=29750, max_keep_ckpts=1)
evaluation = dict(interval=2975, metric='mIoU')
load_from = 'pretrained/cs_source_refinenet_r101.pth'

name = 'cs2acdc_mgcda_step1_refinenet_r101_s0'
exp = 'basic'
