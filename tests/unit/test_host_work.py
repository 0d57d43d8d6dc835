"""What the runner does on the host around each step: only what has to be done."""
from __future__ import annotations

import copy
import logging
from types import SimpleNamespace

import pytest
import torch
from uda_models import tiny, uda_model

from mmseg.engine.runner import IterBasedRunner
from mmseg.models.uda.parts.ema_teacher import parameters_of


@pytest.fixture
def runner(tmp_path):
    model = uda_model(tiny(), imnet_feature_dist_lambda=0.1)
    made = IterBasedRunner(model, torch.optim.SGD(model.model.parameters(), lr=0.1), str(tmp_path),
                           logging.getLogger('host'), 9, torch.device('cpu'))
    made.data_loader = SimpleNamespace(batch_sampler=SimpleNamespace(batch_size=2))
    return made


def test_training_mode_is_set_where_it_was_left(runner, monkeypatch):
    seen, calls = [], []
    train = runner.model.train
    monkeypatch.setattr(runner.model, 'train', lambda mode=True: calls.append(mode) or train(mode))
    monkeypatch.setattr(runner.model, 'train_step', lambda *args: seen.append(
        {name: module.training for name, module in runner.model.named_modules()}) or dict(
        log_vars={}, num_samples=2))
    leave = [lambda: None, lambda: None, runner.model.eval, lambda: None,
             runner.model.model.decode_head.eval, lambda: runner.model.imnet_model.train()]
    counts = []
    for change in leave:
        runner.train({})
        counts.append(calls.count(True))
        change()
    runner.train({})
    assert counts == [1, 1, 1, 2, 2, 3] and calls.count(True) == 4
    assert all(modes == seen[0] for modes in seen)
    assert seen[0]['model'] and not seen[0]['imnet_model']


def test_parameters_are_those_that_the_network_has():
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    first = parameters_of(network)
    assert first is parameters_of(network)
    other = copy.deepcopy(network)
    assert parameters_of(other)[0] is other[0].weight
    network.to('meta')
    assert [p.device.type for p in parameters_of(network)] == ['meta'] * 4
