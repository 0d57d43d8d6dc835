"""Translation of the clear synthetic streets into the adverse ones, for BDL and MGCDA.

Command:  python run_experiments.py --config configs/toy/streets_cyclegan_mitb0_s0.py
Score:    none; tools/translate.py makes the images.
Cost:     800 iterations of batch 1 at 128x128; minutes on two CPU cores.
"""
_base_ = [
    '../_base_/toy_runtime.py',
    '../_base_/models/daformer_sepaspp_mitb0_narrow.py',
    '../_base_/datasets/uda_streets_256x128.py',
    '../_base_/uda/cycle_gan.py',
    '../_base_/schedules/adam_cycle_gan.py',
]

data = dict(
    samples_per_gpu=1,
    workers_per_gpu=2,
    train=dict(source=dict(pipeline={{_base_.target_train_pipeline}}, use_labels=False)))
uda = dict(blocks=2, channels=16)
evaluation = None   # the segmenter does not learn

name = 'streets_cyclegan_mitb0_s0'
exp = 'basic'
