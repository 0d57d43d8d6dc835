# EBDA without the feature distance, for networks that have no ImageNet weights.
_base_ = ['dacs_a999.py', 'entropy_balance.py']

uda = dict(entropy_balance={{_base_._entropy_balance}})
