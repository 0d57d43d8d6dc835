# As adamw_mit.py, and Adam of the discriminators.
_base_ = ['adamw_mit.py']

optimizer = dict(
    _delete_=True,
    student={{_base_.optimizer}},
    discriminator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)))
optimizer_config = None
