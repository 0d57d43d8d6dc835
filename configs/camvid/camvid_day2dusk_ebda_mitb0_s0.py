"""EBDA from CamVid's daylight sequences to its dusk sequence (real photographs, 11 classes).

The data lie in data/camvid, with the class statistics of `python tools/convert_datasets/camvid.py
data/camvid`. `--data-root data/camvid=DIR` names another place; for one that is read-only let the
converter write elsewhere (`-o STATS`) and add `--options
data.train.rare_class_sampling.stats_dir=STATS`.

Command:  python run_experiments.py --config configs/camvid/camvid_day2dusk_ebda_mitb0_s0.py
Score:    see docs/results.md for what was measured.
Cost:     8000 iterations of batch 4 at 256x256; meant for one GPU.
"""
_base_ = [
    '../_base_/toy_runtime.py',
    '../_base_/models/daformer_sepaspp_mitb0_narrow.py',
    '../_base_/datasets/uda_camvid_day_to_dusk_256x256.py',
    '../_base_/uda/ebda_nofd.py',
    '../_base_/schedules/adamw_toy.py',
    '../_base_/schedules/poly10warm_toy.py',
]

data = dict(
    samples_per_gpu=4,
    workers_per_gpu=4,
    train=dict(rare_class_sampling=dict(min_pixels=500, class_temp=0.01, min_crop_ratio=0.5)))
# the UDA method takes the optimiser's step itself
optimizer_config = None
load_from = None
# the network starts from nothing, so all of it learns at the same, higher rate
optimizer = dict(lr=6e-4, paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=1.0))))
lr_config = dict(warmup_iters=500)
runner = dict(max_iters=8000)
log_config = dict(interval=100)
checkpoint_config = dict(interval=8000)
evaluation = dict(interval=2000)
model = dict(decode_head=dict(num_classes=11))

name = 'camvid_day2dusk_ebda_mitb0_s0'
exp = 'basic'
