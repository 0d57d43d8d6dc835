"""ADVENT's and BDL's pieces: self-information, minimal entropy, discriminators and their losses, against
golden values of the authors' code."""
from __future__ import annotations

import json
import math

import golden
import pytest
import torch
from method_recipe import assert_agree, logits, low, sample, up

from mmseg.models.builder import build_loss
from mmseg.models.losses import AdversarialLoss, CrossEntropyLoss, MinEntLoss, self_information
from mmseg.models.uda.parts.discriminator import KINDS, FCDiscriminator, build_discriminator
from mmseg.utils import ConfigError, DataError

H, W = 96, 128
ADVENT, BDL = 1000, 3000
KIND_OF = {'advent': 'advent', 'bdl': 'bdl', 'proda_warmup': 'proda', 'dannet': 'dannet'}


@pytest.fixture(scope='module')
def advent():
    return golden.load('golden_advent.npz')


@pytest.fixture(scope='module')
def bdl():
    return golden.load('golden_bdl.npz')


def discriminator(kind: str, prefix: str = '') -> FCDiscriminator:
    return golden.fill(build_discriminator({'kind': kind}, 19), prefix=prefix)


def cross_entropy(z, seed, cell):
    label = golden.label(seed, len(z), H, W, cell=cell)[:, 0]
    return CrossEntropyLoss(avg_non_ignore=True)(up(z, H, W), label)


# ---------------------------------------------------------------------- entropy


def test_self_information_of_advent(advent):
    information = self_information(torch.softmax(logits(ADVENT, 2, H, W), 1))
    assert_agree(sample(information, 997), advent['self_information'])
    assert_agree(information.mean(), advent['self_information/mean'])


def test_self_information_of_certain_and_of_undecided_pixels():
    prob = torch.tensor([[1.0, 0, 0, 0], [0.25] * 4]).view(2, 4, 1, 1)
    expected = torch.tensor([[0.0] * 4, [0.25] * 4]).view(2, 4, 1, 1)
    torch.testing.assert_close(self_information(prob), expected)


@pytest.mark.parametrize('known', [False, True])
def test_minimal_entropy_of_advent(advent, known):
    z = logits(ADVENT, 2, H, W)
    loss = MinEntLoss()(z, torch.log_softmax(z, 1) if known else None)
    loss.backward()
    assert_agree(loss, advent['minent'])
    assert_agree(sample(z.grad, 997), advent['minent/grad'], 1e-3)


def test_minimal_entropy_of_confident_networks_has_a_gradient():
    """Probabilities below float32's least are exact zeros: 0·log ε is 0 and no NaN."""
    z = torch.zeros(1, 3, 2, 2)
    z[:, 0] = 200
    z.requires_grad_()
    MinEntLoss()(z).backward()
    assert torch.isfinite(z.grad).all()


# ----------------------------------------------------------------- discriminators


@pytest.mark.parametrize('name', KIND_OF)
def test_weights_of_a_discriminator_have_the_names_of_its_authors(name):
    expected = json.loads((golden.DATA / 'golden_discriminators.json').read_text())[name]
    state = build_discriminator({'kind': KIND_OF[name]}, 19).state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == expected


def test_answers_of_the_discriminators(advent, bdl):
    information = self_information(torch.softmax(logits(ADVENT, 2, H, W), 1))
    assert_agree(discriminator('advent')(information), advent['discriminator/out'])
    prob = torch.softmax(up(logits(BDL + 10, 2, low(H), low(W)), H, W), 1)
    assert_agree(discriminator('bdl')(prob), bdl['discriminator/out'])


@pytest.mark.parametrize('kind, sides', [
    ('advent', (2, 3)), ('bdl', (2, 3)), ('dannet', (13, 21)), ('proda', (4, 6))])
def test_strides_and_activations_of_each_kind(kind, sides):
    """By hand: a side s becomes ⌊(s + 2 − k)/stride⌋ + 1 at every convolution."""
    network = build_discriminator({'kind': kind}, 5)
    assert network(torch.zeros(1, 5, 64, 96)).shape == (1, 1, *sides)
    names = [type(m).__name__ for m in network if not isinstance(m, torch.nn.Conv2d)]
    assert names == (['ReLU'] * 3 + ['LeakyReLU'] if kind == 'proda' else ['LeakyReLU'] * 4)


@pytest.mark.parametrize('kind, least', [('advent', 32), ('bdl', 32), ('dannet', 16), ('proda', 1)])
def test_maps_too_small_for_one_answer_are_told(kind, least):
    """By hand, from the last convolution to the first: s needs (s − 1)·stride + k − 2·⌊(k − 1)/2⌋."""
    network = build_discriminator({'kind': kind, 'channels': (2, 2, 2, 2)}, 3)
    assert network(torch.zeros(1, 3, least, least)).shape == (1, 1, 1, 1)
    if least > 1:
        with pytest.raises(DataError, match=f'of 40x{least - 1}, and needs {least}x{least}: take larger'):
            network(torch.zeros(1, 3, least - 1, 40))


def test_keys_of_a_discriminator():
    narrow = build_discriminator({'kind': 'proda', 'channels': (8, 8, 8, 8)}, 19)
    assert narrow.conv4.weight.shape == (8, 8, 3, 3)
    assert build_discriminator({}, 19).conv1.weight.shape == (64, 19, 4, 4)
    assert set(KINDS) == set(KIND_OF.values())


@pytest.mark.parametrize('cfg, told', [
    ({'kind': 'advnet'}, "did you mean 'advent'"),
    ({'stride': (2,)}, "did you mean 'strides'"),
    ({'channels': (64, 128)}, 'needs 3 kernel_sizes, got 5'),
    ({'activations': ('relu', 'relu', 'relu', 'lrelu')}, "did you mean 'relu'"),
    ({'strides': 2}, 'strides of a discriminator is 2'),
    ({'names': 'letters'}, 'expected layers or numbers')])
def test_mistakes_in_a_discriminator_are_told(cfg, told):
    with pytest.raises(ConfigError, match=told):
        build_discriminator(cfg, 19)


# -------------------------------------------------------------------------- losses


def test_adversarial_losses_of_advent(advent):
    z = logits(ADVENT, 2, H, W)
    answer, bce = discriminator('advent')(self_information(torch.softmax(z, 1))), AdversarialLoss()
    assert_agree(bce(answer, 1), advent['bce/target'])
    loss = bce(answer, 0)
    loss.backward()
    assert_agree(loss, advent['bce/source'])
    assert_agree(sample(z.grad, 997), advent['adversarial/grad'], 1e-3)


def test_least_squares_by_hand():
    answer = torch.tensor([0.0, 1.0, 3.0]).view(1, 1, 1, 3)
    assert float(AdversarialLoss('mse')(answer, 1)) == pytest.approx((1 + 0 + 4) / 3)
    assert float(AdversarialLoss('bce')(answer[..., :1], 1)) == pytest.approx(math.log(2))


def test_the_network_of_advent_learns_from_four_losses(advent):
    maps = [logits(ADVENT + k, 2, low(H), low(W)) for k in (20, 30, 40, 50)]
    source, target = dict(zip(('aux', 'main'), maps[:2])), dict(zip(('aux', 'main'), maps[2:]))
    total = 0
    for head, weights in (('aux', (0.1, 2e-4)), ('main', (1, 1e-3))):
        segmentation = cross_entropy(source[head], ADVENT + 100, cell=32)
        information = self_information(torch.softmax(up(target[head], H, W), 1))
        adversarial = AdversarialLoss()(discriminator('advent', f'd_{head}.')(information), 0)
        assert_agree(segmentation, advent[f'generator/seg_{head}'])
        assert_agree(adversarial, advent[f'generator/adv_{head}'])
        total = total + weights[0] * segmentation + weights[1] * adversarial
    assert_agree(total, advent['generator/total'])
    total.backward()
    for name, z in (('src_main', source['main']), ('trg_main', target['main']), ('trg_aux', target['aux'])):
        assert_agree(sample(z.grad, 7), advent[f'generator/grad_{name}'], 1e-3)


def test_the_network_of_bdl_learns_from_three_losses(bdl):
    source, target = logits(BDL, 2, low(H), low(W)), logits(BDL + 10, 2, low(H), low(W))
    judge, bce = discriminator('bdl'), AdversarialLoss()
    of_source, of_target = cross_entropy(source, BDL + 40, 8), cross_entropy(target, BDL + 41, 8)
    adversarial = bce(judge(torch.softmax(up(target, H, W), 1)), 0)
    total = of_source + 1e-3 * adversarial
    for value, key in ((of_source, 'step/seg_src'), (of_target, 'step/seg_trg'), (adversarial, 'step/adv'),
                       (total, 'step/total'), (total + of_target, 'step_ssl/total')):
        assert_agree(value, bdl[key])
    gradient, = torch.autograd.grad(adversarial, target, retain_graph=True)
    assert_agree(sample(gradient, 7), bdl['step/adv_grad'], 1e-3)
    (total + of_target).backward()
    assert_agree(sample(source.grad, 7), bdl['step_ssl/grad_src'], 1e-3)
    assert_agree(sample(target.grad, 7), bdl['step_ssl/grad_trg'], 1e-3)


def test_the_discriminator_of_bdl_learns_from_two_halves(bdl):
    judge, bce = discriminator('bdl'), AdversarialLoss()
    for seed, label, key in ((BDL, 0, 'loss_src'), (BDL + 10, 1, 'loss_trg')):
        prob = torch.softmax(up(logits(seed, 2, low(H), low(W)), H, W), 1)
        assert_agree(bce(judge(prob), label) / 2, bdl[f'discriminator/{key}'])


@pytest.mark.parametrize('cfg', [
    dict(type='MinEntLoss', loss_weight=-1), dict(type='AdversarialLoss', distance='l1'),
    dict(type='CharbonnierEntropyLoss', eta=0)])
def test_losses_hold_their_keys_to_their_ranges(cfg):
    with pytest.raises(ConfigError):
        build_loss(cfg)
