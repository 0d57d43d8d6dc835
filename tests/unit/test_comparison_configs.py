"""The shipped configs of the compared methods: settings against the figures of the authors' code (facts.json
and comparisons.md of the shared folder)."""
from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from on_meta import on_meta

from mmseg.datasets.builder import leaf_configs
from mmseg.datasets.pipelines import Compose
from mmseg.engine.optimizer import build_optimizers
from mmseg.models.builder import build_train_model
from mmseg.utils.config import Config, load_config

CONFIGS = Path(__file__).parents[2] / 'configs'
MEAN = np.array([104.00698793, 116.66876762, 122.67891434])
SIZES = dict(gta=(1052, 1914), cityscapes=(1024, 2048), acdc=(1080, 1920))  # height, width
# config: (batch, horizon of the poly schedule, steps; learning rate and weight decay of the network)
SCHEDULES = {
    'advent/{}_advent': (1, 250000, 120000, 2.5e-4, 5e-4),
    'advent/{}_minent': (1, 250000, 120000, 2.5e-4, 5e-4),
    'bdl/{}_bdl': (1, 250000, 80000, 2.5e-4, 5e-4), 'bdl/{}_bdl_ssl': (1, 250000, 120000, 2.5e-4, 5e-4),
    'fda/{}_fda': (1, 150000, 100000, 2.5e-4, 5e-4), 'fda/{}_fda_ssl': (1, 150000, 100000, 2.5e-4, 5e-4),
    'dacs/{}_dacs': (2, 250000, 250000, 2.5e-4, 5e-4),
    'proda/{}_proda_warmup': (4, 90000, 62412, 1e-4, 2e-4),
    'proda/{}_proda_stage1': (4, 90000, 62412, 1e-4, 2e-4),
    'proda/{}_proda_stage2': (4, 90000, 62412, 6e-4, 2e-4),
    'proda/{}_proda_stage3': (4, 90000, 62412, 6e-4, 2e-4),
    'dannet/{}_dannet': (2, 50000, 50000, 2.5e-4, 5e-4)}
# config: tensors learnt ten times as fast, and others (facts.json, lr_x10_tensors, lr_x1_distinct)
GROUPS = {
    'advent/{}_advent': (16, 104), 'bdl/{}_bdl': (8, 104), 'fda/{}_fda': (8, 104), 'dacs/{}_dacs': (4, 104),
    'proda/{}_proda_warmup': (29, 312), 'proda/{}_proda_stage1': (0, 341), 'proda/{}_proda_stage2': (31, 312)}
# data set: shapes of a source and of a target image, (height, width) of the network's input at test
SHAPES = {
    'gta_to_cityscapes_advent': ((720, 1280), (512, 1024), (512, 1024)),
    'gta_to_cityscapes_fda': ((512, 1024), (512, 1024), (576, 1344)),
    'gta_to_cityscapes_dacs': ((512, 512), (512, 512), (512, 1024)),
    'gta_to_cityscapes_proda': ((512, 896), (512, 896), (1024, 2048)),
    'cityscapes_to_acdc_advent': ((512, 1024), (540, 960), (540, 960)),
    'cityscapes_to_acdc_fda': ((512, 1024), (512, 1024), (756, 1344)),
    'cityscapes_to_acdc_dannet': ((512, 512), (512, 512), (540, 960)),
    'cityscapes_to_acdc_mgcda': ((600, 600), (600, 600), (1080, 1920)),
    'gta_to_cityscapes_translation': ((452, 452), (452, 452), (512, 1024)),
    'cityscapes_to_acdc_translation': ((452, 452), (452, 452), (540, 960))}


@cache
def config(name: str, pair: str | None = None) -> Config:
    found = next(pair for pair in ('gta2cs', 'cs2acdc')
                 if (CONFIGS / f'{name.format(pair)}_dlv2_r101_s0.py').exists())
    return load_config(CONFIGS / f'{name.format(pair or found)}_dlv2_r101_s0.py')


def network_optimizer(cfg: Config) -> dict:
    return cfg.optimizer.get('student', cfg.optimizer)


@pytest.mark.parametrize('name', SCHEDULES)
def test_schedule(name):
    cfg = config(name)
    batch, horizon, steps, rate, decay = SCHEDULES[name]
    assert (cfg.data.samples_per_gpu, cfg.runner.max_iters) == (batch, steps)
    assert cfg.lr_config.power == 0.9 and cfg.lr_config.get('warmup') is None
    assert cfg.lr_config.get('horizon', steps) == horizon
    assert (cfg.lr_config.policy == 'StoppedPoly') == (horizon != steps)
    sgd = network_optimizer(cfg)
    assert (sgd.type, sgd.lr, sgd.momentum, sgd.weight_decay) == ('SGD', rate, 0.9, decay)
    if 'discriminator' in cfg.optimizer:
        adam = cfg.optimizer.discriminator
        assert (adam.type, adam.lr, tuple(adam.betas)) == ('Adam', 1e-4, (0.9, 0.99))


@pytest.mark.parametrize('name', GROUPS)
def test_what_is_learnt_ten_times_as_fast(name):
    cfg = config(name)
    cfg = Config({**cfg._cfg_dict.to_dict(), 'model': {**cfg.model, 'pretrained': None}})
    with on_meta():
        model = build_train_model(cfg)
    found = build_optimizers(model, cfg.optimizer)
    groups = (found['student'] if isinstance(found, dict) else found).param_groups
    counts = {group['lr'] / network_optimizer(cfg).lr: len(group['params']) for group in groups}
    fast, others = GROUPS[name]
    assert {round(factor): count for factor, count in counts.items()} == {
        factor: count for factor, count in ((10, fast), (1, others)) if count}


@pytest.mark.parametrize('name', SHAPES)
def test_images_as_the_authors_feed_them(name):
    data = load_config(CONFIGS / f'_base_/datasets/uda_{name}.py').data
    source, target = name.split('_to_')[0], name.split('_to_')[1].split('_')[0]
    parts = [(source, data.train.source), (target, data.train.target), (target, data.test)]
    for wanted, (domain, cfg) in zip(SHAPES[name], parts):
        [cfg] = leaf_configs(cfg)
        np.random.seed(0)
        bgr = np.broadcast_to(np.array([10, 20, 30], np.uint8), (*SIZES[domain], 3)).copy()
        results = dict(img=bgr, img_shape=bgr.shape, ori_shape=bgr.shape, pad_shape=bgr.shape, filename='x',
                       ori_filename='x', scale_factor=1.0, seg_fields=['gt_semantic_seg'],
                       gt_semantic_seg=np.zeros(SIZES[domain], np.uint8))
        steps = [step for step in cfg.pipeline if not step.type.startswith('Load')]
        img = Compose(steps)(results)['img']
        img = img[0] if isinstance(img, list) else img.data
        assert tuple(img.shape[1:]) == wanted
        rgb = np.array([30, 20, 10])
        expected = {'proda': rgb / 255, 'mgcda': rgb - 128.0,
                    'dannet': (rgb - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
                    }.get(name.split('_')[-1], np.array([10, 20, 30]) - MEAN)
        np.testing.assert_allclose(img.amax((1, 2)), expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(img.amin((1, 2)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('folder', ['advent', 'bdl', 'fda', 'dacs', 'proda', 'dannet'])
def test_each_method_has_daformer_s_network_too(folder):
    names = {path.stem for path in (CONFIGS / folder).glob('*.py')}
    names = {name for name in names if '_source_' not in name}  # DANNet's start, which DAFormer's has not
    of_resnet = {name for name in names if 'dlv2_r101' in name}
    assert of_resnet and names - of_resnet == {
        name.replace('dlv2_r101', 'daformer_mitb5') for name in of_resnet}
    for name in names - of_resnet:
        cfg = load_config(CONFIGS / folder / f'{name}.py')
        assert (cfg.data.samples_per_gpu, cfg.runner.max_iters, network_optimizer(cfg).lr) == (2, 40000, 6e-5)
        assert cfg.img_norm_cfg.to_rgb and cfg.model.backbone.type == 'mit_b5'
