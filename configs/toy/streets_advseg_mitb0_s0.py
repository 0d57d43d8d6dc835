"""AdvSeg from clear to adverse synthetic streets, with the small network.

Command:  python run_experiments.py --config configs/toy/streets_advseg_mitb0_s0.py
Score:    not measured yet.
Cost:     800 iterations of batch 2 at 256x128; minutes on two CPU cores.
"""
_base_ = [
    '../_base_/toy_runtime.py',
    '../_base_/models/daformer_sepaspp_mitb0_narrow.py',
    '../_base_/datasets/uda_streets_256x128.py',
    '../_base_/uda/advseg.py',
    '../_base_/schedules/adamw_adam_toy.py',
    '../_base_/schedules/poly10warm_toy.py',
]

data = dict(samples_per_gpu=2, workers_per_gpu=2)
lr_config = dict(by_optimizer=dict(discriminator=dict(policy='poly', power=0.9, min_lr=0.0)))

name = 'streets_advseg_mitb0_s0'
exp = 'basic'
