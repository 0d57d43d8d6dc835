# BDL: a discriminator of probabilities; pseudo-labels where the target has them.
uda = dict(
    type='BDL',
    adversarial_weight=1e-3,
    discriminator=dict(kind='bdl'))
use_ddp_wrapper = True
