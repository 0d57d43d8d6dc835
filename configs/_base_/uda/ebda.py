# EBDA is DAFormer's UDA and, on the mixed image, the loss 0.1 * mean((H - 0.4)^2).
_base_ = ['dacs_a999_fdthings.py']

uda = dict(
    entropy_balance=dict(type='EntropyBalanceLoss', target=0.4, loss_weight=0.1))
