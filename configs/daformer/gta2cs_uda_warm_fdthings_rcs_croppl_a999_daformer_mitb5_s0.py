"""DAFormer, GTA to Cityscapes, seed 0 (DAFormer, CVPR 2022, last row of its ablations).

Command:  python run_experiments.py --config configs/daformer/gta2cs_uda_warm_fdthings_rcs_croppl_a999_daformer_mitb5_s0.py
Score:    published: 68.3 mIoU on Cityscapes val as the mean of seeds 0-2, 68.85 for the checkpoint
          that its authors distribute. Not measured here.
Cost:     40k iterations of batch 2 on one GPU; published on an RTX 2080 Ti (11 GB). Not measured here.
"""  # noqa: E501
_base_ = [
    '../_base_/default_runtime.py',
    # MiT-B5 encoder, context-aware feature fusion by a depthwise-separable ASPP
    '../_base_/models/daformer_sepaspp_mitb5.py',
    # GTA at 1280x720 and Cityscapes at 1024x512, crops of 512x512
    '../_base_/datasets/uda_gta_to_cityscapes_512x512.py',
    # DACS, teacher momentum 0.999, feature distance to ImageNet on the thing classes
    '../_base_/uda/dacs_a999_fdthings.py',
    # AdamW: 6e-5 for the encoder, ten times that for the head, no decay of norms and positions
    '../_base_/schedules/adamw_mit.py',
    # linear warm-up in 1500 iterations, then linear decay to 0
    '../_base_/schedules/poly10warm.py',
]

seed = 0
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=4,
    train=dict(
        # a source image is drawn by a rare class, and its crop has to show some of that class
        rare_class_sampling=dict(
            min_pixels={{_base_._min_pixels}},
            class_temp={{_base_._class_temp}},
            min_crop_ratio={{_base_._min_crop_ratio}})))
# the teacher has no class for these rows, so the pseudo-label there has weight 0
uda = dict(
    pseudo_weight_ignore_top={{_base_._ignored_rows.top}},
    pseudo_weight_ignore_bottom={{_base_._ignored_rows.bottom}})
optimizer_config = None
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=40000)
checkpoint_config = dict(by_epoch=False, interval=40000, max_keep_ckpts=1)
evaluation = dict(interval=4000, metric='mIoU')

# What follows names the run in logs and folders; nothing is chosen by it.
name = 'gta2cs_uda_warm_fdthings_rcs_croppl_a999_daformer_mitb5_s0'
exp = 'basic'
gpu_model = 'NVIDIAGeForceRTX2080Ti'
name_dataset = 'gta2cityscapes'
name_architecture = 'daformer_sepaspp_mitb5'
name_encoder = 'mitb5'
name_decoder = 'daformer_sepaspp'
name_uda = 'dacs_a999_fdthings_rcs0.01_cpl'
name_opt = 'adamw_6e-05_pmTrue_poly10warm_1x2_40k'
