"""CamVid's dusk sequence with labels."""
_base_ = ['../domains/camvid_256x256.py']
train_pipeline = {{_base_._labelled}}
data = dict(train={{_base_._source.dusk}})
