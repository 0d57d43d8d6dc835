"""HRDA (ECCV 2022), GTA to Cityscapes, seed 0.

Command:  python run_experiments.py --config configs/hrda/gtaHR2csHR_hrda.py
Score:    published: 73.8 mIoU on Cityscapes val as the mean of seeds 0-2. Not measured here.
Cost:     40k iterations of batch 2 on one GPU; published: 32 h and 22.5 GB on a Titan RTX. Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    # DAFormer's network on the whole image at half the resolution and on crops at full
    '../_base_/models/hrda_daformer_sepaspp_mitb5.py',
    # GTA at 2560x1440 and Cityscapes at 2048x1024, crops of 1024x1024
    '../_base_/datasets/uda_gtaHR_to_cityscapesHR_1024x1024.py',
    '../_base_/uda/dacs_a999_fdthings.py',
    '../_base_/schedules/adamw_mit.py',
    '../_base_/schedules/poly10warm.py',
]

seed = 0
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=4,
    train=dict(
        # pseudo-labels do not count where Cityscapes shows its rectification border and the bonnet
        target=dict(crop_pseudo_margins={{_base_._margins}}),
        rare_class_sampling=dict(
            min_pixels={{_base_._min_pixels}},
            class_temp={{_base_._class_temp}},
            min_crop_ratio={{_base_._crop_ratio}})))
optimizer_config = None
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=40000)
checkpoint_config = dict(by_epoch=False, interval=40000, max_keep_ckpts=1)
evaluation = dict(interval=4000, metric='mIoU')

name = 'gtaHR2csHR_hrda'
exp = 'basic'
