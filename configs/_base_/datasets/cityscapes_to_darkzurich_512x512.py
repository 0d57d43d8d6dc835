"""Cityscapes alone, validated on Dark Zurich."""
_base_ = ['cityscapes_to_acdc_512x512.py']
data = dict(
    val=dict(type='DarkZurichDataset', data_root='data/dark_zurich/'),
    test=dict(type='DarkZurichDataset', data_root='data/dark_zurich/'))
