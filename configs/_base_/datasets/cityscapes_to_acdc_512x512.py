"""Cityscapes alone, validated on ACDC."""
_base_ = ['../domains/street_scenes_512x512.py']
train_pipeline = {{_base_._labelled.cityscapes}}
test_pipeline = {{_base_._whole.acdc}}
data = dict(
    train={{_base_._source.cityscapes}},
    val={{_base_._val.acdc}},
    test={{_base_._val.acdc}})
