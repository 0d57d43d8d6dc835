"""DAFormer, Cityscapes to ACDC, seed 0: the baseline of EBDA.

Command:  python run_experiments.py --config configs/daformer/cs2acdc_uda_warm_fdthings_rcs_croppl_a999_daformer_mitb5_s0.py
Score:    published: 55.4 mIoU on ACDC test (the server's). Not measured here.
Cost:     40k iterations of batch 2 on one GPU. Not measured here.
"""  # noqa: E501
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/daformer_sepaspp_mitb5.py',
    # Cityscapes at 1024x512 and ACDC at 960x540, crops of 512x512
    '../_base_/datasets/uda_cityscapes_to_acdc_512x512.py',
    '../_base_/uda/dacs_a999_fdthings.py',
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
    pseudo_weight_ignore_bottom={{_base_._ignored_rows.bottom}})
optimizer_config = None
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=40000)
checkpoint_config = dict(by_epoch=False, interval=40000, max_keep_ckpts=1)
evaluation = dict(interval=4000, metric='mIoU')

name = 'cs2acdc_uda_warm_fdthings_rcs_croppl_a999_daformer_mitb5_s0'
exp = 'basic'
name_dataset = 'cityscapes2acdc'
name_architecture = 'daformer_sepaspp_mitb5'
name_encoder = 'mitb5'
name_decoder = 'daformer_sepaspp'
name_uda = 'dacs_a999_fdthings_rcs0.01_cpl'
name_opt = 'adamw_6e-05_pmTrue_poly10warm_1x2_40k'
