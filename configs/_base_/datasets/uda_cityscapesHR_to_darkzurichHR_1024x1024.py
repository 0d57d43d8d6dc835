"""Cityscapes with labels and Dark Zurich without at full resolution, validated on Dark Zurich."""
_base_ = ['../domains/street_scenes_1024x1024.py']
source_train_pipeline = {{_base_._labelled.cityscapes}}
target_train_pipeline = {{_base_._unlabelled.acdc}}
test_pipeline = {{_base_._whole.acdc}}
data = dict(
    train=dict(
        type='UDADataset',
        source={{_base_._source.cityscapes}},
        target={{_base_._target.dark_zurich}}),
    val={{_base_._val.dark_zurich}},
    test={{_base_._val.dark_zurich}})
