"""Cityscapes with labels; Foggy and Rain Cityscapes without, at full resolution.

Target: all of both training sets (2975 x 3 and 262 x 36 pictures), whose scenes are those of the source;
exclude_paired_source=True with a shorter split of the target leaves these source images out.
"""
_base_ = ['../domains/street_scenes_1024x1024.py']
source_train_pipeline = {{_base_._labelled.cityscapes}}
target_train_pipeline = {{_base_._unlabelled.cityscapes}}
test_pipeline = {{_base_._whole.cityscapes}}
data = dict(
    train=dict(
        type='UDADataset',
        exclude_paired_source=False,
        source={{_base_._source.cityscapes}},
        target=dict(
            type='ConcatDataset', datasets=[{{_base_._target.foggy}}, {{_base_._target.rain}}])),
    val=dict(type='ConcatDataset', datasets=[{{_base_._val.foggy}}, {{_base_._val.rain}}]),
    test=dict(type='ConcatDataset', datasets=[{{_base_._val.foggy}}, {{_base_._val.rain}}]))
