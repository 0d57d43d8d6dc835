"""Learning rates and weight decays of DAFormer's optimiser, and its schedule, against golden values."""
from __future__ import annotations

import json
from collections import Counter
from unittest.mock import patch

import pytest
import torch
from golden import DATA
from mmcv import Config
from mmcv.runner import build_optimizer as mmcv_build_optimizer
from on_meta import on_meta
from torch import nn

from mmseg.engine.optimizer import build_optimizer
from mmseg.engine.runner import IterBasedRunner
from mmseg.models.builder import build_train_model
from mmseg.utils import UserError, get_root_logger

GOLDEN = json.loads((DATA / 'golden_optimizer.json').read_text(encoding='utf-8'))
CONFIG = DATA.parents[1] / 'configs/daformer/gta2cs_uda_warm_fdthings_rcs_croppl_a999_daformer_mitb5_s0.py'


@pytest.fixture(scope='module')
def cfg() -> Config:
    return Config.fromfile(str(CONFIG))


def test_settings_of_every_parameter(cfg):
    with on_meta():
        model = build_train_model(cfg)
    groups = build_optimizer(model, cfg.optimizer).param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    found = {names[id(p)]: f'{group["lr"]:g} {group["weight_decay"]:g}'
             for group in groups for p in group['params']}
    expected = {f'model.{name}': key for key, of_key in GOLDEN['names_by_lr_and_weight_decay'].items()
                for name in of_key}
    assert len(expected) == 1086
    assert found == expected
    assert len(groups) == len(GOLDEN['names_by_lr_and_weight_decay']), 'one group for equal settings'
    assert {group['betas'] for group in groups} == {(0.9, 0.999)}


def test_schedule_of_the_learning_rate(cfg, tmp_path):
    optimizer = torch.optim.AdamW([dict(params=[nn.Parameter(torch.zeros(1))], lr=cfg.optimizer.lr),
                                   dict(params=[nn.Parameter(torch.zeros(1))], lr=10 * cfg.optimizer.lr)])
    model = nn.Identity()
    model.train_step = None
    runner = IterBasedRunner(model, optimizer, str(tmp_path), get_root_logger(), cfg.runner.max_iters,
                             torch.device('cpu'))
    runner.register_lr_hook(cfg.lr_config)
    runner.call_hook('before_run')
    for step, lr in GOLDEN['lr_at'].items():
        runner._iter = int(step)
        runner.call_hook('before_train_iter')
        of_groups = [group['lr'] for group in optimizer.param_groups]
        assert of_groups == pytest.approx([lr, 10 * lr], rel=1e-6), step


def test_frozen_parameters_are_left_out():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    optimizer = build_optimizer(model, dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True))
    trained = [id(p) for group in optimizer.param_groups for p in group['params']]
    assert trained == [id(p) for p in model[1].parameters()]
    assert optimizer.defaults['nesterov'] and optimizer.defaults['momentum'] == 0.9
    with pytest.raises(UserError, match='no parameter to train'):
        build_optimizer(model[0], dict(type='SGD', lr=0.1))


def test_groups_keep_the_update_of_single_parameters():
    """Three steps with grouped parameters equal three with one group a parameter."""
    updated = []
    for grouped in (True, False):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
        settings = dict(lr=0.1, weight_decay=0.5)
        if grouped:
            optimizer = build_optimizer(
                model, dict(type='AdamW', **settings, paramwise_cfg=dict(norm_decay_mult=0.0)))
            assert Counter(len(group['params']) for group in optimizer.param_groups) == {4: 1, 2: 1}
        else:
            optimizer = torch.optim.AdamW(
                [dict(params=[p], weight_decay=0.0 if name.startswith('1') else 0.5)
                 for name, p in model.named_parameters()], **settings)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()
        updated.append([p.detach() for p in model.parameters()])
    torch.testing.assert_close(updated[0], updated[1])


@pytest.mark.parametrize('cfg, hint', [
    (dict(type='AdamWW', lr=0.1), "did you mean 'AdamW'"),
    (dict(type='SGD', lr=0.1, momentun=0.9), 'momentun'),
    (dict(lr=0.1), 'AdamW'), (dict(type='SGD', lr=-1), '-1')])
def test_mistakes_in_the_settings(cfg, hint):
    with pytest.raises(UserError, match=hint):
        build_optimizer(nn.Linear(2, 2), cfg)


def test_settings_of_a_json_config_are_lists():
    adamw = build_optimizer(nn.Linear(2, 2), dict(
        type='AdamW', lr=0.1, betas=[0.9, 0.99], paramwise_cfg=dict(bias_lr_mult=2.0)))
    assert [tuple(group['betas']) for group in adamw.param_groups] == [(0.9, 0.99)] * 2


@pytest.mark.parametrize('settings', [
    dict(lr=1e-3, weight_decay=0.01), dict(lr=1e-3),
    dict(lr=1e-3, weight_decay=0.0, constructor='DefaultOptimizerConstructor')])
def test_groups_are_those_of_mmcv_joined(settings):
    last = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LayerNorm(4), last)
    last[0].requires_grad_(False)
    paramwise = dict(custom_keys={'2.1': dict(lr_mult=10.0)}, bias_lr_mult=2.0)
    built = build_optimizer(model, dict(settings, type='AdamW', paramwise_cfg=paramwise))
    single = mmcv_build_optimizer(model, dict(settings, type='AdamW', paramwise_cfg=paramwise))
    expected: dict[tuple, list] = {}
    for group in single.param_groups:
        expected.setdefault((group['lr'], group['weight_decay']), []).extend(
            id(p) for p in group['params'] if p.requires_grad)
    assert {(group['lr'], group['weight_decay']): [id(p) for p in group['params']]
            for group in built.param_groups} == expected
    assert len(built.param_groups) == len(expected) == 3


def test_torch_compares_few_groups():
    """It compares each with all before it, which took seconds for a thousand."""
    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(20)))
    with patch.object(torch.optim.AdamW, 'add_param_group', autospec=True,
                      side_effect=torch.optim.AdamW.add_param_group) as added:
        build_optimizer(model, dict(type='AdamW', lr=0.1, paramwise_cfg=dict(bias_lr_mult=2.0)))
    assert added.call_count == 4, 'two groups, before and after it is known which are fused'


def test_a_parameter_of_two_modules_is_trained_once_if_so_asked():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    cfg = dict(type='SGD', lr=0.1, paramwise_cfg=dict(bias_lr_mult=2.0))
    with pytest.raises(UserError, match='belongs to two modules.*bypass_duplicate'):
        build_optimizer(model, cfg)
    cfg['paramwise_cfg']['bypass_duplicate'] = True
    with pytest.warns(UserWarning, match='duplicate'):
        groups = build_optimizer(model, cfg).param_groups
    assert sum(len(group['params']) for group in groups) == 3
