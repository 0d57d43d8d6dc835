"""Losses, accuracy and pixel sampling, each against numbers derived by hand or by a peer."""
from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmseg.core.seg import OHEMPixelSampler
from mmseg.models.builder import build_head, build_loss
from mmseg.models.losses import CrossEntropyLoss, EntropyBalanceLoss, RunningQuantile, accuracy, pixel_entropy
from mmseg.models.losses.entropy_balance_loss import observe_source
from mmseg.models.losses.supervision import supervise_head
from mmseg.models.output import HeadOutput
from mmseg.utils import UserError


@pytest.fixture
def logits():
    return torch.randn(2, 5, 6, 7, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def label():
    y = torch.randint(5, (2, 6, 7), generator=torch.Generator().manual_seed(1))
    y[:, :2] = 255
    return y


def probabilities(logits: torch.Tensor) -> np.ndarray:
    """In float64, by numpy."""
    e = np.exp(logits.detach().double().numpy())
    return e / e.sum(axis=1, keepdims=True)


def cross_entropies(logits: torch.Tensor, label: torch.Tensor) -> np.ndarray:
    """Of each pixel, 0 where it is ignored; by numpy."""
    p, y = probabilities(logits), label.numpy()
    picked = np.take_along_axis(p, np.where(y == 255, 0, y)[:, None], axis=1)[:, 0]
    return np.where(y == 255, 0, -np.log(picked))


# ------------------------------------------------------------- cross-entropy


def test_ignored_pixels_count_in_the_mean(logits, label):
    expected = cross_entropies(logits, label)
    loss = CrossEntropyLoss()(logits, label)
    assert float(loss) == pytest.approx(expected.sum() / label.numel(), rel=1e-5)


def test_mean_over_valid_pixels_on_request(logits, label):
    expected = cross_entropies(logits, label).sum() / (label != 255).sum()
    module = CrossEntropyLoss(avg_non_ignore=True)
    assert float(module(logits, label)) == pytest.approx(float(expected), rel=1e-5)
    assert float(module(logits, torch.full_like(label, 255))) == 0


def test_mean_weighted_by_class_on_request(logits, label):
    weights = [0.5, 1.0, 2.0, 3.0, 0.25]
    module = CrossEntropyLoss(class_weight=weights, avg_non_ignore=True, avg_class_weight=True)
    of_pixel = np.array([*weights, *[0] * 251])[label.numpy()]
    expected = (cross_entropies(logits, label) * of_pixel).sum() / of_pixel.sum()
    assert float(module(logits, label)) == pytest.approx(float(expected), rel=1e-5)
    assert float(module(logits, torch.full_like(label, 255))) == 0


@pytest.mark.parametrize('settings', [
    dict(avg_non_ignore=True), dict(class_weight=[1, 2]),
    dict(class_weight=[1, 2], avg_non_ignore=True, use_sigmoid=True)])
def test_a_mean_weighted_by_class_needs_its_weights(settings):
    with pytest.raises(UserError, match='avg_class_weight needs class_weight'):
        CrossEntropyLoss(avg_class_weight=True, **settings)


def test_pixel_and_class_weights(logits, label):
    weight = torch.rand(label.shape, generator=torch.Generator().manual_seed(2))
    of_class = [0.5, 1.0, 2.0, 0.0, 3.0]
    factor = weight.numpy() * np.asarray([*of_class, *[0] * 251])[label.numpy()]
    expected = cross_entropies(logits, label) * factor
    for reduction, value in (('mean', expected.mean()), ('sum', expected.sum())):
        module = CrossEntropyLoss(reduction=reduction, class_weight=of_class)
        assert float(module(logits, label, weight)) == pytest.approx(value, rel=1e-5)
    kept = CrossEntropyLoss(reduction='none', class_weight=of_class)(logits, label, weight)
    np.testing.assert_allclose(kept.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_loss_weight_is_left_to_the_caller(logits, label):
    assert torch.equal(CrossEntropyLoss(loss_weight=7.0)(logits, label), CrossEntropyLoss()(logits, label))


def test_binary_cross_entropy(logits, label):
    p = 1 / (1 + np.exp(-logits.double().numpy()))
    y = np.eye(256)[label.numpy()][..., :5].transpose(0, 3, 1, 2)
    each = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=1) * (label.numpy() != 255)
    assert float(CrossEntropyLoss(use_sigmoid=True)(logits, label)) == pytest.approx(each.mean(), rel=1e-5)


@pytest.mark.parametrize('cfg, nearest', [
    (dict(type='CrossEntropyLos'), 'CrossEntropyLoss'),
    (dict(type='CrossEntropyLoss', los_weight=1.0), 'loss_weight'),
    (dict(type='CrossEntropyLoss', reduction='average'), 'mean, sum or none'),
    (dict(type='EntropyBalanceLoss', targt=0.4), 'target'),
    (dict(type='EntropyBalanceLoss', target=dict(type='RunningQuantil')), 'RunningQuantile'),
    (dict(type='EntropyBalanceLoss', target=dict(type='RunningQuantile', quantil=0.5)), 'quantile'),
    (dict(type='EntropyBalanceLoss', target=dict(type='RunningQuantile', quantile=60)), '0–1'),
    (dict(type='EntropyBalanceLoss', target=-1), 'target, of entropies in nats, is -1'),
])
def test_mistakes_name_the_key(cfg, nearest):
    with pytest.raises(UserError, match=nearest):
        build_loss(cfg)


# ------------------------------------------------------------ entropy balance


def test_entropy_of_known_distributions():
    certain = torch.tensor([200.0, 0, 0]).view(1, 3, 1, 1)
    even = torch.zeros(1, 19, 1, 1)
    half = torch.tensor([math.log(0.5), math.log(0.25), math.log(0.25)]).view(1, 3, 1, 1)
    assert float(pixel_entropy(certain)) == 0
    assert float(pixel_entropy(even)) == pytest.approx(math.log(19))
    assert float(pixel_entropy(half)) == pytest.approx(1.5 * math.log(2))


def test_entropy_balance_against_numpy(logits):
    p = probabilities(logits)
    entropy = -(p * np.log(p)).sum(axis=1)
    np.testing.assert_allclose(pixel_entropy(logits).numpy(), entropy, rtol=1e-5)
    loss = EntropyBalanceLoss(target=0.4, loss_weight=9.0)(logits)
    assert float(loss) == pytest.approx(((entropy - 0.4) ** 2).mean(), rel=1e-5)


def test_gradient_of_the_entropy_balance(logits):
    small = logits[:1, :, :2, :2].double().requires_grad_()
    assert torch.autograd.gradcheck(EntropyBalanceLoss(target=0.4), small)


@pytest.mark.parametrize('top_logit, direction', [(8.0, 1), (0.5, -1)])
def test_certain_pixels_are_pulled_up_and_uncertain_ones_down(top_logit, direction):
    x = torch.tensor([top_logit, 0.3, 0.0, -0.2, 0.1]).view(1, 5, 1, 1).requires_grad_()
    before = pixel_entropy(x)
    assert (before < 0.4) == (direction > 0)
    gradient, = torch.autograd.grad(EntropyBalanceLoss(target=0.4)(x), x)
    assert ((pixel_entropy(x - 1e-2 * gradient) - before) * direction > 0).all()


def test_huge_logits_give_a_finite_gradient():
    x = torch.tensor([1e4, -1e4, 0.0]).view(1, 3, 1, 1).requires_grad_()
    EntropyBalanceLoss()(x).backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize('q', [0.0, 0.37, 0.6, 1.0])
def test_running_quantile(q):
    m = 0.75
    values = [torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(k)) for k in range(3)]
    target = RunningQuantile(quantile=q, momentum=m)
    expected = None
    for entropy in values:
        current = float(torch.quantile(entropy, q))
        expected = current if expected is None else m * expected + (1 - m) * current
        assert float(target(entropy)) == pytest.approx(expected, rel=1e-5)


def test_source_median_is_of_the_pixels_that_are_right():
    logits = torch.tensor([[4.0, 0, 0], [2, 0, 0], [1, 0, 0], [0, 3, 0], [0, 0, 0.5]]).T.reshape(1, 3, 1, 5)
    label = torch.tensor([0, 0, 255, 1, 0]).view(1, 1, 1, 5)  # the third is ignored, the last is wrong
    entropy = pixel_entropy(logits).flatten()
    loss = EntropyBalanceLoss(target=dict(type='SourceMedian', momentum=0.75))
    assert float(loss(logits)) == 0, 'before anything was seen'
    observe_source([loss, CrossEntropyLoss()], logits, torch.full_like(label, 255))
    assert float(loss(logits)) == 0, 'nothing right was seen'
    observe_source([loss], logits, label)
    first = float(sorted([entropy[0], entropy[1], entropy[3]])[1])
    assert float(loss.target.value) == pytest.approx(first)
    observe_source([loss], logits[..., :1], label[..., :1])
    expected = 0.75 * first + 0.25 * float(entropy[0])
    assert float(loss.target.value) == pytest.approx(expected)
    assert float(loss(logits)) == pytest.approx(float((entropy - expected).square().mean()), rel=1e-5)


def test_no_gradient_through_the_running_target(logits):
    """h is a number to the gradient: the loss with the running target has the gradient of the loss with
    that number."""
    running = EntropyBalanceLoss(target=dict(type='RunningQuantile', quantile=0.5))
    x = logits.clone().requires_grad_()
    gradient, = torch.autograd.grad(running(x), x)
    fixed, = torch.autograd.grad(EntropyBalanceLoss(target=float(running.target.value))(x), x)
    torch.testing.assert_close(gradient, fixed)
    assert not running.state_dict(), 'the weights of a model keep their names'


# ----------------------------------------------------------- accuracy, mining


def test_accuracy_divides_by_all_pixels():
    scores = torch.tensor([[0.1, 0.9, 0.6, 0.2], [0.9, 0.1, 0.4, 0.8]]).view(1, 2, 1, 4)
    assert float(accuracy(scores, torch.tensor([[[1, 0, 1, 255]]]))) == 50
    assert float(accuracy(scores, torch.tensor([[[1, 0, 1, 255]]]), thresh=0.9)) == 0
    assert float(accuracy(scores, torch.tensor([[[1, 0, 1, 255]]]), topk=2)) == 75


def hard_pixels(logits, label, threshold, min_kept) -> np.ndarray:
    """By sorting in plain Python: those less probable than ``threshold`` or than the pixel of rank
    ``min_kept`` an image."""
    p = probabilities(logits)
    valid = [(p[b, y, i, j], b, i, j) for (b, i, j), y in np.ndenumerate(label.numpy()) if y != 255]
    ranked = sorted(value for value, *_ in valid)
    rank = min(min_kept * len(label), len(ranked) - 1)
    weight = np.zeros(label.shape)
    for value, b, i, j in valid:
        weight[b, i, j] = value < max(threshold, ranked[rank])
    return weight


@pytest.mark.parametrize('threshold, min_kept', [(0.1, 1), (0.1, 12), (0.4, 2), (0.01, 1000)])
def test_hard_pixels_by_probability(logits, label, threshold, min_kept):
    sampler = OHEMPixelSampler(SimpleNamespace(ignore_index=255), threshold, min_kept)
    weight = sampler.sample(logits, label.unsqueeze(1))
    np.testing.assert_array_equal(weight.numpy(), hard_pixels(logits, label, threshold, min_kept))
    assert 0 < weight.sum() < label.numel()


def test_hard_pixels_by_loss(logits, label):
    losses = [CrossEntropyLoss(), CrossEntropyLoss(loss_weight=2)]
    context = SimpleNamespace(ignore_index=255, losses_decode=losses)
    weight = OHEMPixelSampler(context, min_kept=5).sample(logits, label.unsqueeze(1))
    hardest = np.sort(cross_entropies(logits, label).ravel())[-10]
    np.testing.assert_array_equal(weight.numpy(), cross_entropies(logits, label) >= hardest - 1e-6)
    assert context.losses_decode[0].reduction == 'mean'


def test_no_hard_pixel_where_all_are_ignored(logits, label):
    nothing = torch.full_like(label, 255).unsqueeze(1)
    for threshold in (None, 0.7):
        context = SimpleNamespace(ignore_index=255, losses_decode=[CrossEntropyLoss()])
        assert OHEMPixelSampler(context, threshold, 3).sample(logits, nothing).sum() == 0


def test_a_sampler_replaces_the_weights_of_the_pixels(logits, label):
    """With the weights of the mixture all 0, the mined pixels still have their loss."""
    sampler = dict(type='OHEMPixelSampler', thresh=None, min_kept=label[0].numel())
    head = build_head(dict(type='FCNHead', in_channels=4, channels=4, num_classes=5, sampler=sampler))
    terms = supervise_head(HeadOutput(logits, head), label.unsqueeze(1), torch.zeros(label.shape))
    assert float(terms.losses['loss_seg']) == pytest.approx(cross_entropies(logits, label).mean(), rel=1e-5)


def test_peer_cross_entropy(logits, label):
    expected = F.cross_entropy(logits, label, ignore_index=255)
    torch.testing.assert_close(CrossEntropyLoss(avg_non_ignore=True)(logits, label), expected)
