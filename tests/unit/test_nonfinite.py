"""Losses, gradients and weights that are no numbers."""
from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mmseg.core.optimizer_step import OptimizerStep
from mmseg.engine.finite import NonFiniteTracker, bad_parameter
from mmseg.utils import UserError


def test_the_first_bad_step_is_remembered_without_being_asked():
    watch = NonFiniteTracker()
    for step, loss in enumerate((0.5, math.inf, 0.25, math.nan)):
        watch.note(step, {'loss': torch.tensor(loss), 'grad_norm': torch.tensor(math.inf), 'lr': 0.1})
    assert watch.read() == 1
    watch = NonFiniteTracker()
    watch.note(7, {'loss': torch.tensor(1.0), 'other': -math.inf})
    assert watch.read() == 7


def test_a_bad_weight_or_running_statistic_is_named():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    assert bad_parameter(model) is None
    model[1].running_var[1] = math.inf
    assert bad_parameter(model) == '1.running_var'


@pytest.mark.parametrize('grad_clip', [None, dict(max_norm=1.0)])
def test_a_step_without_numbers_is_left_out(grad_clip):
    weight = nn.Parameter(torch.ones(3))
    step = OptimizerStep(torch.optim.Adam([weight], 0.1), grad_clip, nonfinite='skip')
    for factor, skipped in ((1.0, 0.0), (math.nan, 1.0), (2.0, 0.0)):
        before = weight.detach().clone()
        step.begin()
        step.backward((weight * factor).sum())
        assert step.finish()['skipped'] == skipped
        assert torch.equal(weight, before) == bool(skipped)
    assert weight.isfinite().all()
    with pytest.raises(UserError, match='nonfinite'):
        OptimizerStep(step.optimizers, nonfinite='sikp')
