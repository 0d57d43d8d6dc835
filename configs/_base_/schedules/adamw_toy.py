# AdamW for the small network, all of which is trained at one learning rate.
_base_ = ['adamw_mit.py']

optimizer = dict(lr=3e-4, paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=1.0))))
