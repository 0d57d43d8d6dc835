"""No step synchronizes with the GPU. The device here is torch's "meta": its tensors have shapes and no
values, so whatever would have to fetch one (``item``, ``if tensor``, ``unique``, ``nonzero``, ``cpu``)
fails."""
from __future__ import annotations

import random

import kornia
import pytest
import torch
from packaging import version
from test_method_contract import METHODS, built, data
from torch.utils._python_dispatch import TorchDispatchMode
from uda_models import BALANCE, META, THINGS, batch, network, seed_all, uda_model

from mmseg.core.optimizer_step import OptimizerStep
from mmseg.engine.finite import NonFiniteTracker
from mmseg.engine.optimizer import build_optimizers
from mmseg.utils.labels import present_classes

DEVICE = torch.device('meta')
OLD_KORNIA = version.parse(kornia.__version__) < version.parse('0.9')  # its contrast and hue wait


class NoBlockingCopies(TorchDispatchMode):
    """A copy to a device waits for all that is queued there, unless it is told not to."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        target = kwargs.get('device')
        if target is not None and torch.device(target) == DEVICE and args:
            source = args[0]
            if isinstance(source, torch.Tensor) and source.device.type == 'cpu' and source.ndim:
                assert kwargs.get('non_blocking'), f'{func} of a {tuple(source.shape)} synchronizes'
        return func(*args, **kwargs)


@pytest.fixture
def no_made_on_device(monkeypatch):
    """torch.tensor(…, device=…) copies and waits, too; modes do not see it."""
    def checked(original):
        def make(*args, **kwargs):
            device = kwargs.get('device')
            assert device is None or torch.device(device) != DEVICE, 'values are copied to the device'
            return original(*args, **kwargs)
        return make

    for name in ('tensor', 'as_tensor'):
        monkeypatch.setattr(torch, name, checked(getattr(torch, name)))


def seed_of_all_augmentations() -> int:
    """A seed whose step jitters and blurs."""
    for seed in range(100):
        random.seed(seed)
        if random.random() > 0.2 and random.random() > 0.5:
            return seed
    raise AssertionError


def moved(data: dict) -> dict:
    return {key: value.to(DEVICE) if isinstance(value, torch.Tensor) else value
            for key, value in data.items()}


def on_device(known_classes: bool, **uda) -> tuple[torch.nn.Module, dict]:
    model = uda_model(network(), entropy_balance=BALANCE, imnet_feature_dist_lambda=0.05, blur=True,
                      imnet_feature_dist_classes=THINGS, imnet_feature_dist_scale_min_ratio=0.75,
                      color_jitter_probability=1.0 if OLD_KORNIA else 0.2, **uda).train()
    data = batch(0, size=64, cell=16)
    if known_classes:
        data['img_metas'] = [dict(META, label_classes=present_classes(label.numpy()))
                             for label in data['gt_semantic_seg']]
    return model.to(DEVICE), moved(data)


@pytest.mark.parametrize('target, parts', [
    (None, 1), ('RunningQuantile', 1), ('SourceMedian', 1), ('RunningQuantile', 2)])
def test_a_step_does_not_wait(no_made_on_device, target, parts):
    loss = dict(type='EntropyBalanceLoss', target=dict(type=target), loss_name='running')
    model, data = on_device(True, mix_losses=[loss] if target else [])
    optimizer = torch.optim.AdamW(model.model.parameters(), lr=1e-3)
    step = OptimizerStep(optimizer, dict(max_norm=1.0), cumulative_iters=parts)
    seed_all(seed_of_all_augmentations())
    with NoBlockingCopies():
        log_vars = model.train_step(data, step)['log_vars']
        NonFiniteTracker().note(0, log_vars)
    assert {value.device for value in log_vars.values()} == {DEVICE}


@pytest.mark.parametrize('name', METHODS)
def test_a_step_of_no_method_waits(no_made_on_device, name):
    model, found = built(name), data(0)
    model.local_iter = 1  # the first step may look at what it starts from
    found['img_metas'] = [dict(META, label_classes=present_classes(label.numpy()))
                          for label in found['gt_semantic_seg']]
    found = moved(found)
    step = OptimizerStep(build_optimizers(model.to(DEVICE), METHODS[name][1]), dict(max_norm=1.0))
    seed_all(0)
    with NoBlockingCopies():
        log_vars = model.train_step(found, step)['log_vars']
    assert {value.device for value in log_vars.values()} == {DEVICE}


def test_classes_that_are_not_known_are_fetched():
    """The test above can fail."""
    model, data = on_device(False)
    seed_all(seed_of_all_augmentations())
    with pytest.raises(NotImplementedError, match='meta'):
        model.train_step(data, OptimizerStep(torch.optim.SGD(model.model.parameters(), lr=1e-3)))
