"""Cityscapes with labels; Foggy and Rain Cityscapes without, validated on both together and on each.

Target: all of both training sets (2975 x 3 and 262 x 36 pictures), whose scenes are those of the source;
exclude_paired_source=True with a shorter split of the target leaves these source images out.
"""
_base_ = ['uda_gta_to_cityscapes_512x512.py']
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
crop_size = (512, 512)
source_train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(1024, 512)),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
data = dict(
    train=dict(
        exclude_paired_source=False,
        source=dict(
            type='CityscapesDataset',
            data_root='data/cityscapes/',
            img_dir='leftImg8bit/train',
            ann_dir='gtFine/train',
            pipeline=source_train_pipeline),
        target=dict(
            _delete_=True,
            type='ConcatDataset',
            datasets=[
                dict(
                    type='FoggyCityscapesDataset',
                    data_root='data/cityscapes/',
                    img_dir='leftImg8bit_foggy/train',
                    ann_dir='gtFine/train',
                    pipeline={{_base_.target_train_pipeline}}),
                dict(
                    type='RainCityscapesDataset',
                    data_root='data/cityscapes/',
                    img_dir='leftImg8bit_rain/train',
                    ann_dir='gtFine/train',
                    pipeline={{_base_.target_train_pipeline}})
            ])),
    val=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='FoggyCityscapesDataset',
                data_root='data/cityscapes/',
                img_dir='leftImg8bit_foggy/val',
                ann_dir='gtFine/val',
                pipeline={{_base_.test_pipeline}}),
            dict(
                type='RainCityscapesDataset',
                data_root='data/cityscapes/',
                img_dir='leftImg8bit_rain/val',
                ann_dir='gtFine/val',
                pipeline={{_base_.test_pipeline}})
        ]),
    test=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='FoggyCityscapesDataset',
                data_root='data/cityscapes/',
                img_dir='leftImg8bit_foggy/val',
                ann_dir='gtFine/val',
                pipeline={{_base_.test_pipeline}}),
            dict(
                type='RainCityscapesDataset',
                data_root='data/cityscapes/',
                img_dir='leftImg8bit_rain/val',
                ann_dir='gtFine/val',
                pipeline={{_base_.test_pipeline}})
        ]))
