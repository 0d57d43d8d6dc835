"""A checkpoint that an earlier version wrote goes on as that version would have gone on.

The files of tests/data were written by commit db95f4c, before a method yielded its passes: two steps, a
checkpoint, two more steps whose log values and weights are kept. ``python tests/unit/test_runs_of_before.py``
writes them; do it only with a version whose numbers are to be kept. On the machine that wrote them the steps
are the same to the bit. Elsewhere a convolution may add in another order, so the test allows for rounding.
"""
from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from golden import DATA
from uda_models import BALANCE, BN, THINGS, batch, seed_all, tiny, uda_model

from mmseg.engine.optimizer import build_optimizer
from mmseg.engine.runner import IterBasedRunner
from mmseg.models.builder import build_train_model

ROUNDING = dict(rtol=1e-5, atol=1e-7)
SAVED, LAST = 2, 4  # steps
LOGGED_SINCE = ('/mix.h_entropy',)
QUANTILE = dict(BALANCE, target=dict(type='RunningQuantile', quantile=0.6, momentum=0.9))
EBDA = dict(
    entropy_balance=QUANTILE, mix_losses=[dict(BALANCE, target=1.0, loss_weight=0.3, loss_name='second')],
    imnet_feature_dist_lambda=0.05, imnet_feature_dist_classes=THINGS, imnet_feature_dist_scale_min_ratio=0.3,
    pseudo_weight_ignore_top=2, pseudo_weight_ignore_bottom=3, alpha=0.9, pseudo_threshold=0.06, blur=True,
    color_jitter_probability=0.2)
SGD = dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-3)
ADAMW = dict(type='AdamW', lr=1e-3, weight_decay=0.01, paramwise_cfg=dict(
    norm_decay_mult=0.0, custom_keys=dict(head=dict(lr_mult=10.0))))
# name → (settings of DACS or None for the source alone, optimizer, settings of the step)
RUNS: dict[str, tuple[dict | None, dict, dict]] = {
    'ebda': (EBDA, ADAMW, dict(grad_clip=dict(max_norm=0.5), cumulative_iters=2)),
    'joint': (dict(EBDA, joint_encoder=True), ADAMW, {}),
    'source': (None, SGD, {}),
}


def files(name: str) -> tuple[Path, Path]:
    return DATA / f'run_of_before_{name}.pth', DATA / f'run_of_before_{name}.npz'


def runner_of(name: str, folder: Path) -> IterBasedRunner:
    """With dropout, BatchNorm, and an auxiliary head."""
    uda, optimizer, step = RUNS[name]
    cfg = tiny(auxiliary=True)
    for head in (cfg['decode_head'], *cfg['auxiliary_head']):
        head.update(norm_cfg=BN, dropout_ratio=0.3)
    seed_all(11)
    model = build_train_model(dict(model=cfg, uda=None)) if uda is None else uda_model(cfg, **uda)
    runner = IterBasedRunner(model, build_optimizer(model, optimizer), str(folder),
                             logging.getLogger('before'), LAST, torch.device('cpu'), seed=5, **step)
    runner.data_loader = SimpleNamespace(batch_sampler=SimpleNamespace(batch_size=4))
    return runner


def train(runner: IterBasedRunner, steps: int) -> list[dict[str, float]]:
    """The log values of steps on batches that depend on their number alone."""
    logs = []
    for _ in range(steps):
        data = batch(40 + runner.iter, size=32, images=4, cell=8)
        if not hasattr(runner.model, 'ema_model'):
            data = {key: value for key, value in data.items() if not key.startswith('target')}
        runner.train(data)
        logs.append({key: float(value) for key, value in runner.outputs['log_vars'].items()})
    return logs


def end_of(runner: IterBasedRunner, steps: int) -> dict[str, np.ndarray]:
    """Log values and weights, by name, after ``steps`` more."""
    logs = train(runner, steps)
    found: dict[str, Any] = {f'log{i}/{key}': value for i, log in enumerate(logs)
                             for key, value in log.items()}
    found.update({f'weight/{key}': value.numpy() for key, value in runner.model.state_dict().items()
                  if not key.startswith('imnet_model')})
    return {key: np.asarray(value) for key, value in found.items()}


@pytest.mark.parametrize('name', RUNS)
def test_a_checkpoint_of_before_goes_on_as_it_would_have(name, tmp_path):
    checkpoint, expected = files(name)
    runner = runner_of(name, tmp_path)
    runner.resume(str(checkpoint))
    assert runner.iter == SAVED
    found = end_of(runner, LAST - SAVED)
    with np.load(expected) as golden:
        assert {key for key in found if not key.endswith(LOGGED_SINCE)} == set(golden)
        for key, value in golden.items():
            np.testing.assert_allclose(found[key], value, **ROUNDING, err_msg=key)


def write(name: str) -> None:
    checkpoint, expected = files(name)
    runner = runner_of(name, DATA)
    train(runner, SAVED)
    runner.save_checkpoint(str(DATA), checkpoint.name, create_symlink=False)
    np.savez_compressed(expected, **end_of(runner, LAST - SAVED))


if __name__ == '__main__':
    for each in RUNS:
        write(each)
