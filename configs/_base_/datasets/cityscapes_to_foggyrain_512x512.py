"""Cityscapes alone, validated on Foggy and Rain Cityscapes."""
_base_ = ['cityscapes_half_512x512.py']
data = dict(
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
