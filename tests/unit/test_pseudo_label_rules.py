"""Pseudo-labels of a whole data set: the rules of BDL, FDA and ProDA, against golden values of the authors'
code and against sorting."""
from __future__ import annotations

import golden
import numpy as np
import pytest
import torch
from method_recipe import assert_agree, sample, stack, up

from mmseg.core.pseudo_label_rules import (
    ConfidenceCounts,
    FixedRule,
    QuantileRule,
    average_probabilities,
    build_rule,
    chosen,
    to_levels,
)
from mmseg.utils import ConfigError

BDL, FDA = 3000, 2000
BANDS = (0.3333, 0.3333, 0.3334)
FEW = 20  # of a million pixels: those of the same level as a threshold


def bands(image: int) -> torch.Tensor:
    """FDA's average of three networks, as they give it (1 19 64 128)."""
    common = stack(FDA + 100 + 10 * image, 1, 19, 64, 128, 4.0)
    logits = [common + stack(FDA + 200 + 40 * m + 10 * image, 1, 19, 64, 128) for m in range(3)]
    return average_probabilities([torch.softmax(z, 1) for z in logits], BANDS)


def one_network(image: int) -> torch.Tensor:
    return torch.softmax(stack(BDL + 100 + 10 * image, 1, 19, 64, 128, 4.0), 1)


def pseudo_labels(rule, maps):
    """(counts, labels) of two images of 1024x512."""
    counts, images = ConfidenceCounts(19), []
    for prob in maps:
        confidence, label = up(prob, 512, 1024)[0].max(dim=0)
        images.append((label.numpy().astype(np.uint8), to_levels(confidence)))
        counts.add(*images[-1])
    least = rule.least_levels(counts)
    return counts, np.stack([chosen(*image, least) for image in images])


def numbers(labels: np.ndarray) -> np.ndarray:
    found = np.bincount(labels.ravel(), minlength=256)
    return np.append(found[:19], found[255])


def test_average_of_three_networks():
    golden_values = golden.load('golden_fda.npz')
    average = torch.cat([up(bands(k), 512, 1024) for k in (0, 1)])
    assert_agree(sample(average, 100003), golden_values['bands/average'])
    full = up(bands(0), 1024, 2048)
    assert_agree(sample(full, 200003), golden_values['bands/eval_average'])
    predicted = np.bincount(full.argmax(dim=1).numpy().ravel(), minlength=19)
    assert np.abs(predicted - golden_values['bands/eval_count']).max() <= 5


@pytest.mark.parametrize('name, network', [('bdl', one_network), ('fda', bands)])
def test_thresholds_and_labels_of_the_authors(name, network):
    golden_values = golden.load(f'golden_{name}.npz')
    rule = build_rule(name)
    counts, labels = pseudo_labels(rule, [network(0), network(1)])
    assert_agree(rule.thresholds(counts), golden_values['pseudo/threshold'])
    assert_agree(counts.ranked(rule.share) / 65535, golden_values['pseudo/threshold_raw'])
    assert np.abs(numbers(labels) - golden_values['pseudo/count']).max() <= FEW
    assert np.count_nonzero(sample(labels, 4999) != golden_values['pseudo/label']) == 0


@pytest.mark.parametrize('share', [0, 0.5, 0.66, 1])
def test_order_statistics_are_those_of_sorting(share):
    rng = np.random.default_rng(0)
    label = rng.choice([0, 1, 1, 1, 1, 3], (40, 50)).astype(np.uint8)
    label[0, 0] = 4  # a class of one pixel
    levels = rng.integers(0, 65536, label.shape).astype(np.uint16)
    levels[label == 1] //= 8192  # many ties
    counts = ConfidenceCounts(5)
    for rows in (slice(0, 13), slice(13, 40)):
        counts.add(label[rows], levels[rows])
    for c, value in enumerate(counts.ranked(share)):
        x = np.sort(levels[label == c])
        assert value == (x[min(round(share * len(x)), len(x) - 1)] if len(x) else 0)
    assert counts.pixels.tolist() == np.bincount(label.ravel(), minlength=5).tolist()


def test_half_goes_to_the_even_rank():
    for pixels, rank in ((1, 0), (2, 1), (3, 2), (5, 2), (7, 4)):
        counts = ConfidenceCounts(1)
        counts.add(np.zeros(pixels, np.uint8), np.arange(pixels).astype(np.uint16))
        assert counts.ranked(0.5).tolist() == [rank]


def test_the_threshold_of_a_confident_class_is_its_most():
    counts = ConfidenceCounts(2)
    counts.add(np.zeros(9, np.uint8), np.full(9, 65000, np.uint16))
    rule = QuantileRule(0.5)
    assert rule.thresholds(counts).tolist() == [0.9, 0]
    label, levels = np.zeros((1, 2), np.uint8), to_levels(torch.tensor([[0.8999, 0.9001]]))
    assert chosen(label, levels, rule.least_levels(counts)).tolist() == [[255, 0]]


@pytest.mark.parametrize('rule, kept, ignored', [
    (build_rule('proda'), 0.9505, 0.9502), (build_rule('proda', 0.5), 0.5003, 0.5),
    (build_rule('threshold', 0.968), 0.96801, 0.96799), (build_rule('threshold', 1.0), 1.0, 0.9999)])
def test_fixed_thresholds(rule, kept, ignored):
    levels = to_levels(torch.tensor([[kept, ignored]]))
    least = rule.least_levels(ConfidenceCounts(2))
    assert chosen(np.ones((1, 2), np.uint8), levels, least).tolist() == [[1, 255]]
    assert rule.thresholds(ConfidenceCounts(2)).tolist() == [rule.threshold] * 2


def test_float16_of_proda():
    """0.95 lies between 1945 and 1946 of 2048 and is taken for 1946; what is above 1946.5 is above it."""
    least = FixedRule(0.95, half=True).least_levels(ConfidenceCounts(1))
    assert least[0] == np.ceil(1946.5 / 2048 * 65535)


def test_ignored_pixels_stay_ignored():
    label = np.array([[255, 1]], np.uint8)
    assert chosen(label, np.array([[65535, 65535]], np.uint16), np.zeros(2, int)).tolist() == [[255, 1]]


@pytest.mark.parametrize('make', [
    lambda: build_rule('bld'), lambda: build_rule('threshold'), lambda: build_rule('fda', 0.9),
    lambda: build_rule('threshold', 1.5), lambda: QuantileRule(-0.1),
    lambda: average_probabilities([torch.ones(1)] * 2, [0.5]),
    lambda: average_probabilities([torch.ones(1)] * 2, [0.5, 0.6])])
def test_mistakes_are_told(make):
    with pytest.raises(ConfigError):
        make()
