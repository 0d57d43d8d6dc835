"""Cityscapes with labels; and without, which a training on the source alone does not see."""
_base_ = ['../domains/street_scenes_512x512.py']
source_train_pipeline = {{_base_._labelled.cityscapes}}
target_train_pipeline = {{_base_._unlabelled.cityscapes}}
test_pipeline = {{_base_._whole.cityscapes}}
data = dict(
    train=dict(
        type='UDADataset',
        source={{_base_._source.cityscapes}},
        target={{_base_._target.cityscapes}}),
    val={{_base_._val.cityscapes}},
    test={{_base_._val.cityscapes}})
