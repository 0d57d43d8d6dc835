# MIC on EBDA: the masked pass and the entropy balance.
_base_ = ['ebda.py', 'masked.py']

uda = dict(masked={{_base_._masked}})
