"""Cityscapes with labels, at half its size."""
_base_ = ['../domains/street_scenes_512x512.py']
train_pipeline = {{_base_._labelled.cityscapes}}
test_pipeline = {{_base_._whole.cityscapes}}
data = dict(
    train={{_base_._source.cityscapes}},
    val={{_base_._val.cityscapes}},
    test={{_base_._val.cityscapes}})
