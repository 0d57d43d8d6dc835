# MIC for the small network on crops of 128x128.
_base_ = ['dacs_toy.py', 'masked.py']

uda = dict(masked={{_base_._masked}})
