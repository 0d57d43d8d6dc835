# AdvEnt of ADVENT: discriminators of self-information.
uda = dict(
    type='ADVENT',
    weights=dict(decode=1e-3, aux=2e-4),
    discriminator=dict(kind='advent'))
use_ddp_wrapper = True
