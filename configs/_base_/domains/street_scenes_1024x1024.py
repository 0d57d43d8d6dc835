"""Street scenes in crops of 1024x1024 at full resolution, as HRDA and MIC take them."""
_base_ = ['street_scenes.py']

img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
crop_size = (1024, 1024)
_sizes = dict(gta=(2560, 1440), synthia=(2560, 1520), cityscapes=(2048, 1024), acdc=(1920, 1080))
_crop = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
]
_labelled = {
    name: [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='Resize', img_scale=size),
        dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
        *_crop,
        dict(type='Collect', keys=['img', 'gt_semantic_seg']),
    ]
    for name, size in _sizes.items()
}
_unlabelled = {
    name: [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', img_scale=size),
        dict(type='RandomCrop', crop_size=crop_size),
        *_crop,
        dict(type='Collect', keys=['img']),
    ]
    for name, size in _sizes.items()
}
_whole = {
    name: [
        dict(type='LoadImageFromFile'),
        dict(
            type='MultiScaleFlipAug',
            img_scale=size,
            flip=False,
            transforms=[
                dict(type='Resize', keep_ratio=True),
                dict(type='RandomFlip'),
                dict(type='Normalize', **img_norm_cfg),
                dict(type='ImageToTensor', keys=['img']),
                dict(type='Collect', keys=['img']),
            ]),
    ]
    for name, size in _sizes.items()
}
_sized_as = dict(dark_zurich='acdc', foggy='cityscapes', rain='cityscapes')
_size_of = {**{name: name for name in _sizes}, **_sized_as}
_source = {name: dict(pipeline=_labelled[size]) for name, size in _size_of.items()}
_target = {name: dict(pipeline=_unlabelled[size]) for name, size in _size_of.items()}
_val = {
    name: dict(pipeline=_whole[size]) for name, size in _size_of.items()
    if name not in ('gta', 'synthia')}
# Of the pixels that make a source image one of a class, a crop has to hold so many: four times as many as at
# half resolution.
_crop_ratio = 2.0
