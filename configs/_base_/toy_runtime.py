# What the small runs share: the same seed, the same start, the same number of steps.
_base_ = ['default_runtime.py']

seed = 0
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=600)
checkpoint_config = dict(by_epoch=False, interval=600, max_keep_ckpts=1)
evaluation = dict(interval=600, metric='mIoU')
log_config = dict(interval=20)
