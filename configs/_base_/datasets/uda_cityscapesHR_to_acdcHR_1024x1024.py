"""Cityscapes with labels and ACDC without at full resolution, validated on ACDC."""
_base_ = ['../domains/street_scenes_1024x1024.py']
source_train_pipeline = {{_base_._labelled.cityscapes}}
target_train_pipeline = {{_base_._unlabelled.acdc}}
test_pipeline = {{_base_._whole.acdc}}
data = dict(
    train=dict(
        type='UDADataset',
        source={{_base_._source.cityscapes}},
        target={{_base_._target.acdc}}),
    val={{_base_._val.acdc}},
    test={{_base_._val.acdc}})
