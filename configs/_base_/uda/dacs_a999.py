_base_ = ['dacs.py']

uda = dict(alpha=0.999)
