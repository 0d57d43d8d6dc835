"""CamVid in crops of 256x256: daylight as source, dusk as target.

A name that begins with an underscore is for the files that build on this one; no run sees it.
"""
img_norm_cfg = dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], to_rgb=True)
crop_size = (256, 256)
_crop = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
]
_labelled = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    *_crop,
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
_unlabelled = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=crop_size),
    *_crop,
    dict(type='Collect', keys=['img']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(480, 360),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ]),
]
_day = dict(
    type='CamVidDataset', data_root='data/camvid/', img_dir='day/images', ann_dir='day/labels')
_dusk = dict(_day, img_dir='dusk_train/images', ann_dir='dusk_train/labels')
_source = dict(day=dict(_day, pipeline=_labelled), dusk=dict(_dusk, pipeline=_labelled))
_target = dict(dusk=dict(_dusk, pipeline=_unlabelled))
_counted_target = dict(_dusk, pipeline=test_pipeline)  # see PseudoLabelHook
_val = dict(_day, img_dir='dusk_val/images', ann_dir='dusk_val/labels', pipeline=test_pipeline)
_num_classes = 11
_min_pixels = 500   # of a rare class that an image must hold to be drawn for it
data = dict(samples_per_gpu=2, workers_per_gpu=4, val=_val, test=_val)
