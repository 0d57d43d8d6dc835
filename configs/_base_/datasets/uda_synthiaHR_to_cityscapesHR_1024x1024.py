"""SYNTHIA with labels and Cityscapes without at full resolution, validated on Cityscapes."""
_base_ = ['../domains/street_scenes_1024x1024.py']
source_train_pipeline = {{_base_._labelled.synthia}}
target_train_pipeline = {{_base_._unlabelled.cityscapes}}
test_pipeline = {{_base_._whole.cityscapes}}
data = dict(
    train=dict(
        type='UDADataset',
        source={{_base_._source.synthia}},
        target={{_base_._target.cityscapes}}),
    val={{_base_._val.cityscapes}},
    test={{_base_._val.cityscapes}})
