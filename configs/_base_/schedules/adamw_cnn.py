# AdamW as DAFormer trains every encoder; the head learns ten times as fast.
_base_ = ['adamw.py']

optimizer = dict(lr=6e-05, paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.0))))
