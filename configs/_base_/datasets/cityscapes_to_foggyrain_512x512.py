"""Cityscapes alone, validated on Foggy and Rain Cityscapes."""
_base_ = ['../domains/street_scenes_512x512.py']
train_pipeline = {{_base_._labelled.cityscapes}}
test_pipeline = {{_base_._whole.cityscapes}}
data = dict(
    train={{_base_._source.cityscapes}},
    val=dict(type='ConcatDataset', datasets=[{{_base_._val.foggy}}, {{_base_._val.rain}}]),
    test=dict(type='ConcatDataset', datasets=[{{_base_._val.foggy}}, {{_base_._val.rain}}]))
