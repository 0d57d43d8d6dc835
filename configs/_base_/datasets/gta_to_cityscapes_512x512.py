"""GTA5 alone, validated on Cityscapes."""
_base_ = ['../domains/street_scenes_512x512.py']
train_pipeline = {{_base_._labelled.gta}}
test_pipeline = {{_base_._whole.cityscapes}}
data = dict(
    train={{_base_._source.gta}},
    val={{_base_._val.cityscapes}},
    test={{_base_._val.cityscapes}})
