# SGD of ProDA's stages 2 and 3: the head and the further norm of the features learn ten times as fast.
optimizer = dict(
    type='SGD', lr=6e-4, momentum=0.9, weight_decay=2e-4,
    paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.0), bn_pretrain=dict(lr_mult=10.0))))
optimizer_config = None
