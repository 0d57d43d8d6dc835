"""Translation of Cityscapes into ACDC as MGCDA makes it, by a plain CycleGAN, seed 0.

Command:  python run_experiments.py --config configs/translation/cs2acdc_mgcda_s0.py
Score:    none; tools/translate.py --enlarge makes the images.
Cost:     134k iterations of batch 1 on one GPU (45 epochs of the source). Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/refinenet_r101.py',
    '../_base_/datasets/uda_cityscapes_to_acdc_mgcda.py',
    '../_base_/uda/cycle_gan.py',
    '../_base_/schedules/adam_cycle_gan.py',
]

seed = 0
model = dict(pretrained=None)   # nobody asks the segmenter
uda = dict(weights=dict(semantic=0.0, restored_semantic=0.0))
data = dict(
    samples_per_gpu=1,
    workers_per_gpu=4,
    train=dict(
        source=dict(pipeline={{_base_._translated}}, use_labels=False),
        target=dict(pipeline={{_base_._translated}})))
# the authors stop where their rate has not fallen yet
lr_config = dict(_delete_=True, policy='fixed', by_epoch=False)
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=133875)
checkpoint_config = dict(by_epoch=False, interval=133875, max_keep_ckpts=1)
evaluation = None

name = 'cs2acdc_mgcda_s0'
exp = 'basic'
