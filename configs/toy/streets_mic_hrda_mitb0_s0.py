"""MIC(HRDA) without feature distance from clear to adverse synthetic streets.

Command:  python run_experiments.py --config configs/toy/streets_mic_hrda_mitb0_s0.py
Score:    not measured yet.
Cost:     800 iterations of batch 2 at 256x128; minutes on two CPU cores.
"""
_base_ = [
    '../_base_/toy_runtime.py',
    '../_base_/models/hrda_daformer_sepaspp_mitb0_narrow.py',
    '../_base_/datasets/uda_streets_256x128.py',
    '../_base_/uda/mic_toy.py',
    '../_base_/schedules/adamw_toy.py',
    '../_base_/schedules/poly10warm_toy.py',
]

data = dict(
    samples_per_gpu=2,
    workers_per_gpu=2,
    train=dict(
        rare_class_sampling=dict(
            min_pixels={{_base_._min_pixels}},
            class_temp={{_base_._class_temp}},
            min_crop_ratio={{_base_._min_crop_ratio}})))
uda = dict(masked=dict(block_size=16))
optimizer_config = None

name = 'streets_mic_hrda_mitb0_s0'
exp = 'basic'
