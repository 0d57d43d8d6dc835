"""The schedule that the benchmark compares with is the same mathematics.

In float64: in float32 values beside the kink of a ReLU fall on one side or the other, as the machine rounds.
"""
from __future__ import annotations

import numpy as np
import pytest
import torch
from golden import fill
from hrda import DOUBLE, hrda
from uda_models import BALANCE, THINGS, batch, network, seed_all, uda_model

from benchmarks.released_schedule import ReleasedSchedule
from mmseg.models.uda.parts.mixed_batch import ENTROPY_PERCENTS

ASPP = dict(type='aspp', sep=True, dilations=(1, 6), pool=False, act_cfg=dict(type='ReLU'),
            norm_cfg=dict(type='BN', requires_grad=True))
STILL = dict(type='SGD', lr=0.0)


MASKED = dict(block_size=32)
# name → (network, settings of both, settings of ours alone)
CASES = {
    'ebda': (network(16, ASPP), dict(entropy_balance=BALANCE), {}),
    'ebda, joint encoder': (network(16, ASPP), dict(entropy_balance=BALANCE), dict(joint_encoder=True)),
    'mic': (network(16, ASPP), dict(masked=MASKED), {}),
    'hrda': (hrda(64, network(16, ASPP)), {}, {}),
    'mic on hrda': (hrda(64, network(16, ASPP)), dict(masked=MASKED), {})}


def method(model, **uda):
    return fill(uda_model(
        model, **uda, pseudo_weight_ignore_top=4, pseudo_weight_ignore_bottom=8,
        imnet_feature_dist_lambda=1.0, imnet_feature_dist_classes=THINGS,
        imnet_feature_dist_scale_min_ratio=0.75)).double().train()


@pytest.fixture(scope='module', params=CASES)
def steps(request):
    """((log values, gradients, what is drawn next) of ours, of the released schedule) after a step from the
    same state."""
    model, uda, own = CASES[request.param]
    ours = method(model, **uda, **own)
    # HRDA's crop of the details is a half of the image
    data = batch(7, size=128 if 'hrda' in request.param else 64, dtype=torch.float64)
    seed_all(0)
    ours_log = ours.train_step(data, torch.optim.SGD(ours.model.parameters(), lr=0.0))['log_vars']
    drawn = [np.random.rand()]
    released = ReleasedSchedule(method(model, **uda), STILL)
    seed_all(0)
    released_log = released.train_step(data)
    drawn.append(np.random.rand())
    return tuple((log, {name: p.grad for name, p in model.model.named_parameters()}, next_one)
                 for log, model, next_one in zip((ours_log, released_log), (ours, released.method), drawn))


def test_log_values(steps):
    (ours, _, drawn), (released, _, drawn_there) = steps
    assert drawn == drawn_there
    entropies = {'mix.raw_entropy', *(f'mix.H.q{percent:02d}' for percent in ENTROPY_PERCENTS)}
    assert {'decode.loss_seg', 'src.loss_imnet_feat_dist', 'mix.decode.loss_seg',
            'l.pseudo_weight'} <= set(released) and set(ours) - entropies == set(released)
    for name, value in released.items():
        if not name.endswith('acc_seg'):  # pixels at a tie
            assert float(ours[name]) == pytest.approx(value, rel=DOUBLE), name


def test_gradients(steps):
    (_, ours, _), (_, released, _) = steps
    assert set(ours) == set(released)
    for name, gradient in released.items():
        # against the largest of all, because some are sums of values that cancel
        scale = max(gradient.abs().max(), 1e-3 * max(g.abs().max() for g in released.values()))
        assert (ours[name] - gradient).abs().max() < DOUBLE * scale, name
    assert any(gradient.abs().max() > 0.01 for gradient in released.values())
