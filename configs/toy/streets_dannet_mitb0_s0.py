"""DANNet from clear to adverse synthetic streets, with the small network.

The streets need the clear pictures of the adverse places: tools/make_synthetic_streets.py … --references.

Command:  python run_experiments.py --config configs/toy/streets_dannet_mitb0_s0.py
Score:    not measured yet.
Cost:     800 iterations of batch 2 at 256x128; minutes on two CPU cores.
"""
_base_ = [
    '../_base_/toy_runtime.py',
    '../_base_/models/daformer_sepaspp_mitb0_narrow.py',
    '../_base_/datasets/uda_streets_256x128.py',
    '../_base_/uda/dannet.py',
    '../_base_/schedules/adamw_adam_toy.py',
    '../_base_/schedules/poly10warm_toy.py',
]

model = dict(type='RelitEncoderDecoder', relight=dict(channels=16))
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=2,
    train=dict(
        domains=dict(
            reference=dict(
                type='ACDCDataset',
                references=True,
                data_root='data/streets/acdc/',
                img_dir='rgb_anon/train',
                pipeline={{_base_.target_train_pipeline}},
                paired_with='target'))))

name = 'streets_dannet_mitb0_s0'
exp = 'basic'
