# CycleGAN: Adam of the generators and of the discriminators, whose learning rate falls in the second half.
optimizer = dict(
    generator=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)),
    discriminator=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)))
optimizer_config = None
lr_config = dict(policy='FlatPoly', flat=0.5, by_epoch=False)
