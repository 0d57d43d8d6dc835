"""SYNTHIA alone, validated on Cityscapes."""
_base_ = ['../domains/street_scenes_512x512.py']
train_pipeline = {{_base_._labelled.synthia}}
test_pipeline = {{_base_._whole.cityscapes}}
data = dict(
    train={{_base_._source.synthia}},
    val={{_base_._val.cityscapes}},
    test={{_base_._val.cityscapes}})
