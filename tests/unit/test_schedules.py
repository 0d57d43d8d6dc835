"""Learning rates of several optimisers, each with its own schedule."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from experiments import generate_experiment_cfgs, resolve
from mmseg.engine.settings import build_lr_hook, check_settings
from mmseg.utils import ConfigError

OWN = dict(policy='poly', power=2.0, by_optimizer=dict(judge=dict(policy='poly', power=0.9, min_lr=0.5)))
NAMED = dict(student=dict(type='SGD'), judge=dict(type='Adam'))


def rates(cfg: dict, bases: dict[str, float], steps: list[int], max_iters: int) -> list[dict[str, float]]:
    optimizers = {name: torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base)
                  for name, base in bases.items()}
    runner = SimpleNamespace(optimizer=optimizers, max_iters=max_iters, iter=0)
    hook = build_lr_hook(cfg)
    hook.before_run(runner)
    found = []
    for runner.iter in steps:
        hook.before_train_iter(runner)
        found.append({name: one.param_groups[0]['lr'] for name, one in optimizers.items()})
    return found


def test_one_schedule_for_one_optimiser_and_another_for_the_rest():
    found = rates(OWN, dict(student=8.0, relight=4.0, judge=2.5), [0, 2, 3], 4)
    assert found == [dict(student=8.0, relight=4.0, judge=2.5),
                     dict(student=2.0, relight=1.0, judge=pytest.approx(2 * 0.5 ** 0.9 + 0.5)),
                     dict(student=0.5, relight=0.25, judge=pytest.approx(2 * 0.25 ** 0.9 + 0.5))]


def test_a_resumed_run_goes_on_in_both():
    """The rates of a checkpoint are those of its step, beside what they began with."""
    bases = dict(student=8.0, judge=2.5)
    optimizers = {name: torch.optim.SGD([dict(params=torch.zeros(1, requires_grad=True), initial_lr=base)],
                                        lr=base / 3) for name, base in bases.items()}
    runner = SimpleNamespace(optimizer=optimizers, max_iters=4, iter=2)
    hook = build_lr_hook(OWN)
    hook.before_run(runner)
    hook.before_train_iter(runner)
    [expected] = rates(OWN, bases, [2], 4)
    assert {name: one.param_groups[0]['lr'] for name, one in optimizers.items()} == expected


def test_discriminators_of_advseg_have_no_warm_up():
    """Of experiment 41: the network warms up over 1500 steps and falls in a line, its discriminators fall
    with the power 0.9 from the first step on."""
    cfg = resolve(generate_experiment_cfgs(41)[0])
    steps = [0, 750, 1500, 20000, 39999]
    bases = {name: one['lr'] for name, one in cfg['optimizer'].items()}
    for step, found in zip(steps, rates(cfg['lr_config'], bases, steps, 40000)):
        left, warm = 1 - step / 40000, min(1, step / 1500)
        assert found['student'] == pytest.approx(0.0025 * left * (warm + (1 - warm) * 1e-6))
        assert found['discriminator'] == pytest.approx(1e-4 * left ** 0.9)


@pytest.mark.parametrize('optimizer, schedule, told', [
    (NAMED, dict(jugde=dict(policy='poly')), "by_optimizer has 'jugde', and .* student, judge"),
    (dict(type='SGD', lr=1.0), dict(student=dict(policy='poly')), "'student', and .* has one optimiser"),
    (NAMED, dict(judge=dict(power=1.0)), "key 'policy' is missing"),
    (NAMED, dict(judge='poly'), "lr_config.by_optimizer.judge is 'poly', expected a dict with 'policy'"),
    (NAMED, dict(judge=dict(policy='StoppedPoly', horizon=1)), 'horizon is 1, but the run has 2 steps')])
def test_mistakes_are_told(optimizer, schedule, told):
    lr_config = dict(policy='poly', by_optimizer=schedule)
    with pytest.raises(ConfigError, match=told):
        check_settings(dict(data={}, runner=dict(max_iters=2), optimizer=optimizer, lr_config=lr_config))
