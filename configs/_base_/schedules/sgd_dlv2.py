# SGD of DeepLabV2: its classifiers learn ten times as fast. MinEnt, FDA, DACS.
optimizer = dict(
    type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4,
    paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.0))))
optimizer_config = None
