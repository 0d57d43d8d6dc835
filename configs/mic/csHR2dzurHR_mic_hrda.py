"""MIC(HRDA) (CVPR 2023), Cityscapes to Dark Zurich, seed 0.

Command:  python run_experiments.py --config configs/mic/csHR2dzurHR_mic_hrda.py
Score:    published: 60.2 mIoU on Dark Zurich test as the mean of seeds 0-2. Not measured here.
Cost:     40k iterations of batch 2 on one GPU, published: a Titan RTX (24 GB). Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    # DAFormer's network on the whole image at half the resolution and on crops at full
    '../_base_/models/hrda_daformer_sepaspp_mitb5.py',
    # Cityscapes at 2048x1024 and Dark Zurich at 1920x1080, crops of 1024x1024
    '../_base_/datasets/uda_cityscapesHR_to_darkzurichHR_1024x1024.py',
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
            min_crop_ratio={{_base_._crop_ratio}})))
# the first image of the source and the first of the target
uda = dict(masked=dict(mode='separate'))
optimizer_config = None
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=40000)
checkpoint_config = dict(by_epoch=False, interval=40000, max_keep_ckpts=1)
evaluation = dict(interval=4000, metric='mIoU')

name = 'csHR2dzurHR_mic_hrda'
exp = 'basic'
