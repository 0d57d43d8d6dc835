"""The small network of streets_start_mitb0.py, trained further on the same clear streets with their
brightness, contrast and colours changed at random. `python -m tools.publish_model RUN/latest.pth
demo/streets_start_mitb0.pth --half` made of it demo/streets_start_mitb0-47aba2bc.pth, where the runs of
the demo start.

Command:  python run_experiments.py --config configs/toy/streets_start_robust_mitb0.py \
              --data-root data/streets=data/streets_start --options load_from=RUN/latest.pth
          with RUN the folder of the run of streets_start_mitb0.py.
Score:    see docs/results.md for what was measured.
Cost:     2000 iterations of batch 8 at 128x128 crops; 17.5 minutes on one CPU core.
"""
_base_ = ['streets_start_mitb0.py']

img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
data = dict(train=dict(pipeline=[
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(256, 128)),
    dict(type='RandomCrop', crop_size=(128, 128), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    # a low contrast multiplies all values, as a short exposure does
    dict(type='PhotoMetricDistortion', brightness_delta=48, contrast_range=(0.3, 1.5),
         saturation_range=(0.3, 1.5)),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size=(128, 128), pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]))
optimizer = dict(lr=4e-4)
lr_config = dict(warmup_iters=50)
runner = dict(max_iters=2000)
checkpoint_config = dict(interval=500)
evaluation = dict(interval=500)

name = 'streets_start_robust_mitb0'
