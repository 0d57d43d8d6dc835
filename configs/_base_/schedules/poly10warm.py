_base_ = ['poly10.py']

lr_config = dict(warmup='linear', warmup_iters=1500, warmup_ratio=1e-6)
