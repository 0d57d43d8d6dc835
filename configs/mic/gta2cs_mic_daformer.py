"""MIC(DAFormer) (CVPR 2023), GTA to Cityscapes, seed 0.

Command:  python run_experiments.py --config configs/mic/gta2cs_mic_daformer.py
Score:    published: 70.6 mIoU on Cityscapes val. Not measured here.
Cost:     40k iterations of batch 2 on one GPU, published: an RTX 2080 Ti (11 GB). Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/daformer_sepaspp_mitb5.py',
    # GTA at 1280x720 and Cityscapes at 1024x512, crops of 512x512
    '../_base_/datasets/uda_gta_to_cityscapes_512x512.py',
    # DAFormer's training, and the masked pass
    '../_base_/uda/mic.py',
    '../_base_/schedules/adamw_mit.py',
    '../_base_/schedules/poly10warm.py',
]

seed = 0
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=4,
    train=dict(
        rare_class_sampling=dict(
            min_pixels={{_base_._min_pixels}},
            class_temp={{_base_._class_temp}},
            min_crop_ratio={{_base_._min_crop_ratio}})))
uda = dict(
    pseudo_weight_ignore_top={{_base_._ignored_rows.top}},
    pseudo_weight_ignore_bottom={{_base_._ignored_rows.bottom}},
    # half the resolution
    masked=dict(block_size=32))
optimizer_config = None
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=40000)
checkpoint_config = dict(by_epoch=False, interval=40000, max_keep_ckpts=1)
evaluation = dict(interval=4000, metric='mIoU')

name = 'gta2cs_mic_daformer'
exp = 'basic'
