# SGD of the student and its relighting network, all at one learning rate, Adam of the discriminators: DANNet.
optimizer = dict(
    student=dict(type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4),
    discriminator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)))
optimizer_config = None
