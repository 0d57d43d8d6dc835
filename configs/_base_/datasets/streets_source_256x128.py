"""The clear synthetic streets alone, validated on the adverse ones."""
_base_ = ['../domains/synthetic_streets_256x128.py']
train_pipeline = {{_base_._labelled}}
data = dict(train={{_base_._source.clear}})
