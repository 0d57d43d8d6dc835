# EBDA without the feature distance, for networks that have no ImageNet weights.
_base_ = ['dacs_a999.py']

uda = dict(
    entropy_balance=dict(type='EntropyBalanceLoss', target=0.4, loss_weight=0.1))
