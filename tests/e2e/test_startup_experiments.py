"""The startup experiments train their two steps on small crops of synthetic streets: every head, kind of
encoder and method of the tables. The networks of ``WHOLE`` are as deep as they are; of the others an encoder
has one block a stage or, a ResNet, 50 layers: test_zoo has every network whole.

All 32 take minutes, so `make test` runs those of ``IN_EVERY_RUN``, and CI all: `STARTUP_EXPERIMENTS=all
pytest tests/e2e/test_startup_experiments.py`.
"""
from __future__ import annotations

import json
import os
import shutil

import pytest
import torch
from programs import CROP, MIN_PIXELS, SMALL_WH, start

from experiments import generate_experiment_cfgs, resolve
from mmseg.models import build_backbone
from mmseg.synthetic import write_streets
from mmseg.synthetic.layouts import write_layout
from mmseg.utils.files import write_json

IN_EVERY_RUN = {'gta2cs_target-only_dlv2red_s50_poly10warm_s0',
                'gta2cs_target-only_upernet_ch256_mitb5_poly10warm_s0',
                'cs2acdc_dacs_a999_fdthings_rcs001_cpl_eb04x01_daformer_sepaspp_mitb5_poly10warm_s0'}
WHOLE = {*IN_EVERY_RUN, 'gta2cs_target-only_dlv2red_r101v1c_poly10warm_s0'}
CFGS = {f'{number}/{cfg["name"]}': cfg for number in (100, 101, 120)
        for cfg in generate_experiment_cfgs(number)
        if cfg['name'] in IN_EVERY_RUN or os.environ.get('STARTUP_EXPERIMENTS') == 'all'}


@pytest.fixture(scope='module')
def streets(tmp_path_factory):
    """GTA5, Cityscapes and ACDC with a few small streets, converted."""
    root = tmp_path_factory.mktemp('data')
    write_streets(root, train=4, val=1, test=1, size=SMALL_WH, nproc=1, progress=False)
    write_layout('gta', root, train=4, val=1, size=SMALL_WH, patterns=1)
    for name in ('gta', 'cityscapes', 'acdc'):
        assert start(f'tools.convert_datasets.{name}', root / name, '--nproc', 1) == 0
    return root


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory):
    """A file of encoder weights, drawn and not learned, for each MiT asked for."""
    folder = tmp_path_factory.mktemp('pretrained')

    def write(backbone: dict) -> str | None:
        if not backbone['type'].startswith('mit_'):
            return None
        path = folder / f'{backbone["type"]}_{backbone.get("depths")}.pth'
        if not path.exists():
            torch.save(build_backbone(backbone).state_dict(), path)
        return str(path)

    yield write
    shutil.rmtree(folder)


def small(node, streets) -> None:
    """Small images and crops of the streets, in place; what is the network's stays."""
    if isinstance(node, dict):
        if 'img_scale' in node:
            node['img_scale'] = SMALL_WH
        for key in {'RandomCrop': ['crop_size'], 'Pad': ['size']}.get(node.get('type'), []):
            node[key] = CROP
        if str(node.get('data_root', '')).startswith('data/'):
            node['data_root'] = str(streets) + node['data_root'].removeprefix('data')
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ():
        small(child, streets)


@pytest.mark.parametrize('name', CFGS)
def test_two_steps(name, streets, pretrained, run_program, tmp_path):
    cfg = resolve(CFGS[name])
    small(cfg['data'], streets)
    cfg['data']['workers_per_gpu'] = 0
    if 'rare_class_sampling' in cfg['data']['train']:
        cfg['data']['train']['rare_class_sampling']['min_pixels'] = MIN_PIXELS
    if CFGS[name]['name'] not in WHOLE:
        backbone = cfg['model']['backbone']
        backbone.update(dict(depth=50) if 'depth' in backbone else dict(depths=(1, 1, 1, 1)))
    cfg['model']['pretrained'] = pretrained(cfg['model']['backbone'])
    cfg['checkpoint_config'] = None  # a gigabyte each
    cfg['log_config'] = dict(interval=1, hooks=[dict(type='TextLoggerHook', by_epoch=False)])
    if 'uda' in cfg:
        cfg['uda'].update(debug_img_interval=100, pseudo_weight_ignore_bottom=4, pseudo_weight_ignore_top=2)
    write_json(tmp_path / 'run.json', cfg)
    run_program('run_experiments', '--config', 'run.json')
    [log] = tmp_path.glob('work_dirs/local-basic/*/*.log.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [line for line in lines if line.get('mode') == 'train']
    assert [line['iter'] for line in steps] == [1, 2]
    losses = [value for line in steps for key, value in line.items() if key.endswith('decode.loss_seg')
              or key == 'loss']
    assert len(losses) >= len(steps) and all(0 < loss < 1e3 for loss in losses), steps
    assert [line['iter'] for line in lines if line.get('mode') == 'val'] == [2]
