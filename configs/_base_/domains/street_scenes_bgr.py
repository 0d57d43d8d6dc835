"""Street scenes as the methods with DeepLabV2 take them: not mirrored; BGR from 0 to 255 minus a mean.
ADVENT, MinEnt and BDL take whole images, DACS and FDA crops; FDA's source and target have crops of one size,
because their frequencies are exchanged.

The sizes of ACDC are ours: the authors did not train on it.
"""
_base_ = ['street_scenes.py']

_norm = dict(mean=[104.00698793, 116.66876762, 122.67891434], std=[1.0, 1.0, 1.0], to_rgb=False)
_usual = dict(gta=(1280, 720), cityscapes=(1024, 512), acdc=(960, 540))
_tested = dict(cityscapes=(1024, 512), acdc=(960, 540))
_sizes = dict(advent=_usual, dacs=_usual, fda=dict(_usual, acdc=(1024, 576)))
_test_sizes = dict(advent=_tested, dacs=_tested, fda=dict(cityscapes=(1344, 576), acdc=(1344, 756)))
_resize = dict(type='Resize', keep_ratio=False, interpolation='bicubic', backend='pillow')
_crop = dict(
    advent=[],
    dacs=[dict(type='RandomCrop', crop_size=(512, 512))],
    fda=[dict(type='RandomCrop', crop_size=(512, 1024))])
_format = [dict(type='Normalize', **_norm), dict(type='DefaultFormatBundle')]
_kinds = dict(source=([dict(type='LoadAnnotations')], ['img', 'gt_semantic_seg']), target=([], ['img']))
_train_of = {
    kind: {
        method: {
            name: dict(pipeline=[
                dict(type='LoadImageFromFile'),
                *labels,
                dict(**_resize, img_scale=size),
                *_crop[method],
                *_format,
                dict(type='Collect', keys=keys),
            ])
            for name, size in sizes.items()
        }
        for method, sizes in _sizes.items()
    }
    for kind, (labels, keys) in _kinds.items()
}
_val_of = {
    method: {
        name: dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(
                type='MultiScaleFlipAug',
                img_scale=size,
                flip=False,
                transforms=[
                    _resize,
                    dict(type='RandomFlip'),
                    dict(type='Normalize', **_norm),
                    dict(type='ImageToTensor', keys=['img']),
                    dict(type='Collect', keys=['img']),
                ]),
        ])
        for name, size in sizes.items()
    }
    for method, sizes in _test_sizes.items()
}
