"""Schedules that stop early, against the learning rates of ADVENT's and DACS's code."""
from __future__ import annotations

from types import SimpleNamespace

import golden
import numpy as np
import pytest

from mmseg.engine.settings import build_lr_hook, check_settings
from mmseg.utils import ConfigError

STEPS = {'advent': [0, 1, 1000, 60000, 119999], 'dacs': [0, 1, 1000, 60000, 249999]}


def rate(cfg, step, max_iters, base=2.5e-4):
    hook = build_lr_hook({'power': 0.9, **cfg})
    return hook.get_lr(SimpleNamespace(iter=step, max_iters=max_iters), base)


@pytest.mark.parametrize('method', ['advent', 'dacs'])
@pytest.mark.parametrize('cfg, max_iters', [(dict(policy='StoppedPoly', horizon=250000), 120000),
                                            (dict(policy='poly'), 250000)])
def test_rate(method, cfg, max_iters):
    rates = [rate(cfg, step, max_iters) for step in STEPS[method]]
    np.testing.assert_allclose(rates, golden.load(f'golden_{method}.npz')['lr_poly'], rtol=1e-6)


def test_least_rate():
    assert rate(dict(policy='StoppedPoly', horizon=10, min_lr=1e-4), 10, 10) == 1e-4


def test_a_rate_that_is_flat_first():
    """CycleGAN's: the first half as it is, then in a line to 0."""
    rates = [rate(dict(policy='FlatPoly', power=1.0), step, 8, base=8.0) for step in range(9)]
    assert rates == [8, 8, 8, 8, 8, 6, 4, 2, 0]
    assert rate(dict(policy='FlatPoly', power=1.0, flat=0.0, min_lr=1.0), 4, 8, base=5.0) == 3
    with pytest.raises(ConfigError, match='lr_config.flat is 1'):
        build_lr_hook(dict(policy='FlatPoly', flat=1))


def test_a_run_longer_than_its_schedule_is_refused():
    settings = dict(data={}, lr_config=dict(policy='StoppedPoly', horizon=10))
    check_settings({**settings, 'runner': dict(max_iters=10)})
    with pytest.raises(ConfigError, match='horizon is 10, but the run has 11 steps'):
        check_settings({**settings, 'runner': dict(max_iters=11)})
    with pytest.raises(ConfigError, match='horizon'):
        build_lr_hook(dict(policy='StoppedPoly'))
