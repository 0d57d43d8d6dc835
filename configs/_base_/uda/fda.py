# FDA: the source with the target's low frequencies, a penalty on the target's entropy.
uda = dict(
    type='FDA',
    beta=0.01,
    window='code',
    entropy=dict(type='CharbonnierEntropyLoss', eta=2.0, loss_weight=0.005))
use_ddp_wrapper = True
