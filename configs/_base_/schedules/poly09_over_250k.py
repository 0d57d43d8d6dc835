# For trainings that stop earlier.
lr_config = dict(policy='StoppedPoly', horizon=250000, power=0.9, min_lr=0.0, by_epoch=False)
