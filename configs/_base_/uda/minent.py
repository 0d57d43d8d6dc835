# MinEnt of ADVENT: the entropy of the target.
uda = dict(
    type='MinEnt',
    weights=dict(decode=1e-3, aux=2e-4))
# of an HRDA network, whose fused logits are resized to half the image
_hrda_scale = 0.5
use_ddp_wrapper = True
