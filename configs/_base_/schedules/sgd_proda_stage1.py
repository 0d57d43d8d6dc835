# SGD of ProDA's stage 1: one learning rate for all.
optimizer = dict(type='SGD', lr=1e-4, momentum=0.9, weight_decay=2e-4)
optimizer_config = None
