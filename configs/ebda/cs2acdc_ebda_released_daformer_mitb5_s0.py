"""EBDA, Cityscapes to ACDC, as released: 50k iterations of batch 1, seed 0.

The best checkpoint is chosen by the mIoU on the target's validation labels, as the released run
did; a report of its score has to say so. `cs2acdc_ebda_daformer_mitb5_s0.py` is the fair twin.

Command:  python run_experiments.py --config configs/ebda/cs2acdc_ebda_released_daformer_mitb5_s0.py
Score:    published: 58.75 mIoU on ACDC test (the server's). Not measured here.
Cost:     50k iterations of batch 1 on one GPU. Not measured here.
"""
_base_ = ['cs2acdc_ebda_daformer_mitb5_s0.py']

data = dict(samples_per_gpu=1)
runner = dict(max_iters=50000)
checkpoint_config = dict(interval=50000)
evaluation = dict(interval=2000, save_best='mIoU')

name = 'cs2acdc_ebda_released_daformer_mitb5_s0'
name_opt = 'adamw_6e-05_pmTrue_poly10warm_1x1_50k'
