# MIC is DAFormer's UDA and the masked pass. With an HRDA network it is MIC(HRDA).
_base_ = ['dacs_a999_fdthings.py', 'masked.py']

uda = dict(masked={{_base_._masked}})
