# AdamW for the small network, whose start is not ImageNet's.
_base_ = ['adamw_mit.py']

optimizer = dict(lr=1e-4)
