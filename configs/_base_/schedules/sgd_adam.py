# As sgd.py, and Adam of the discriminators: AdvSeg.
_base_ = ['sgd.py']

optimizer = dict(
    _delete_=True,
    student={{_base_.optimizer}},
    discriminator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)))
optimizer_config = None
