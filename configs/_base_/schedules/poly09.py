lr_config = dict(policy='poly', power=0.9, min_lr=0.0, by_epoch=False)
