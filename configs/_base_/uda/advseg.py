# AdvSeg of HRDA and MIC: least squares discriminators of probabilities.
uda = dict(
    type='AdvSeg',
    weights=dict(decode=1e-3, aux=2e-4),
    discriminator=dict(kind='bdl'),
    distance='mse')
# of an HRDA network, whose fused logits are resized to half the image
_hrda_scale = 0.5
use_ddp_wrapper = True
