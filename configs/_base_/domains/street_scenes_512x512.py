"""Street scenes in crops of 512x512: each domain as source, as target and for evaluation.

The files in ../datasets choose among them. A name that begins with an underscore is for the files that
build on this one; no run sees it.
"""
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
crop_size = (512, 512)
_sizes = dict(gta=(1280, 720), synthia=(1280, 760), cityscapes=(1024, 512), acdc=(960, 540))
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
_gta = dict(type='GTADataset', data_root='data/gta/', img_dir='images', ann_dir='labels')
_synthia = dict(type='SynthiaDataset', data_root='data/synthia/', img_dir='RGB', ann_dir='GT/LABELS')
_cityscapes = dict(type='CityscapesDataset', data_root='data/cityscapes/')
_acdc = dict(type='ACDCDataset', data_root='data/acdc/')
_dark_zurich = dict(type='DarkZurichDataset', data_root='data/dark_zurich/')
_foggy = dict(type='FoggyCityscapesDataset', data_root='data/cityscapes/')
_rain = dict(type='RainCityscapesDataset', data_root='data/cityscapes/')
_train = dict(
    gta=_gta,
    synthia=_synthia,
    cityscapes=dict(_cityscapes, img_dir='leftImg8bit/train', ann_dir='gtFine/train'),
    acdc=dict(_acdc, img_dir='rgb_anon/train', ann_dir='gt/train'),
    dark_zurich=dict(
        _dark_zurich, img_dir='rgb_anon/train/night/', ann_dir='rgb_anon/train/night/'),
    foggy=dict(_foggy, img_dir='leftImg8bit_foggy/train', ann_dir='gtFine/train'),
    rain=dict(_rain, img_dir='leftImg8bit_rain/train', ann_dir='gtFine/train'))
_sized_as = dict(dark_zurich='acdc', foggy='cityscapes', rain='cityscapes')
_source = {
    name: dict(part, pipeline=_labelled[_sized_as.get(name, name)]) for name, part in _train.items()}
_target = {
    name: dict(part, pipeline=_unlabelled[_sized_as.get(name, name)]) for name, part in _train.items()}
_val_folders = dict(
    cityscapes=dict(_cityscapes, img_dir='leftImg8bit/val', ann_dir='gtFine/val'),
    acdc=dict(_acdc, img_dir='rgb_anon/val', ann_dir='gt/val'),
    dark_zurich=dict(_dark_zurich, img_dir='rgb_anon/val', ann_dir='gt/val'),
    foggy=dict(_foggy, img_dir='leftImg8bit_foggy/val', ann_dir='gtFine/val'),
    rain=dict(_rain, img_dir='leftImg8bit_rain/val', ann_dir='gtFine/val'))
_val = {
    name: dict(part, pipeline=_whole[_sized_as.get(name, name)]) for name, part in _val_folders.items()}
# pixels of a rare class that an image must hold to be drawn for it
_min_pixels = 3000
# Rows of the target where Cityscapes shows its rectification border and the bonnet of the ego vehicle. The
# reference implementation leaves them out on ACDC and Dark Zurich too.
_ignored_rows = dict(top=15, bottom=120)
data = dict(samples_per_gpu=2, workers_per_gpu=4)
