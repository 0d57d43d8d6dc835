# The same for Mix Transformers, whose norms and positions do not decay.
_base_ = ['adamw_cnn.py']

optimizer = dict(
    paramwise_cfg=dict(custom_keys=dict(pos_block=dict(decay_mult=0.0), norm=dict(decay_mult=0.0))))
