"""The adverse synthetic streets with labels."""
_base_ = ['../domains/synthetic_streets_256x128.py']
train_pipeline = {{_base_._labelled}}
data = dict(train={{_base_._source.adverse}})
