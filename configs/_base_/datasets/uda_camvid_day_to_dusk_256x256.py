"""CamVid's daylight sequences with labels and its dusk sequence without, validated on later dusk frames."""
_base_ = ['../domains/camvid_256x256.py']
source_train_pipeline = {{_base_._labelled}}
target_train_pipeline = {{_base_._unlabelled}}
data = dict(
    train=dict(
        type='UDADataset', source={{_base_._source.day}}, target={{_base_._target.dusk}}))
