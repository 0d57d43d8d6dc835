# ProDA's warm-up: SGD of the network, whose head learns ten times as fast, and Adam of the discriminator.
optimizer = dict(
    student=dict(
        type='SGD', lr=1e-4, momentum=0.9, weight_decay=2e-4,
        paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.0)))),
    discriminator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)))
optimizer_config = None
