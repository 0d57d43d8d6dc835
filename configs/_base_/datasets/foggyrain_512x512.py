"""Foggy and Rain Cityscapes with labels."""
_base_ = ['cityscapes_to_foggyrain_512x512.py']
data = dict(
    train=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='FoggyCityscapesDataset',
                data_root='data/cityscapes/',
                img_dir='leftImg8bit_foggy/train',
                ann_dir='gtFine/train',
                pipeline={{_base_.train_pipeline}}),
            dict(
                type='RainCityscapesDataset',
                data_root='data/cityscapes/',
                img_dir='leftImg8bit_rain/train',
                ann_dir='gtFine/train',
                pipeline={{_base_.train_pipeline}})
        ]))
