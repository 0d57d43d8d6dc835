"""Street scenes as FDA takes them: crops of 1024x512, not mirrored; BGR from 0 to 255 minus a mean.

Source and target have crops of one size, because their frequencies are exchanged. The sizes of ACDC are
ours: the authors did not train on it.
"""
_base_ = ['street_scenes.py']

img_norm_cfg = dict(mean=[104.00698793, 116.66876762, 122.67891434], std=[1.0, 1.0, 1.0], to_rgb=False)
crop_size = (512, 1024)
_sizes = dict(gta=(1280, 720), cityscapes=(1024, 512), acdc=(1024, 576))
_test_sizes = dict(cityscapes=(1344, 576), acdc=(1344, 756))
_resize = dict(type='Resize', keep_ratio=False, interpolation='bicubic', backend='pillow')
_crop = [
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
]
_source = {
    name: dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(**_resize, img_scale=size),
        *_crop,
        dict(type='Collect', keys=['img', 'gt_semantic_seg']),
    ])
    for name, size in _sizes.items()
}
_target = {
    name: dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(**_resize, img_scale=size),
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
                _resize,
                dict(type='RandomFlip'),
                dict(type='Normalize', **img_norm_cfg),
                dict(type='ImageToTensor', keys=['img']),
                dict(type='Collect', keys=['img']),
            ]),
    ])
    for name, size in _test_sizes.items()
}
