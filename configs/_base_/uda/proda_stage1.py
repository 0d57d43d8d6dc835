# ProDA's stage 1, from the weights of the warm-up (load_from): rectified labels and consistency. The
# target is to have full_images.
uda = dict(
    type='ProDA',
    alpha=0.999,
    momentum=1e-4,
    prototype_epochs=4,
    prototype_steps=0,
    ce_weight=0.1,
    rce_weight=1.0,
    regularization_weight=0.1,
    consistency_weight=10.0)
use_ddp_wrapper = True
