"""The clear synthetic streets with labels and the adverse ones without, validated on the adverse."""
_base_ = ['../domains/synthetic_streets_256x128.py']
source_train_pipeline = {{_base_._labelled}}
target_train_pipeline = {{_base_._unlabelled}}
data = dict(
    train=dict(
        type='UDADataset', source={{_base_._source.clear}}, target={{_base_._target.adverse}}))
