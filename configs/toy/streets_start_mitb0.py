"""The small network on the clear synthetic streets, from nothing: what the demo's runs start from.

Command:  python run_experiments.py --config configs/toy/streets_start_mitb0.py
Score:    see docs/results.md for what was measured.
Cost:     20k iterations of batch 8 at 256x128; meant for one GPU.
"""
_base_ = ['streets_source_mitb0_s0.py']

load_from = None  # this run makes the start of the others
data = dict(samples_per_gpu=8, workers_per_gpu=8)
optimizer = dict(lr=6e-4, paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=1.0))))
lr_config = dict(warmup_iters=500)
runner = dict(max_iters=20000)
log_config = dict(interval=100)
checkpoint_config = dict(interval=5000)
evaluation = dict(interval=5000)

name = 'streets_start_mitb0'
