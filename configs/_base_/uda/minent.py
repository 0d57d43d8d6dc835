# MinEnt of ADVENT: the entropy of the target.
uda = dict(
    type='MinEnt',
    weights=dict(decode=1e-3, aux=2e-4))
use_ddp_wrapper = True
