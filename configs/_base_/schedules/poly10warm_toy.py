_base_ = ['poly10warm.py']

lr_config = dict(warmup_iters=50)
