# SGD of RefineNet at one learning rate throughout: MGCDA.
optimizer = dict(type='SGD', lr=5e-5, momentum=0.9, weight_decay=5e-4)
optimizer_config = None
lr_config = dict(policy='fixed', by_epoch=False)
