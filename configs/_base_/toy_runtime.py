# What the runs of the toy benchmark share: the same seed, the same start, the same number of steps.
_base_ = ['default_runtime.py']

seed = 0
n_gpus = 1
# the network that sees clear streets, see configs/toy/streets_start_robust_mitb0.py
load_from = 'demo/streets_start_mitb0-47aba2bc.pth'
runner = dict(type='IterBasedRunner', max_iters=800)
checkpoint_config = dict(by_epoch=False, interval=800, max_keep_ckpts=1)
evaluation = dict(interval=800, metric='mIoU')
log_config = dict(interval=20)
