# ProDA's warm-up: a discriminator of probabilities with least squares.
uda = dict(
    type='ProDAWarmup',
    adversarial_weight=0.01,
    discriminator=dict(kind='proda'))
use_ddp_wrapper = True
