# EBDA for the small network and hundreds of steps.
_base_ = ['dacs_toy.py', 'entropy_balance.py']

uda = dict(entropy_balance={{_base_._entropy_balance}})
