# As poly10warm.py; the discriminators of AdvSeg fall faster at the end, and have no warm-up.
_base_ = ['poly10warm.py']

lr_config = dict(by_optimizer=dict(discriminator=dict(policy='poly', power=0.9, min_lr=0.0)))
