# As sgd_dlv2.py, and Adam of the discriminators: ADVENT, BDL.
optimizer = dict(
    student=dict(
        type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4,
        paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.0)))),
    discriminator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)))
optimizer_config = None
