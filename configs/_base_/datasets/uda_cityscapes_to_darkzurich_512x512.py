"""Cityscapes with labels and Dark Zurich without, validated on Dark Zurich."""
_base_ = ['uda_cityscapes_to_acdc_512x512.py']
data = dict(
    train=dict(
        target=dict(
            type='DarkZurichDataset',
            data_root='data/dark_zurich/',
            img_dir='rgb_anon/train/night/',
            ann_dir='rgb_anon/train/night/')),
    val=dict(type='DarkZurichDataset', data_root='data/dark_zurich/'),
    test=dict(type='DarkZurichDataset', data_root='data/dark_zurich/'))
