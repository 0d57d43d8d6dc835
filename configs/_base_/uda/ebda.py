# EBDA is DAFormer's UDA and the entropy balance.
_base_ = ['dacs_a999_fdthings.py', 'entropy_balance.py']

uda = dict(entropy_balance={{_base_._entropy_balance}})
