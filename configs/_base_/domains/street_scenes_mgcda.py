"""Street scenes as MGCDA takes them: at their own size, in crops of 600x600, RGB from 0 to 255 minus 128."""
_base_ = ['street_scenes.py']

img_norm_cfg = dict(mean=[128.0, 128.0, 128.0], std=[1.0, 1.0, 1.0], to_rgb=True)
crop_size = (600, 600)
_crop = [
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
]
_source = dict(cityscapes=dict(pipeline=[
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    *_crop,
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]))
_target = dict(acdc=dict(pipeline=[
    dict(type='LoadImageFromFile'),
    *_crop,
    dict(type='Collect', keys=['img']),
]))
_val = dict(acdc=dict(pipeline=[
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(1920, 1080),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ]),
]))
# of its CycleGAN: small and whole
_translated = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', img_scale=(720, 360), keep_ratio=False),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img']),
]
