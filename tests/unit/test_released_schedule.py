"""The schedule that the benchmark compares with is the same mathematics."""
from __future__ import annotations

import pytest
import torch
from golden import fill
from uda_models import BALANCE, THINGS, batch, network, seed_all, uda_model

from benchmarks.released_schedule import ReleasedSchedule

ASPP = dict(type='aspp', sep=True, dilations=(1, 6), pool=False, act_cfg=dict(type='ReLU'),
            norm_cfg=dict(type='BN', requires_grad=True))
STILL = dict(type='SGD', lr=0.0)


def method(**uda):
    return fill(uda_model(
        network(16, ASPP), **uda, pseudo_weight_ignore_top=4, pseudo_weight_ignore_bottom=8,
        imnet_feature_dist_lambda=1.0, imnet_feature_dist_classes=THINGS,
        imnet_feature_dist_scale_min_ratio=0.75,
        entropy_balance=BALANCE)).train()


@pytest.fixture(scope='module', params=[False, True], ids=['', 'joint encoder'])
def steps(request):
    """((log values, gradients) of ours, of the released schedule) after a step from the same state."""
    ours = method(joint_encoder=request.param)
    seed_all(0)
    ours_log = ours.train_step(batch(7), torch.optim.SGD(ours.model.parameters(), lr=0.0))['log_vars']
    released = ReleasedSchedule(method(), STILL)
    seed_all(0)
    released_log = released.train_step(batch(7))
    return tuple((log, {name: p.grad for name, p in model.model.named_parameters()})
                 for log, model in ((ours_log, ours), (released_log, released.method)))


def test_log_values(steps):
    (ours, _), (released, _) = steps
    assert {'decode.loss_seg', 'src.loss_imnet_feat_dist', 'mix.decode.loss_seg', 'mix.entropy',
            'l.pseudo_weight'} <= set(released) <= set(ours)
    for name, value in released.items():
        if not name.endswith('acc_seg'):  # pixels at a tie
            assert float(ours[name]) == pytest.approx(value, rel=1e-4), name


def test_gradients(steps):
    (_, ours), (_, released) = steps
    assert set(ours) == set(released)
    for name, gradient in released.items():
        # against the largest of all, because some are sums of values that cancel
        scale = max(gradient.abs().max(), 1e-3 * max(g.abs().max() for g in released.values()))
        assert (ours[name] - gradient).abs().max() < 1e-3 * scale, name
    assert any(gradient.abs().max() > 0.01 for gradient in released.values())
