"""Street scenes as ProDA takes them: 1100 to 3300 pixels wide, crops of 896x512; RGB from 0 to 1. Tested at
their own sizes.
"""
_base_ = ['street_scenes.py']

img_norm_cfg = dict(mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0], to_rgb=True)
crop_size = (512, 896)
_sizes = dict(gta=(1914, 1052), cityscapes=(2048, 1024), acdc=(1920, 1080))
_test_sizes = dict(cityscapes=(2048, 1024), acdc=(1920, 1080))
_resize = dict(type='Resize', img_scale=(2200, 2200), ratio_range=(0.5, 1.5), backend='pillow')
_crop = [
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
]
_source = {
    name: dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        _resize,
        *_crop,
        dict(type='Collect', keys=['img', 'gt_semantic_seg']),
    ])
    for name, size in _sizes.items()
}
_target = {
    name: dict(pipeline=[
        dict(type='LoadImageFromFile'),
        _resize,
        *_crop,
        dict(type='Collect', keys=['img']),
    ])
    for name, size in _sizes.items()
}
_val = {
    name: dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(
            type='MultiScaleFlipAug',
            img_scale=size,
            flip=False,
            transforms=[
                dict(type='Resize', backend='pillow'),
                dict(type='RandomFlip'),
                dict(type='Normalize', **img_norm_cfg),
                dict(type='ImageToTensor', keys=['img']),
                dict(type='Collect', keys=['img']),
            ]),
    ])
    for name, size in _test_sizes.items()
}
