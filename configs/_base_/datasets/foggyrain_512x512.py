"""Foggy and Rain Cityscapes with labels."""
_base_ = ['../domains/street_scenes_512x512.py']
train_pipeline = {{_base_._labelled.cityscapes}}
test_pipeline = {{_base_._whole.cityscapes}}
data = dict(
    train=dict(type='ConcatDataset', datasets=[{{_base_._source.foggy}}, {{_base_._source.rain}}]),
    val=dict(type='ConcatDataset', datasets=[{{_base_._val.foggy}}, {{_base_._val.rain}}]),
    test=dict(type='ConcatDataset', datasets=[{{_base_._val.foggy}}, {{_base_._val.rain}}]))
