"""CycleGAN as a method: what its segmenter and its pools do in a step."""
from __future__ import annotations

import copy

import pytest
import torch
from uda_models import batch, seed_all, tiny

from mmseg.core.optimizer_step import OptimizerStep
from mmseg.engine.optimizer import build_optimizers
from mmseg.models.builder import build_train_model
from mmseg.utils import ConfigError, DataError

ADAM = dict(generator=dict(type='Adam', lr=1e-3), discriminator=dict(type='Adam', lr=1e-3))
PLAIN = dict(semantic=0, restored_semantic=0)


def built(**settings) -> torch.nn.Module:
    seed_all(0)
    uda = dict(type='CycleGAN', blocks=1, channels=4, **settings)
    return build_train_model(dict(model=tiny(), uda=uda, runner=dict(max_iters=4))).train()


def step(model, number: int = 0) -> dict:
    seed_all(number)
    found = model.train_step(batch(number, size=32), OptimizerStep(build_optimizers(model, ADAM)))
    return found['log_vars']


def test_the_segmenter_judges_and_stays_as_it_is():
    model = built()
    before = copy.deepcopy(model.get_model().state_dict())
    log = step(model)
    assert float(log['sem_A']) > 0 and float(log['rec_sem_B']) > 0
    assert all(torch.equal(value, before[key]) for key, value in model.get_model().state_dict().items())
    assert not model.get_model().training and model.G_A.training


def test_plain_cyclegan_does_not_ask_it(monkeypatch):
    model = built(weights=PLAIN)
    monkeypatch.setattr(model.get_model(), 'forward', lambda *args: pytest.fail('asked'))
    assert set(step(model)) >= {'G_A', 'G_B', 'cycle_A', 'cycle_B', 'idt_A', 'idt_B', 'D_A', 'D_B'}
    assert not any('sem' in name for name in step(model))


def test_discriminators_see_images_of_earlier_steps(monkeypatch):
    model = built(pool_size=1)
    step(model, 0)
    [kept] = model.pools['fake_b'].images
    monkeypatch.setattr('random.random', lambda: 1.0)  # always an older one
    judged = []
    model.D_A.register_forward_pre_hook(lambda module, args: judged.append(args[0]))
    step(model, 1)
    assert any(torch.equal(images[:1], kept) for images in judged)


@pytest.mark.parametrize('change, told', [
    (lambda found: found.pop('target_img'), 'target_img is missing'),
    (lambda found: found.update(img=found['img'][:, :1]), 'img is of 1 channels')])
def test_other_data_is_refused(change, told):
    found = batch(0, size=32)
    change(found)
    with pytest.raises(DataError, match=told):
        built().passes(found)


@pytest.mark.parametrize('weights, told', [(dict(cycles=1), 'cycles'), (dict(cycle=-1), 'cycle')])
def test_weights_that_do_not_exist_are_refused(weights, told):
    with pytest.raises(ConfigError, match=told):
        built(weights=weights)
