"""Translation of Cityscapes into ACDC with BDL's perceptual terms, seed 0.

The segmenter, DeepLabV2-R101, is one of the source (load_from): docs/methods/translation.md.

Command:  python run_experiments.py --config configs/translation/cs2acdc_bdl_dlv2_r101_s0.py
Score:    none; tools/translate.py makes the images.
Cost:     15k iterations of batch 4 on one GPU (20 epochs of the source). Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/deeplabv2_r101.py',
    '../_base_/datasets/uda_cityscapes_to_acdc_translation.py',
    '../_base_/uda/cycle_gan.py',
    '../_base_/schedules/adam_cycle_gan.py',
]

seed = 0
data = dict(samples_per_gpu=4, workers_per_gpu=4)
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=14880)
checkpoint_config = dict(by_epoch=False, interval=14880, max_keep_ckpts=1)
evaluation = None   # the segmenter does not learn
load_from = 'pretrained/cs_source_dlv2_r101.pth'

name = 'cs2acdc_bdl_dlv2_r101_s0'
exp = 'basic'
