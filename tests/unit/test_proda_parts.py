"""ProDA's pieces: prototypes, rectified labels, losses, and the strong view with its geometry, against golden
values of the authors' code."""
from __future__ import annotations

import random
from types import SimpleNamespace

import golden
import numpy as np
import pytest
import torch
from method_recipe import assert_agree, probabilities, sample, stack, up
from mmcv.runner.hooks.lr_updater import PolyLrUpdaterHook
from torchvision.transforms.v2 import functional as TF

from mmseg.models.builder import build_loss
from mmseg.models.losses import CrossEntropyLoss, DistillationLoss, PrototypeConsistencyLoss
from mmseg.models.uda.parts.prototypes import Prototypes, class_means
from mmseg.models.uda.parts.rectification import prototype_weight, rectified_label, rectify
from mmseg.models.uda.parts.strong_view import (
    COLOURS,
    GEOMETRY,
    GREY,
    StrongView,
    operation_matrix,
    resample,
    sharpness,
    warp_distances,
)
from mmseg.models.uda.parts.weak_view import WeakView, weak_views
from mmseg.utils import ConfigError, DataError

SEED = 4000
GRADIENT = 1e-3
CROP = (64, 96)
VIEWS = [WeakView((136, 272), (16, 32), CROP, False), WeakView((120, 240), (8, 60), CROP, True)]
CUTS = [(8, 40, 12, 44), (40, 60, 4, 30)]
PLAIN = [StrongView(CROP, flip=True, cutout=CUTS[0]), StrongView(CROP, cutout=CUTS[1])]
AFFINE = [StrongView(CROP, True, (('Rotate', 10.0),), CUTS[0]),
          StrongView(CROP, False, (('TranslateX', 12 / 96),), CUTS[1], translation_as_released=True)]


@pytest.fixture(scope='module')
def values():
    return golden.load('golden_proda.npz')


@pytest.fixture(scope='module')
def features():
    return stack(SEED + 100, 2, 256, 32, 64)


@pytest.fixture(scope='module')
def prediction():
    return stack(SEED + 200, 2, 19, 32, 64, 2.0).argmax(1)


def filled(**options) -> Prototypes:
    prototypes = Prototypes(**options)
    base = stack(SEED + 900, 1, 256, 8, 8)[0, :, 0, 0]
    prototypes.vectors.copy_(base + 0.7 * stack(SEED + 1000, 19, 256, 8, 8)[:, :, 0, 0])
    return prototypes


@pytest.fixture(scope='module')
def rectified(features):
    distance = filled().distance(weak_views(features, VIEWS))
    soft = up(probabilities(SEED + 300, 2, 19, *CROP), 16, 24)
    label, _ = rectified_label(soft, distance)
    return SimpleNamespace(distance=distance, soft=soft, label=label)


def leaf(offset: int, channels: int = 19, scale: float = 3.0) -> torch.Tensor:
    return stack(SEED + offset, 2, channels, 16, 24, scale).requires_grad_()


def assert_gradient(loss: torch.Tensor, x: torch.Tensor, expected: np.ndarray, stride: int = 37) -> None:
    assert_agree(sample(torch.autograd.grad(loss, x)[0], stride), expected, GRADIENT)


# ---------------------------------------------------------------- prototypes


@pytest.mark.parametrize('key, with_label', [('prototype', False), ('prototype_source', True)])
def test_means_of_an_image_s_classes(values, features, prediction, key, with_label):
    label = golden.label(SEED + 5, 2, 32, 64, cell=8).squeeze(1) if with_label else None
    means, present = class_means(features, prediction, label)
    assert present.nonzero()[:, 1].tolist() == values[f'{key}/ids'].tolist()
    assert_agree(sample(means[present], 41), values[f'{key}/vectors'])
    assert float(means[~present].abs().max()) == 0


def test_a_class_of_few_pixels_is_left_out():
    prediction = torch.zeros(1, 4, 5, dtype=torch.long)
    prediction[0, 0, :4], prediction[0, 1, :5] = 1, 2
    _, present = class_means(torch.ones(1, 3, 4, 5), prediction, num_classes=4, min_pixels=5)
    assert present.tolist() == [[True, False, True, False]]
    _, present = class_means(torch.ones(1, 3, 4, 5), prediction, num_classes=4, min_pixels=0)
    assert present.tolist() == [[True, True, True, False]]


def test_maps_of_two_sizes_are_told():
    with pytest.raises(DataError, match='expected one size'):
        class_means(torch.ones(1, 3, 4, 5), torch.zeros(1, 4, 6, dtype=torch.long))


@pytest.mark.parametrize('momentum, key', [(1e-4, 'after_moving'), (0.25, 'after_moving_momentum_0.25')])
def test_moving_average(values, features, prediction, momentum, key):
    prototypes = filled(momentum=momentum)
    assert_agree(sample(prototypes.vectors, 41), values['prototype/before'])
    prototypes.move(*class_means(features, prediction))
    assert_agree(sample(prototypes.vectors, 41), values[f'prototype/{key}'])
    assert_agree(prototypes.counts, values['prototype/after_moving_num'])


def test_running_mean(values, features, prediction):
    prototypes = Prototypes()
    prototypes.average(*class_means(features, prediction))
    assert_agree(sample(prototypes.vectors, 41), values['prototype/after_mean'])
    assert_agree(prototypes.counts, values['prototype/after_mean_num'])


def test_the_running_mean_forgets_beyond_its_cap():
    prototypes = Prototypes(num_classes=1, channels=1, max_count=2)
    for value in (3.0, 5.0, 10.0, 14.0):
        prototypes.average(torch.tensor([[[value]]]), torch.tensor([[True]]))
    # 3, 4, (2·4 + 10)/3 = 6, then (2·6 + 14)/3
    assert float(prototypes.vectors) == pytest.approx(26 / 3)
    assert float(prototypes.counts) == 2
    assert set(prototypes.state_dict()) == {'vectors', 'counts'}


def test_gradient_of_the_distance_is_the_direction(features):
    prototypes = filled()
    x = features[:, :, :2, :3].clone().requires_grad_()
    gradient, = torch.autograd.grad(prototypes.distance(x)[:, 4].sum(), x)
    difference = x.detach() - prototypes.vectors[4].view(1, -1, 1, 1)
    torch.testing.assert_close(gradient, difference / difference.norm(dim=1, keepdim=True))


# ------------------------------------------------------------- rectification


def test_weak_view_of_features(values, features):
    assert_agree(sample(weak_views(features, VIEWS), 1009), values['rectify/weak_feat'], GRADIENT)


def test_a_crop_outside_its_image_is_told():
    with pytest.raises(DataError, match='leaves the image'):
        WeakView((64, 96), (8, 0), CROP, False)(torch.zeros(1, 2, 32, 64))


def test_rectified_label(values, rectified):
    weight = prototype_weight(rectified.distance)
    assert_agree(sample(rectified.distance, 97), values['rectify/distance'], GRADIENT)
    assert_agree(sample(weight, 97), values['rectify/weight'], GRADIENT)
    assert_agree(sample(rectify(rectified.soft, weight), 97), values['rectify/soft'], GRADIENT)
    assert (sample(rectified.label, 5) != values['rectify/label']).sum() <= 1
    changed = (rectified.label != rectified.soft.argmax(1)).float().mean()
    assert float(changed) == pytest.approx(float(values['rectify/changed']), abs=2 / 768)


def test_uncertain_pixels_are_ignored_below_a_threshold(rectified):
    label, prob = rectified_label(rectified.soft, rectified.distance, threshold=0.5, ignore_index=250)
    assert torch.equal(label == 250, prob.amax(1) < 0.5)
    assert 0 < int((label == 250).sum()) < label.numel()


# -------------------------------------------------------------------- losses


LOSSES = [('rce', dict(type='ReverseCrossEntropyLoss'), True),
          ('ce', dict(type='CrossEntropyLoss', avg_non_ignore=True), True),
          ('mrkld', dict(type='ConfidenceRegularizationLoss'), False),
          ('mrent', dict(type='ConfidenceRegularizationLoss', kind='MRENT'), False)]


@pytest.mark.parametrize('name, config, labelled', LOSSES)
def test_loss_with_its_gradient(values, rectified, name, config, labelled):
    label = rectified.label.clone()
    label[:, :4] = 250
    x = leaf(400)
    loss = build_loss(config)(x, label, ignore_index=250) if labelled else build_loss(config)(x)
    assert_agree(loss, values[f'loss/{name}'])
    if name == 'mrent':  # not among the measured gradients: p_j·(ln p_j − Σ p ln p) / pixels
        prob = x.detach().softmax(1)
        expected = prob * (prob.log() - (prob * prob.log()).sum(1, keepdim=True)) / label.numel()
        torch.testing.assert_close(torch.autograd.grad(loss, x)[0], expected)
    else:
        assert_gradient(loss, x, values[f'loss/{name}/grad'])


@pytest.mark.parametrize('config', [LOSSES[0][1], LOSSES[1][1]])
def test_nothing_but_ignored_pixels_cost_nothing(config):
    x = leaf(400)
    loss = build_loss(config)(x, torch.full((2, 16, 24), 255))
    assert loss.item() == 0
    assert float(torch.autograd.grad(loss, x)[0].abs().max()) == 0


def test_reverse_cross_entropy_by_hand():
    """p = (3/4, 1/4), label 0: −(p_0·ln 1 + p_1·ln 1e-4)"""
    x = torch.tensor([3.0, 1.0]).log().view(1, 2, 1, 1)
    loss = build_loss(dict(type='ReverseCrossEntropyLoss'))(x, torch.zeros(1, 1, 1, dtype=torch.long))
    assert float(loss) == pytest.approx(0.25 * 4 * np.log(10), rel=1e-6)


def test_a_probability_below_its_floor_counts_as_the_floor_without_gradient():
    x = torch.tensor([40.0, 0.0]).view(1, 2, 1, 1).requires_grad_()
    loss = build_loss(dict(type='ReverseCrossEntropyLoss'))(x, torch.zeros(1, 1, 1, dtype=torch.long))
    assert loss.item() == pytest.approx(1e-7 * 4 * np.log(10), rel=1e-2)
    assert float(torch.autograd.grad(loss, x)[0].abs().max()) < 1e-12


def test_log_probabilities_can_be_handed_over():
    x = leaf(400)
    loss = build_loss(LOSSES[2][1])
    assert torch.equal(loss(x, log_prob=x.log_softmax(1)), loss(x))


def test_another_regularisation_is_told():
    with pytest.raises(ConfigError, match='MRKLD or MRENT'):
        build_loss(dict(type='ConfidenceRegularizationLoss', kind='MRL2'))


@pytest.mark.parametrize('key, as_released', [('distillation', True), ('distillation_corrected', False)])
def test_distillation(values, key, as_released):
    student, teacher = leaf(700), leaf(710)
    loss = DistillationLoss(as_released)(student, teacher)
    assert_agree(loss, values[f'{key}/loss'])
    assert_gradient(loss, student, values[f'{key}/grad'])
    assert not DistillationLoss(as_released)(student.detach(), teacher).requires_grad


@pytest.mark.parametrize('key, views', [('consistency', PLAIN), ('consistency_affine', AFFINE)])
def test_consistency(values, rectified, key, views):
    x = leaf(500, 256, 1.0)
    teacher, valid = warp_distances(rectified.distance, views)
    loss = PrototypeConsistencyLoss()(filled().distance(x), teacher, valid)
    assert float(valid.float().mean()) == pytest.approx(float(values[f'{key}/mask_mean']))
    assert_agree(loss, values[f'{key}/loss'])
    assert_gradient(loss, x, values[f'{key}/grad'], 499)


def test_consistency_reaches_the_student_alone():
    distances = leaf(500)
    valid = torch.ones(2, 1, 16, 24, dtype=torch.bool)
    loss = PrototypeConsistencyLoss()
    assert not loss(distances.detach(), distances, valid).requires_grad
    assert float(loss(distances, distances, valid)) == pytest.approx(0, abs=1e-7)
    assert float(loss(distances, 2 * distances, ~valid)) == 0


# --------------------------------------------------------------- strong view


def test_warped_distances(values, rectified):
    warped, valid = warp_distances(rectified.distance, AFFINE)
    assert_agree(sample(torch.where(valid, warped, torch.tensor(250.0)), 97), values['strong/distance'])


MAGNITUDES = [('Rotate', 17.0), ('ShearX', 0.23), ('ShearY', -0.17), ('TranslateX', 0.25),
              ('TranslateY', -0.125)]


@pytest.mark.parametrize('name, magnitude', MAGNITUDES)
def test_geometry_is_that_of_torchvision(name, magnitude):
    """Few pixels lie on the border between two and may go to either."""
    image = torch.rand(3, 48, 80, generator=torch.Generator().manual_seed(0))
    degrees = np.degrees(np.arctan(magnitude))
    expected = {
        'Rotate': lambda: TF.rotate(image, magnitude),
        'ShearX': lambda: TF.affine(image, 0, [0, 0], 1, [degrees, 0], center=[0, 0]),
        'ShearY': lambda: TF.affine(image, 0, [0, 0], 1, [0, degrees], center=[0, 0]),
        'TranslateX': lambda: TF.affine(image, 0, [round(-magnitude * 80), 0], 1, [0, 0]),
        'TranslateY': lambda: TF.affine(image, 0, [0, round(-magnitude * 48)], 1, [0, 0]),
    }[name]()
    ours = resample(image, operation_matrix(name, magnitude, (48, 80)), 0.0)
    assert (ours != expected).float().mean() < 0.01
    assert (image != expected).float().mean() > 0.5


@pytest.mark.parametrize('operation', [*GEOMETRY])
def test_map_follows_the_image(operation):
    """A map of the image's own blocks stays with them."""
    blocks = torch.rand(3, 12, 16, generator=torch.Generator().manual_seed(1))
    image = blocks.repeat_interleave(7, 1).repeat_interleave(7, 2)
    magnitude = GEOMETRY[operation][1] / 3
    view = StrongView((84, 112), True, ((operation, magnitude),), (14, 49, 21, 56))
    at_centres = view.image(image)[:, 3::7, 3::7]
    assert (view.map(blocks, fill=GREY) != at_centres).float().mean() < 0.02
    assert (blocks.flip(-1) != at_centres).float().mean() > 0.3


def test_translation_as_released_moves_maps_by_height():
    ramp = torch.arange(24.0).expand(1, 16, 24)
    view = dict(size=CROP, operations=(('TranslateX', 8 / 96),))
    assert StrongView(**view).map(ramp, -1.0)[0, 0, 5] == 5 + 2
    assert StrongView(**view, translation_as_released=True).map(ramp, -1.0)[0, 0, 5] == 5 + 3


@pytest.mark.parametrize('factor', [0.05, 0.6, 1.0])
def test_sharpness_is_torchvisions(factor):
    image = torch.rand(3, 9, 12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sharpness(image, factor), TF.adjust_sharpness(image, factor))


@pytest.mark.parametrize('name', [*COLOURS])
def test_colours_change_neither_places_nor_range(name):
    image = torch.rand(3, 16, 24, generator=torch.Generator().manual_seed(2)) * 0.7 + 0.1
    view = StrongView((16, 24), operations=((name, COLOURS[name][1][0]),))
    changed = view.image(image)
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
    assert torch.equal(changed, image) == (name == 'Identity')
    assert torch.equal(view.map(image), image)


def test_draws_cover_all_and_follow_the_seed():
    random.seed(5)
    views = [StrongView.draw((48, 96)) for _ in range(300)]
    random.seed(5)
    assert views[:3] == [StrongView.draw((48, 96)) for _ in range(3)]
    assert {name for view in views for name, _ in view.operations} == {*COLOURS, *GEOMETRY}
    assert all(len(view.operations) == 2 for view in views)
    assert 0.35 < np.mean([view.flip for view in views]) < 0.65
    boxes = np.array([view.cutout for view in views])
    sides = boxes[:, 1::2] - boxes[:, ::2]
    assert sides.max() == 16 and sides.min() >= 8 and boxes.min() == 0
    assert boxes[:, 1].max() == 96 and boxes[:, 3].max() == 48
    plain = StrongView.draw((48, 96), operations=0, cutout=0, flip=0)
    image = torch.rand(3, 48, 96)
    assert torch.equal(plain.image(image), image)


def test_an_unknown_operation_is_told():
    with pytest.raises(ConfigError, match="'Invert', expected one of Identity"):
        StrongView(CROP, operations=(('Invert', 1.0),))


# ------------------------------------------------------------------ schedule


def test_learning_rate_of_the_schedule(values):
    hook = PolyLrUpdaterHook(power=0.9, by_epoch=False)
    rates = [hook.get_lr(SimpleNamespace(iter=step, max_iters=90000), 1e-4) for step in (0, 1, 10, 1000)]
    assert_agree(np.array(rates), values['lr_poly'])


def test_ignored_pixels_are_left_out_of_the_mean():
    x, label = leaf(400), torch.full((2, 16, 24), 250)
    label[0, 0, 0] = 3
    alone = CrossEntropyLoss()(x[:1, :, :1, :1], label[:1, :1, :1])
    whole = CrossEntropyLoss(avg_non_ignore=True)(x, label, ignore_index=250)
    assert float(whole) == pytest.approx(float(alone), rel=1e-6)
