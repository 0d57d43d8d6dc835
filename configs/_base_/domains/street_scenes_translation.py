"""Street scenes as BDL translates them: 1024 pixels wide, in crops of 452x452; normalised and tested as the
segmenter that judges the translations, ADVENT's and BDL's, is used to.

The size of ACDC is ours: the authors did not train on it.
"""
_base_ = ['street_scenes_advent.py']

img_norm_cfg = dict(mean=[104.00698793, 116.66876762, 122.67891434], std=[1.0, 1.0, 1.0], to_rgb=False)
crop_size = (452, 452)
# GTA5 becomes 1024x563, Cityscapes 1024x512, ACDC 1024x576
_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', img_scale=(1024, 576), interpolation='bicubic', backend='pillow'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img']),
]
_source = {name: dict(pipeline=_pipeline, use_labels=False) for name in ('gta', 'cityscapes')}
_target = {name: dict(pipeline=_pipeline) for name in ('cityscapes', 'acdc')}
