"""Cityscapes and ACDC, with its images by day, as DANNet takes them: crops of 512x512, of which those of the
target are 960x960 before they are made smaller; mirrored; ImageNet's mean and standard deviation.
"""
_base_ = ['street_scenes.py']

img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
crop_size = (512, 512)
_resize = dict(type='Resize', interpolation='bicubic', backend='pillow')
_crop = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
]
_unlabelled = [
    dict(type='LoadImageFromFile'),
    dict(**_resize, ratio_range=(0.9, 1.1)),
    dict(type='RandomCrop', crop_size=(960, 960)),
    dict(**_resize, img_scale=(512, 512), override=True),
    *_crop,
    dict(type='Collect', keys=['img']),
]
_source = dict(
    cityscapes=dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(**_resize, ratio_range=(0.5, 1.0)),
        dict(type='RandomCrop', crop_size=crop_size),
        *_crop,
        dict(type='Collect', keys=['img', 'gt_semantic_seg']),
    ]))
_target = dict(acdc=dict(pipeline=_unlabelled))
_reference = dict(
    type='ACDCDataset',
    references=True,
    data_root='data/acdc/',
    img_dir='rgb_anon/train',
    pipeline=_unlabelled,
    paired_with='target')
_val = dict(
    acdc=dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(
            type='MultiScaleFlipAug',
            img_scale=(960, 540),
            flip=False,
            transforms=[
                _resize,
                dict(type='RandomFlip'),
                dict(type='Normalize', **img_norm_cfg),
                dict(type='ImageToTensor', keys=['img']),
                dict(type='Collect', keys=['img']),
            ]),
    ]))
