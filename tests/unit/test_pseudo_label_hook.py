"""What the log tells of a self-training: right pseudo-labels by class, quantiles of the entropy."""
from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from data_trees import acdc, acdc_cfg, test_pipeline
from uda_models import BALANCE, batch, seed_all, sgd, tiny, uda_model

from mmseg.core.optimizer_step import OptimizerStep
from mmseg.datasets import build_dataset
from mmseg.engine.hooks import PercentTextLoggerHook, PseudoLabelHook
from mmseg.engine.hooks.pseudo_label_hook import PSEUDO_LABELS_FILE, buffers_kept, quality_of
from mmseg.engine.runner import IterBasedRunner
from mmseg.models.builder import build_train_model
from mmseg.models.losses import pixel_entropy
from mmseg.models.output import HeadOutput, SegOutput
from mmseg.models.uda.parts.mixed_batch import entropy_quantiles
from mmseg.utils import ConfigError

SURE = 0.15
BN_TINY = dict(tiny(), decode_head=dict(tiny()['decode_head'], norm_cfg=dict(type='BN')))


def runner_of(model, folder, *hooks) -> IterBasedRunner:
    runner = IterBasedRunner(model, sgd(model), str(folder), logging.getLogger('pseudo'), 4,
                             torch.device('cpu'), seed=3)
    runner.data_loader = SimpleNamespace(batch_sampler=SimpleNamespace(batch_size=2))
    for hook in hooks:
        runner.register_hook(hook)
    return runner


@pytest.fixture
def labelled_target(tmp_path) -> dict:
    return dict(acdc_cfg(acdc(tmp_path / 'acdc'), 'train'), pipeline=test_pipeline())


def states_after(folder, *hooks) -> list[dict]:
    seed_all(0)
    model = uda_model(BN_TINY, entropy_balance=BALANCE).train()
    runner = runner_of(model, folder, *hooks)
    for hook in hooks:
        hook.before_run(runner)
    for step in range(2):
        runner.train(batch(step, size=32))
    return model.state_dict()


def test_the_counts_are_those_of_a_hand(labelled_target, tmp_path):
    """Of the network as it stands, image by image."""
    hook = PseudoLabelHook(labelled_target, interval=2, images=2)
    seed_all(0)
    teacher = uda_model(BN_TINY).train().ema_model
    teacher.decode_head.conv_seg.weight.data.mul_(50)
    dataset = build_dataset(labelled_target, dict(test_mode=True))
    last = len(dataset) - 1
    found = hook.count(teacher, SURE, torch.device('cpu'))
    right = total = sure = sure_right = 0
    cars = [0, 0]
    for index in (0, last):
        image = dataset[index]['img'][0][None]
        with torch.no_grad(), buffers_kept(teacher):
            probability = torch.nn.functional.interpolate(
                teacher.encode_decode(image), dataset.get_gt_seg_map(index).shape, mode='bilinear').softmax(1)
        certainty, label = (x[0].numpy() for x in probability.max(1))
        truth = dataset.get_gt_seg_map(index)
        seen = truth != 255
        right, total = right + (label == truth)[seen].sum(), total + seen.sum()
        sure += (seen & (certainty >= SURE)).sum()
        sure_right += (seen & (certainty >= SURE) & (label == truth)).sum()
        cars = [cars[0] + ((label == 13) & (truth == 13)).sum(), cars[1] + (truth == 13).sum()]
    assert 0 < sure < total, 'the threshold divides'
    assert found['right'] == pytest.approx(right / total)
    assert found['confident'] == pytest.approx(sure / total)
    assert found['right_if_confident'] == pytest.approx(sure_right / sure)
    assert found['classes']['car']['recall'] == (pytest.approx(cars[0] / cars[1]) if cars[1] else None)


def test_a_training_is_the_same_with_it(labelled_target, tmp_path):
    hook = PseudoLabelHook(labelled_target, interval=1, images=2)
    plain, counted = states_after(tmp_path), states_after(tmp_path, hook)
    assert [key for key in plain if not torch.equal(plain[key], counted[key])] == []
    lines = [json.loads(line) for line in (tmp_path / PSEUDO_LABELS_FILE).read_text().splitlines()]
    assert [line['step'] for line in lines] == [1, 2]
    assert lines[0]['right'] != lines[1]['right'] or lines[0]['confident'] != lines[1]['confident']


def test_a_compiled_teacher_is_not_compiled_for_whole_images(labelled_target):
    teacher, compiled = uda_model(BN_TINY).train().ema_model, []
    teacher.backbone.compile(backend=lambda module, inputs: compiled.append(1) or module.forward)
    PseudoLabelHook(labelled_target, images=1).count(teacher, SURE, torch.device('cpu'))
    assert compiled == []


@pytest.mark.parametrize('uda', [dict(type='MinEnt'), dict(
    type='DACS', source_only=True, masked=dict(mode='separatesrc'))], ids=lambda uda: uda['type'])
def test_a_method_without_a_teacher_is_told(labelled_target, tmp_path, uda):
    model = build_train_model(dict(model=tiny(), uda=uda, runner=dict(max_iters=3)))
    with pytest.raises(ConfigError, match=f'{uda["type"]} has no teacher'):
        PseudoLabelHook(labelled_target).before_run(runner_of(model, tmp_path))


def test_shares_of_a_matrix():
    everything, confident = torch.tensor([[6, 2], [0, 0]]), torch.tensor([[3, 1], [0, 0]])
    found = quality_of(everything, confident, ('road', 'car'))
    assert found['right'] == 6 / 8 and found['confident'] == 4 / 8 and found['right_if_confident'] == 3 / 4
    road, car = found['classes'].values()
    assert road == dict(recall=0.75, precision=1.0, confident=0.5, right_if_confident=0.75)
    assert car == dict(recall=None, precision=0.0, confident=None, right_if_confident=None)


def test_quantiles_are_numpys():
    logits = torch.randn(2, 19, 7, 9, generator=torch.Generator().manual_seed(1)) * 3
    found = entropy_quantiles(SegOutput([], {'decode': HeadOutput(logits, None)}))
    expected = np.quantile(pixel_entropy(logits).numpy(), [0.05, 0.25, 0.5, 0.75, 0.95],
                           method='closest_observation')
    assert [*found] == [f'mix.H.q{q}' for q in ('05', '25', '50', '75', '95')]
    np.testing.assert_allclose([float(v) for v in found.values()], expected, atol=0.05)


def test_quantiles_stand_in_the_log_alone(tmp_path):
    """A step between two lines of the log does not compute them; a step with them is the same step."""
    def train(interval: int) -> tuple[list[set], dict]:
        seed_all(0)
        model = uda_model(tiny(), entropy_balance=BALANCE).train()
        runner = runner_of(model, tmp_path)
        logger, seen = PercentTextLoggerHook(by_epoch=False, interval=interval), []
        for step in range(4):
            logger.before_train_iter(runner)
            seed_all(step)
            logged = model.train_step(batch(step, size=32), OptimizerStep(sgd(model)))['log_vars']
            seen.append({key for key in logged if '.H.' in key})
            runner._iter += 1
        return seen, model.state_dict()

    seen, with_them = train(2)
    assert [len(keys) for keys in seen] == [0, 5, 0, 5] and 'mix.H.q50' in seen[1]
    none, without = train(100)
    assert none == [set()] * 4
    assert [key for key in without if not torch.equal(without[key], with_them[key])] == []
