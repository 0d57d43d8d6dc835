"""EBDA on synthetic streets for four iterations: does everything start, log, evaluate and save?

Command:  python run_experiments.py --config configs/toy/streets_test.py
Score:    none; the network has learnt nothing.
Cost:     seconds on two CPU cores.
"""
_base_ = ['streets_ebda_mitb0_s0.py']

data = dict(workers_per_gpu=0)
uda = dict(debug_img_interval=2)
runner = dict(max_iters=4)
lr_config = dict(warmup_iters=2)
log_config = dict(interval=2)
checkpoint_config = dict(interval=4)
evaluation = dict(interval=4)

name = 'streets_test'
