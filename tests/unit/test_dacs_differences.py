"""What DACS (Tranheden et al., WACV 2021) does otherwise than DAFormer, out of the parts that both share,
against golden values of the authors' code."""
from __future__ import annotations

import golden
import numpy as np
import pytest
import torch
from method_recipe import ToyMulti, assert_agree, logits, low, sample, stack, up

from mmseg.models.losses import CrossEntropyLoss
from mmseg.models.uda.parts.class_mix import draw_class_masks, mix
from mmseg.models.uda.parts.ema_teacher import update_teacher
from mmseg.models.uda.parts.pseudo_label import pixel_weight, pseudo_label

DACS, SIDE = 12000, 64
ALPHA, THRESHOLD = 0.99, 0.968


@pytest.fixture(scope='module')
def dacs():
    return golden.load('golden_dacs.npz')


@pytest.fixture(scope='module')
def mixed():
    """(mask, image, label, quality, weight) of a batch of two."""
    np.random.seed(3)
    label = golden.label(DACS, 2, SIDE, SIDE)
    mask = draw_class_masks(label, per_image=True)
    z = up(stack(DACS + 10, 2, 19, low(SIDE), low(SIDE), 12.0), SIDE, SIDE)
    pseudo, quality = pseudo_label(z, THRESHOLD)
    weight = mix(mask[:, 0], torch.ones(pseudo.shape), pixel_weight(quality, pseudo.shape))
    images = (golden.image(DACS + k, 2, SIDE, SIDE) for k in (1, 2))
    return mask, mix(mask, *images), mix(mask[:, 0], label[:, 0], pseudo), quality, weight


def test_classes_are_drawn_from_each_image(dacs, mixed):
    label = golden.label(DACS, 2, SIDE, SIDE)
    for k in range(2):
        pasted = label[k][mixed[0][k].bool()].unique()
        np.testing.assert_array_equal(pasted.numpy(), np.sort(dacs[f'mix/classes{k}']))


def test_the_mixture(dacs, mixed):
    mask, image, label, quality, weight = mixed
    np.testing.assert_array_equal(sample(mask, 7), dacs['mix/mask'])
    np.testing.assert_array_equal(sample(label, 7), dacs['mix/label'])
    assert_agree(sample(image, 53), dacs['mix/image'])
    assert_agree(quality, dacs['mix/quality'])
    assert_agree(sample(weight, 61), dacs['mix/weight'])


def test_valid_pixels_of_the_source_and_all_pixels_of_the_mixture_count(dacs, mixed):
    """With one loss for both: the mixture's pixels have weights."""
    loss = CrossEntropyLoss(avg_non_ignore='unweighted')
    _, _, label, _, weight = mixed
    z_source, z_mixed = (logits(DACS + k, 2, low(SIDE), low(SIDE)) for k in (40, 30))
    of_source = loss(up(z_source, SIDE, SIDE), golden.label(DACS, 2, SIDE, SIDE)[:, 0])
    of_mixture = loss(up(z_mixed, SIDE, SIDE), label, weight=weight)
    assert_agree(of_source, dacs['loss/source'])
    assert_agree(of_mixture, dacs['loss/mixed'])
    assert_agree(of_source + of_mixture, dacs['loss/total'])
    of_mixture.backward()
    assert_agree(sample(z_mixed.grad, 7), dacs['loss/grad_mixed'], 1e-3)


@pytest.mark.parametrize('step', [0, 1, 5, 500])
def test_average_of_the_teacher(dacs, step):
    """Step 0 copies the student that it comes after."""
    teacher, student = ToyMulti(), ToyMulti()
    golden.fill(teacher, prefix='ema.')
    update_teacher(teacher, student, step, ALPHA)
    assert_agree(teacher.body.weight.flatten()[:64], dacs[f'ema/it{step}'])
