"""MinEnt of ADVENT, GTA to Cityscapes, DeepLabV2-R101, seed 0.

As the authors, the best checkpoint on the target's validation images is taken; say so beside a score.
tools/test.py averages it with AdvEnt: docs/methods/advent.md.

Command:  python run_experiments.py --config configs/advent/gta2cs_minent_dlv2_r101_s0.py
Score:    published: averaged with AdvEnt 45.5 mIoU (authors' issue 7). Not measured here.
Cost:     120k iterations of batch 1 on one GPU. Not measured here.
"""
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/deeplabv2_r101_advent.py',
    '../_base_/datasets/uda_gta_to_cityscapes_advent.py',
    '../_base_/uda/minent.py',
    '../_base_/schedules/sgd_dlv2.py',
    '../_base_/schedules/poly09_over_250k.py',
]

seed = 0
data = dict(samples_per_gpu=1, workers_per_gpu=4)
n_gpus = 1
runner = dict(type='IterBasedRunner', max_iters=120000)
checkpoint_config = dict(by_epoch=False, interval=120000, max_keep_ckpts=1)
evaluation = dict(interval=2000, metric='mIoU', save_best='mIoU')

name = 'gta2cs_minent_dlv2_r101_s0'
exp = 'basic'
