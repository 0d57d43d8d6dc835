# As adamw_mit.py, and Adam of the discriminators.
optimizer = dict(
    student=dict(
        type='AdamW', lr=6e-05, betas=(0.9, 0.999), weight_decay=0.01,
        paramwise_cfg=dict(
            custom_keys=dict(
                head=dict(lr_mult=10.0), pos_block=dict(decay_mult=0.0), norm=dict(decay_mult=0.0)))),
    discriminator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)))
optimizer_config = None
