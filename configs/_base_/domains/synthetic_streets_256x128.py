"""The synthetic streets at 256x128 in crops of 128x128: clear ones as source, adverse ones as target.

A name that begins with an underscore is for the files that build on this one; no run sees it.
"""
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
crop_size = (128, 128)
_crop = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
]
_labelled = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(256, 128)),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    *_crop,
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
_unlabelled = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', img_scale=(256, 128)),
    dict(type='RandomCrop', crop_size=crop_size),
    *_crop,
    dict(type='Collect', keys=['img']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(256, 128),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ]),
]
_clear = dict(
    type='CityscapesDataset',
    data_root='data/streets/cityscapes/',
    img_dir='leftImg8bit/train',
    ann_dir='gtFine/train')
_adverse = dict(
    type='ACDCDataset', data_root='data/streets/acdc/', img_dir='rgb_anon/train', ann_dir='gt/train')
_source = dict(clear=dict(_clear, pipeline=_labelled), adverse=dict(_adverse, pipeline=_labelled))
_target = dict(adverse=dict(_adverse, pipeline=_unlabelled))
_counted_target = dict(_adverse, pipeline=test_pipeline)  # see PseudoLabelHook
_val = dict(_adverse, img_dir='rgb_anon/val', ann_dir='gt/val', pipeline=test_pipeline)
_min_pixels = 200   # of a rare class that an image must hold to be drawn for it
data = dict(samples_per_gpu=2, workers_per_gpu=2, val=_val, test=_val)
