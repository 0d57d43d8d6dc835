# AdamW as every Mix Transformer of DAFormer and EBDA is trained with it.
_base_ = ['adamw.py']

optimizer = dict(
    lr=6e-05,
    paramwise_cfg=dict(
        custom_keys=dict(
            head=dict(lr_mult=10.0), pos_block=dict(decay_mult=0.0), norm=dict(decay_mult=0.0))))
