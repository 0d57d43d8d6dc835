"""What a whole step of the self-training does: switches, log values, mistakes."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from uda_models import BALANCE, THINGS, batch, network, seed_all, sgd, uda_model

from mmseg.core.optimizer_step import OptimizerStep
from mmseg.models.losses import EntropyBalanceLoss
from mmseg.utils import UserError

SIZE = dict(size=64, cell=16)


def train(steps: int = 1, **uda) -> tuple[torch.nn.Module, list[dict]]:
    """A model after ``steps`` steps, and their outputs; everything seeded."""
    seed_all(0)
    model = uda_model(**uda).train()
    optimizer = sgd(model)
    outputs = []
    for step in range(steps):
        seed_all(step)
        outputs.append(model.train_step(batch(step, **SIZE), optimizer))
    return model, outputs


@pytest.fixture(scope='module')
def daformer():
    return train(3)


@pytest.fixture(scope='module')
def balanced():
    return train(3, entropy_balance=BALANCE)


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    assert a.keys() == b.keys()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_weight_zero_of_the_entropy_balance_is_daformer_to_the_bit(daformer, balanced):
    unweighted, outputs = train(3, entropy_balance={**BALANCE, 'loss_weight': 0.0})
    assert same_weights(unweighted, daformer[0])
    assert not same_weights(balanced[0], daformer[0])
    assert float(outputs[0]['log_vars']['mix.entropy']) == 0
    assert float(outputs[0]['log_vars']['mix.raw_entropy']) > 0
    for ours, theirs in zip(outputs, daformer[1]):
        for name, value in theirs['log_vars'].items():
            assert torch.equal(ours['log_vars'][name], value), name


def test_names_in_the_log(daformer, balanced):
    names = {'decode.loss_seg', 'decode.acc_seg', 'mix.decode.loss_seg', 'mix.decode.acc_seg',
             'l.pseudo_weight'}
    assert set(daformer[1][0]['log_vars']) == names
    assert set(balanced[1][0]['log_vars']) == names | {'mix.entropy', 'mix.raw_entropy'}
    assert daformer[1][0]['num_samples'] == 2
    values = list(balanced[1][0]['log_vars'].values())
    assert all(value.ndim == 0 and not value.requires_grad for value in values)


def test_logged_entropy_is_weighted(balanced):
    log = balanced[1][0]['log_vars']
    assert float(log['mix.entropy']) == pytest.approx(0.1 * float(log['mix.raw_entropy']))


def test_first_step_copies_the_student_into_the_teacher():
    model = uda_model().train()
    before = {name: p.clone() for name, p in model.get_model().named_parameters()}
    model.train_step(batch(0, **SIZE), sgd(model))
    for name, p in model.get_ema_model().named_parameters():
        assert torch.equal(p, before[name]), name
    assert any(not torch.equal(p, before[name]) for name, p in model.get_model().named_parameters())


@pytest.mark.parametrize('balance', [None, BALANCE])
def test_teacher_normalises_with_the_target_batch(balance):
    """Its running mean follows the target; the student's the source and the mixture, each seen once."""
    model = uda_model(entropy_balance=balance).train()
    name = 'decode_head.fuse_layer.bn.num_batches_tracked'
    model.train_step(batch(0, **SIZE), sgd(model))
    assert int(model.get_ema_model().state_dict()[name]) == 1
    assert int(model.get_model().state_dict()[name]) == 2


def test_entropy_balance_equals_a_further_loss_of_the_mixture(balanced):
    listed, outputs = train(3, mix_losses=[BALANCE])
    assert same_weights(listed, balanced[0])
    assert set(outputs[0]['log_vars']) == set(balanced[1][0]['log_vars'])


def test_several_losses_of_the_mixture():
    running = dict(type='EntropyBalanceLoss', target=dict(type='RunningQuantile'), loss_name='running')
    model, outputs = train(1, entropy_balance=BALANCE, mix_losses=[running])
    assert {'mix.entropy', 'mix.running'} <= set(outputs[0]['log_vars'])
    assert all(isinstance(module, EntropyBalanceLoss) for module in model.mix_losses)


@pytest.mark.parametrize('target', [dict(type='RunningQuantile', quantile=0.6), dict(type='SourceMedian')])
def test_running_target_is_part_of_the_training_state(target):
    running = {**BALANCE, 'target': target}
    model, outputs = train(1, entropy_balance=running)
    assert float(outputs[0]['log_vars']['mix.h_entropy']) == float(model.mix_losses[0].target.value)
    state = model.training_state()
    resumed = uda_model(entropy_balance=running)
    resumed.load_training_state(state)
    assert resumed.local_iter == 1
    assert float(resumed.mix_losses[0].target.value) == float(model.mix_losses[0].target.value) > 0


def test_feature_distance_is_logged_and_never_nan():
    """Without a thing in the batch the distance is 0."""
    fd = dict(imnet_feature_dist_lambda=0.5, imnet_feature_dist_classes=THINGS,
              imnet_feature_dist_scale_min_ratio=0.75)
    model = uda_model(**fd).train()
    optimizer = sgd(model)
    roads = batch(0, **SIZE)
    roads['gt_semantic_seg'] = torch.zeros_like(roads['gt_semantic_seg'])
    log = model.train_step(roads, optimizer)['log_vars']
    assert float(log['src.loss_imnet_feat_dist']) == 0
    cars = {**roads, 'gt_semantic_seg': roads['gt_semantic_seg'] + 13}
    log = model.train_step(cars, optimizer)['log_vars']
    assert float(log['src.loss_imnet_feat_dist']) > 0
    assert all(p.isfinite().all() for p in model.parameters())


def test_magnitude_of_the_source_gradients():
    """Mean over the parameters of the mean magnitude of the gradient of the source loss."""
    _, outputs = train(1, print_grad_magnitude=True)
    seed_all(0)
    student = uda_model().train().get_model()
    data = batch(0, **SIZE)
    losses = student(data['img'], data['img_metas'], gt_semantic_seg=data['gt_semantic_seg'])
    losses['decode.loss_seg'].backward()
    expected = np.mean([float(p.grad.abs().mean()) for p in student.parameters() if p.grad is not None])
    assert float(outputs[0]['log_vars']['src.grad_magnitude']) == pytest.approx(expected, rel=1e-4)


def test_joint_encoder_is_called_once(monkeypatch):
    """By the student; test_released_schedule.py compares its gradients."""
    seed_all(0)
    model = uda_model(joint_encoder=True).train()
    batches, forward = [], model.model.backbone.forward
    monkeypatch.setattr(model.model.backbone, 'forward', lambda img: batches.append(len(img)) or forward(img))
    model.train_step(batch(0, **SIZE), sgd(model))
    assert batches == [4]


def test_one_log_softmax_a_pass():
    """Cross-entropy and entropy balance share it, forward and backward; the teacher's softmax is another."""
    model = uda_model(entropy_balance=BALANCE).train()
    called = []

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            called.append(func.__name__)
            return func(*args, **(kwargs or {}))

    with Count():
        model.train_step(batch(0, **SIZE), sgd(model))
    assert [name for name in called if 'log_softmax' in name] == [
        '_log_softmax.default', '_log_softmax_backward_data.default'] * 2


def test_visuals_come_at_the_interval():
    _, outputs = train(3, debug_img_interval=2)
    assert [('visuals' in out) for out in outputs] == [True, False, True]
    assert outputs[2]['visuals']['step'] == 2


@pytest.mark.parametrize('paste', [True, False])
def test_ignored_pixels_are_pasted_as_configured(paste):
    model = uda_model(mix_ignore_label=paste, debug_img_interval=1).train()
    data = batch(0, **SIZE)
    data['gt_semantic_seg'] = torch.full_like(data['gt_semantic_seg'], 255)
    mask = model.train_step(data, sgd(model))['visuals']['mask']
    assert bool(mask.all()) == paste
    assert bool(mask.any()) == paste


def test_clipping_belongs_to_the_step():
    model = uda_model().train()
    log = model.train_step(batch(0, **SIZE), OptimizerStep(sgd(model), dict(max_norm=1e-3)))['log_vars']
    assert float(log['grad_norm']) > 1e-3
    norms = [p.grad.norm() ** 2 for p in model.get_model().parameters() if p.grad is not None]
    assert float(sum(norms)) ** 0.5 == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize('uda, hint', [
    (dict(joint_encoder=True, print_grad_magnitude=True), 'uda.joint_encoder=False'),
    (dict(alpa=0.9), 'alpha'), (dict(mix='cutmix'), 'class'), (dict(pseudo_treshold=0.9), 'pseudo_threshold'),
    (dict(entropy_balance=dict(type='EntropyBalance')), 'EntropyBalanceLoss')])
def test_mistakes_in_the_settings(uda, hint):
    with pytest.raises(UserError, match=hint):
        uda_model(**uda)


def test_mistake_in_the_network():
    with pytest.raises(UserError, match="did you mean 'mit_b0'"):
        uda_model({**network(), 'backbone': dict(type='mitb0')})


def test_feature_distance_needs_pretrained_weights():
    model = uda_model(imnet_feature_dist_lambda=0.1)
    with pytest.raises(UserError, match='model.pretrained'):
        model.init_weights()
