"""Cityscapes with labels, at full resolution."""
_base_ = ['../domains/street_scenes_1024x1024.py']
train_pipeline = {{_base_._labelled.cityscapes}}
test_pipeline = {{_base_._whole.cityscapes}}
data = dict(
    train={{_base_._source.cityscapes}},
    val={{_base_._val.cityscapes}},
    test={{_base_._val.cityscapes}})
