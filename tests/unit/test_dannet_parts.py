"""DANNet's pieces: the relighting network and its losses, the loss of the static classes, class weights and
pseudo-labels of day and night, against golden values of the authors' code."""
from __future__ import annotations

import json

import golden
import numpy as np
import pytest
import torch
from method_recipe import ToyMulti, assert_agree, logits, sample, stack, up

from mmseg.models.builder import build_loss
from mmseg.models.losses.light_loss import exposure, ssim_loss, total_variation
from mmseg.models.losses.static_loss import shifted_label
from mmseg.models.translation.resnet_generator import ResNetGenerator
from mmseg.models.uda.parts.day_night_label import day_night_label
from mmseg.models.uda.parts.discriminator import build_discriminator
from mmseg.models.utils.class_weight import TEST_STD, class_weights, reweight
from mmseg.utils import ConfigError

SEED = 5000
SIZE = (2, 96, 128)
GRADIENT = 1e-3
STATIC = 11


@pytest.fixture(scope='module')
def values():
    return golden.load('golden_dannet.npz')


@pytest.fixture(scope='module')
def image():
    return golden.image(SEED, *SIZE)


@pytest.fixture
def residual():
    return (0.3 * golden.image(SEED + 2, *SIZE)).requires_grad_()


# ---------------------------------------------------------------- relighting


GENERATORS = [('dannet_relight', 3, 'BN'), ('cyclegan_resnet9', 9, 'IN')]


@pytest.mark.parametrize('name, blocks, norm', GENERATORS)
def test_names_and_shapes_of_the_authors_weights(name, blocks, norm):
    expected = json.loads((golden.DATA / 'golden_generators.json').read_text())[name]
    with torch.device('meta'):
        state = ResNetGenerator(blocks, norm).state_dict()
    assert {key: list(entry.shape) for key, entry in state.items()} == expected


@pytest.mark.parametrize('mode', ['eval', 'train'])
def test_relighting(values, image, mode):
    network = golden.fill(ResNetGenerator()).train(mode == 'train')
    with torch.no_grad():
        assert_agree(sample(network(image), 331), values[f'relight/{mode}'])
    if mode == 'train':
        assert_agree(network.model[2].running_mean, values['relight/running_mean'])


def test_another_norm_is_told():
    with pytest.raises(ConfigError, match='expected BN or IN'):
        ResNetGenerator(norm='GN')


def light_terms(residual, image, night_mean):
    relit = image + residual
    return dict(tv=total_variation(residual), ssim=ssim_loss(relit, image).mean(),
                exposure=exposure(relit, night_mean))


@pytest.mark.parametrize('term', ['tv', 'ssim', 'exposure'])
def test_term_of_the_light_loss(values, image, residual, term):
    night_mean = golden.image(SEED + 1, *SIZE).mean()
    loss = light_terms(residual, image, night_mean)[term]
    assert_agree(loss, values[f'light/{term}'])
    gradient = torch.autograd.grad(loss, residual)[0]
    assert_agree(sample(gradient, 331), values[f'light/{term}/grad'], GRADIENT)
    alone = build_loss(dict(type='LightLoss', **{f'{name}_weight': float(name == term)
                                                 for name in ('tv', 'ssim', 'exposure')}))
    torch.testing.assert_close(alone(residual, image, night_mean), loss)


def test_light_loss(values, image, residual):
    night_mean = golden.image(SEED + 1, *SIZE).mean()
    assert float(night_mean) == pytest.approx(float(values['light/night_mean']), abs=1e-8)
    assert_agree(sample(ssim_loss(image + residual, image), 331), values['light/ssim_map'])
    assert_agree(build_loss(dict(type='LightLoss'))(residual, image, night_mean), values['light/total'])


def test_total_variation_by_hand():
    """One step of 2 in each of 3 rows, H·(W − 1) = 6: 2·3·4/6 for any number of like images"""
    image = torch.tensor([0.0, 0.0, 2.0]).expand(1, 1, 3, 3)
    assert float(total_variation(image)) == pytest.approx(4)
    assert float(total_variation(image.expand(5, -1, -1, -1))) == pytest.approx(4)
    assert float(total_variation(image.mT)) == pytest.approx(4)


# --------------------------------------------------------------- static loss


def static_loss(**options):
    return build_loss(dict(type='StaticLoss', class_weight=class_weights()[:STATIC].tolist(), **options))


@pytest.mark.parametrize('key, eight', [('static', False), ('static_eight_neighbours', True)])
def test_static_loss(values, key, eight):
    z = logits(SEED + 30, *SIZE)
    label = golden.label(SEED + 3, *SIZE, cell=8).squeeze(1)
    loss = static_loss(eight_neighbours=eight)(z, label)
    assert_agree(loss, values[key])
    gradient = torch.autograd.grad(loss, z)[0]
    assert_agree(sample(gradient, 997), values[f'{key}/grad'], GRADIENT)
    assert float(gradient[:, STATIC:].abs().max()) == 0


def test_labels_after_the_moves(values):
    label = golden.label(SEED + 3, *SIZE, cell=8).squeeze(1)
    label = label.masked_fill(label >= STATIC, 255)
    moved = shifted_label(label)
    assert (sample(moved, 13) == values['static/target_after']).all()
    changed = (moved != label).float().mean()
    assert float(changed) == pytest.approx(float(values['static/target_changed']), rel=1e-5)
    assert torch.equal(moved[:, 8:-8, 8:-8], label[:, 8:-8, 8:-8])


def test_a_neighbour_s_class_counts_in_the_paper_s_reading():
    """Two pixels of classes 0 and 1, the network sure of 1: the first is right only by its neighbour."""
    z = torch.tensor([[-3.0, -3.0], [3.0, 3.0]]).view(1, 2, 1, 2)
    label = torch.tensor([[[0, 1]]])
    loss = build_loss(dict(type='StaticLoss', class_weight=[1, 1], eight_neighbours=True))(z, label)
    p = 1 / (1 + np.exp(-6))
    assert float(loss) == pytest.approx(-(1 - p) * np.log(p), rel=1e-4)


def test_without_static_pixels_there_is_no_loss():
    z = logits(SEED, *SIZE)
    loss = static_loss()(z, torch.full(SIZE, 13))
    assert loss.item() == 0
    assert float(torch.autograd.grad(loss, z)[0].abs().max()) == 0


def test_static_loss_needs_weights():
    with pytest.raises(ConfigError, match='class_weight is empty'):
        build_loss(dict(type='StaticLoss', class_weight=[]))


# ------------------------------------------------- discriminators and source


def test_least_squares_adversary(values):
    # in float64: in float32 the sign of a value beside the kink of a leaky ReLU depends on the machine
    z = logits(SEED + 10, *SIZE).detach().double().requires_grad_()
    discriminator = golden.fill(build_discriminator(dict(kind='dannet'), 19)).double()
    answer = discriminator(torch.softmax(z, dim=1))
    assert_agree(sample(answer, 7), values['discriminator/out'])
    loss = build_loss(dict(type='AdversarialLoss', distance='mse'))
    assert_agree(loss(answer, 0), values['lsgan/source'])
    assert_agree(loss(answer, 1), values['lsgan/target'])
    gradient = torch.autograd.grad(loss(answer, 0), z)[0]
    assert_agree(sample(gradient, 997), values['lsgan/grad'], 1e-5)


def test_weighted_cross_entropy_of_the_source(values):
    network, relight = ToyMulti(), golden.fill(ResNetGenerator(), prefix='light.')
    image, label = golden.image(SEED + 50, 2, 64, 64), golden.label(SEED + 60, 2, 64, 64).squeeze(1)
    with torch.no_grad():
        scores = up(network(image + relight(image))[1], 64, 64)
    loss = build_loss(dict(type='CrossEntropyLoss', class_weight=class_weights().tolist(),
                           avg_non_ignore=True, avg_class_weight=True))
    assert_agree(loss(scores, label), values['step0/seg'])


# ------------------------------------------------------------- class weights


def test_class_weights(values):
    assert_agree(class_weights(), values['class_weight/train'])
    assert_agree(class_weights(std=TEST_STD), values['class_weight/test'])
    assert float(class_weights().mean()) == pytest.approx(1)
    assert float(class_weights([0.1, 0.2, 0.7], std=0.3).std()) == pytest.approx(0.3)


@pytest.mark.parametrize('frequency', [[0.5, 0.0], [1.0], [0.3, -0.1]])
def test_frequencies_that_have_no_logarithm_are_told(frequency):
    with pytest.raises(ConfigError, match='at least two above 0'):
        class_weights(frequency)


def test_weighted_logits_at_test(values):
    scores = stack(SEED + 90, 1, 19, 9, 17, 2.0)
    label = up(reweight(scores, class_weights(std=TEST_STD)), 64, 128).argmax(1)
    assert (sample(label, 17) != values['test/label']).sum() <= 1
    changed = (label != up(scores, 64, 128).argmax(1)).float().mean()
    assert float(changed) == pytest.approx(float(values['test/changed']), abs=2 / label.numel())


# -------------------------------------------------------------- pseudo-label


def test_label_of_day_and_night(values):
    """The labels of the first step, before which nothing has been learnt."""
    network, relight = ToyMulti(), golden.fill(ResNetGenerator(), prefix='light.')
    with torch.no_grad():
        night, day = (up(network(x + relight(x))[1], 96, 96) for x in (
            golden.image(SEED + 70, 2, 64, 64) - 0.5, golden.image(SEED + 80, 2, 64, 64)))
    label = day_night_label(day, night, class_weights())
    expected = values['step0/pseudo_label']
    assert (sample(label, 53) != expected).sum() <= 2


def test_label_of_day_and_night_by_hand():
    """Two static classes and a dynamic one; weights 1."""
    day = torch.tensor([[0.5, 0.0, 9.0], [0.3, 0.0, 9.0], [0.0, 0.0, 9.0]]).T.view(1, 3, 1, 3)
    night = torch.tensor([[0.0, 0.3, 0.1], [0.0, 0.3, 0.1], [0.0, 0.0, 0.1]]).T.view(1, 3, 1, 3)
    # 0.4 against 0.24; 0.06 against 0.24; the dynamic class by night alone
    assert day_night_label(day, night, torch.ones(3), static=2).tolist() == [[[0, 1, 255]]]
    assert day_night_label(day, night, torch.tensor([0.1, 1, 0]), static=2).tolist() == [[[1, 1, 0]]]
