"""Street scenes in square crops with ImageNet's mean and standard deviation: at half their resolution, as
DAFormer takes them, and at the whole, as HRDA and MIC do."""
_base_ = ['street_scenes.py']

_norm = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
_half = dict(gta=(1280, 720), synthia=(1280, 760), cityscapes=(1024, 512), acdc=(960, 540))
_full = {name: (2 * width, 2 * height) for name, (width, height) in _half.items()}
_sizes = dict(half=_half, full=_full)
_crop_size = dict(half=(512, 512), full=(1024, 1024))
_normalised = {
    scale: [
        dict(type='Normalize', **_norm),
        dict(type='Pad', size=size, pad_val=0, seg_pad_val=255),
        dict(type='DefaultFormatBundle'),
    ]
    for scale, size in _crop_size.items()
}
_labels, _of_classes = [dict(type='LoadAnnotations')], dict(cat_max_ratio=0.75)
_kinds = dict(
    labelled=(_labels, _of_classes, [], ['img', 'gt_semantic_seg']),
    recoloured=(_labels, _of_classes, [dict(type='PhotoMetricDistortion')], ['img', 'gt_semantic_seg']),
    unlabelled=([], {}, [], ['img']))
_crops = {
    kind: {
        scale: {
            name: [
                dict(type='LoadImageFromFile'),
                *labels,
                dict(type='Resize', img_scale=size),
                dict(type='RandomCrop', crop_size=_crop_size[scale], **drawn),
                dict(type='RandomFlip', prob=0.5),
                *colours,
                *_normalised[scale],
                dict(type='Collect', keys=keys),
            ]
            for name, size in sizes.items()
        }
        for scale, sizes in _sizes.items()
    }
    for kind, (labels, drawn, colours, keys) in _kinds.items()
}
_whole_at = {
    scale: {
        name: [
            dict(type='LoadImageFromFile'),
            dict(
                type='MultiScaleFlipAug',
                img_scale=size,
                flip=False,
                transforms=[
                    dict(type='Resize', keep_ratio=True),
                    dict(type='RandomFlip'),
                    dict(type='Normalize', **_norm),
                    dict(type='ImageToTensor', keys=['img']),
                    dict(type='Collect', keys=['img']),
                ]),
        ]
        for name, size in sizes.items()
    }
    for scale, sizes in _sizes.items()
}
_sized_as = dict(dark_zurich='acdc', foggy='cityscapes', rain='cityscapes')
_size_of = {**{name: name for name in _half}, **_sized_as}
_train_at = {
    kind: {
        scale: {name: dict(pipeline=pipelines[size]) for name, size in _size_of.items()}
        for scale, pipelines in scales.items()
    }
    for kind, scales in _crops.items()
}
_val_at = {
    scale: {
        name: dict(pipeline=pipelines[size]) for name, size in _size_of.items()
        if name not in ('gta', 'synthia')}
    for scale, pipelines in _whole_at.items()
}
