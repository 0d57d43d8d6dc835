# The same with the entropy balance of the paper.
_base_ = ['dacs_toy.py']

uda = dict(
    entropy_balance=dict(type='EntropyBalanceLoss', target=0.4, loss_weight=0.1))
