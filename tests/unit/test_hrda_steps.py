"""Training steps with HRDA equal those of the released code; with the entropy balance they are EBDA's."""
from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from golden import TOLERANCE, fill
from hrda import DOUBLE, GOLDEN, assert_measured, enlarge_first, hrda
from uda_models import BALANCE, THINGS, batch, losses_of_a_step, seed_all, sgd, tiny, uda_model

from mmseg.models.decode_heads import DAFormerHead

DISTANCE = dict(imnet_feature_dist_lambda=0.005, imnet_feature_dist_classes=THINGS,
                imnet_feature_dist_scale_min_ratio=0.75)
# values → (settings of the network, steps, precision). The losses of a second step show what the first made
# of the weights; a third tells nothing more.
CASES = {'steps_f64': ({}, 2, torch.float64), 'step_all': (dict(feature_scale='all'), 1, torch.float32)}


def data(seed: int, dtype: torch.dtype) -> dict:
    valid = torch.ones(2, 1, 256, 256, dtype=torch.uint8)
    valid[:, :, :15] = valid[:, :, -30:] = 0
    valid[..., :8] = valid[..., -8:] = 0
    return dict(batch(seed, 256, cell=64, dtype=dtype), valid_pseudo_mask=valid)


@pytest.mark.parametrize('case', CASES)
def test_steps(case, monkeypatch):
    settings, steps, dtype = CASES[case]
    tolerance = DOUBLE if dtype == torch.float64 else TOLERANCE
    if dtype == torch.float32:
        monkeypatch.setattr(DAFormerHead, '_embed', enlarge_first)
    model = fill(uda_model(hrda(128, **settings), **DISTANCE).to(dtype)).train()
    optimizer, known = sgd(model, 0.01), GOLDEN[case]
    for step in range(steps):
        seed_all(100 + step)
        values = data(100 + step, dtype)
        logged = (losses_of_a_step(model, values) if step
                  else model.train_step(values, optimizer)['log_vars'])
        drawn = np.random.rand(), random.random(), float(torch.rand(1, dtype=torch.float32))
        assert drawn == pytest.approx(known.get(f'step{step}/next_random', drawn), rel=1e-6)
        names = {key.partition('/')[2] for key in known if key.startswith(f'step{step}/')}
        assert names - logged.keys() <= {'next_random', 'crop_boxes', 'loss'}
        assert len(names & logged.keys()) == 10
        for name in names & logged.keys():
            assert_measured(logged[name], known[f'step{step}/{name}'], name, tolerance)
    state = model.state_dict()
    for key in [key for key in known if key.startswith('after/') and steps == 1]:
        assert_measured(state[key[6:]], known[key], key, tolerance)


def steps_of(crop: int = 16, steps: int = 2, **settings) -> tuple[list[dict], dict]:
    """Log values and the state after steps of a small network."""
    seed_all(7)
    model = uda_model(hrda(crop, tiny(), output_stride=4), **DISTANCE, **settings).train()
    optimizer = sgd(model, 0.01)
    logs = []
    for step in range(steps):
        seed_all(step)
        logs.append(model.train_step(batch(step, 32, cell=8), optimizer)['log_vars'])
    return logs, model.state_dict()


def test_weight_zero_of_the_entropy_balance_is_hrda_to_the_bit():
    (plain, expected), (logs, found) = steps_of(), steps_of(entropy_balance=dict(BALANCE, loss_weight=0.0))
    for step, log in enumerate(plain):
        for name, value in log.items():
            assert torch.equal(value, logs[step][name]), name
    assert [name for name, value in expected.items() if not torch.equal(value, found[name])] == []
    _, balanced = steps_of(entropy_balance=BALANCE)
    name = 'model.decode_head.scale_attention.conv_seg.weight'
    assert not torch.equal(balanced[name], expected[name]), 'the balance sees the fused logits'


def test_source_and_mixture_through_the_encoder_together_change_nothing_but_rounding():
    """With crops as large as the images, as crops are drawn when a pass begins."""
    ([apart], _), ([together], _) = steps_of(32, 1), steps_of(32, 1, joint_encoder=True)
    assert apart.keys() == together.keys()
    for name, value in apart.items():
        assert float(value) == pytest.approx(float(together[name]), rel=1e-4), name
