"""CamVid's daylight sequences alone, validated on the dusk sequence."""
img_norm_cfg = dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], to_rgb=True)
crop_size = (256, 256)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
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
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=4,
    train=dict(
        type='CamVidDataset',
        data_root='data/camvid/',
        img_dir='day/images',
        ann_dir='day/labels',
        pipeline=train_pipeline),
    val=dict(
        type='CamVidDataset',
        data_root='data/camvid/',
        img_dir='dusk_val/images',
        ann_dir='dusk_val/labels',
        pipeline=test_pipeline),
    test=dict(
        type='CamVidDataset',
        data_root='data/camvid/',
        img_dir='dusk_val/images',
        ann_dir='dusk_val/labels',
        pipeline=test_pipeline))
