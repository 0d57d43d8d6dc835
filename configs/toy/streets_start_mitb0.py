"""The small network on the clear synthetic streets, from nothing: what the demo's runs start from.

Commands: python tools/make_synthetic_streets.py data/streets_start --train 1000 --val 60 --test 0 \
              --size 256x128 --seed 1
          python tools/convert_datasets/cityscapes.py data/streets_start/cityscapes
          python run_experiments.py --config configs/toy/streets_start_mitb0.py \
              --data-root data/streets=data/streets_start
Score:    see docs/results.md for what was measured.
Cost:     3000 iterations of batch 8 at 128x128 crops; 25 minutes on one CPU core.
"""
_base_ = ['streets_source_mitb0_s0.py']

load_from = None  # this run makes the start of the others
data = dict(samples_per_gpu=8, workers_per_gpu=1)
optimizer = dict(lr=6e-4, paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=1.0))))
lr_config = dict(warmup_iters=200)
runner = dict(max_iters=3000)
log_config = dict(interval=100)
checkpoint_config = dict(interval=500)
evaluation = dict(interval=3000)

name = 'streets_start_mitb0'
