"""MGCDA's pieces: guided fusion, the cross-bilateral filter and the warp of the day, against golden values
that were derived from the authors' code, and by hand."""
from __future__ import annotations

import golden
import numpy as np
import pytest
import torch
from method_recipe import assert_agree, probabilities, sample, stack

from mmseg.models.uda.parts.cross_bilateral import BilateralFilter, blur, interpolate, lab_reference, splat
from mmseg.models.uda.parts.guided_fusion import fuse, fusion_weight, guided_fusion
from mmseg.utils import DataError

SEED = 11000
H, W = 60, 80


@pytest.fixture(scope='module')
def values():
    return golden.load('golden_mgcda.npz')


@pytest.fixture(scope='module')
def dark():
    return probabilities(SEED, 1, 19, H, W, 1.5)


@pytest.fixture(scope='module')
def day():
    return probabilities(SEED + 10, 1, 19, H, W, 1.5)


@pytest.fixture(scope='module')
def reference():
    return (0.5 + 0.15 * stack(SEED + 20, 1, 3, H, W)).clamp(0, 1)


# -------------------------------------------------------------------- fusion


def test_fusion_with_one_weight(values, dark, day):
    fused = fuse(dark, day, 0.6)
    assert_agree(sample(fused, 101), values['fuse/constant_alpha'])
    torch.testing.assert_close(fused.sum(1), torch.ones(1, H, W))


def test_weight_of_the_day(values, dark, day):
    low = fusion_weight(dark, day) == torch.tensor(0.3)
    assert (sample(low, 7) != values['fuse/low_alpha']).sum() <= 1
    fraction = float(values['fuse/low_alpha_fraction'])
    assert float(low.float().mean()) == pytest.approx(fraction, abs=1 / (H * W))


def test_guided_fusion(values, dark, day):
    fused = guided_fusion(dark, day)
    assert_agree(sample(fused, 101), values['fuse/dynamic'])
    assert (sample(fused.argmax(1), 7) != values['fuse/label']).sum() <= 1


def test_weight_by_hand():
    """Class 1 of two is dynamic: doubted where the other map gives it at most 0.2, whichever map it is of."""
    dark = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.9, 0.1]]).T.view(1, 2, 1, 4)
    day = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]]).T.view(1, 2, 1, 4)
    weight = fusion_weight(dark, day, dynamic=[1])
    torch.testing.assert_close(weight, torch.tensor([[[[0.6, 0.3, 0.6, 0.3]]]]))


# -------------------------------------------------------------------- filter


def test_filter_follows_the_reference(values, dark, day, reference):
    filtered = BilateralFilter()(day, reference)
    assert_agree(sample(filtered, 101), values['filter/day'])
    assert_agree(sample(guided_fusion(dark, filtered), 101), values['filter/fused'])
    torch.testing.assert_close(filtered.sum(1), torch.ones(1, H, W))


def test_images_of_a_batch_are_filtered_alone(day, reference):
    other = day.flip(1)
    both = BilateralFilter()(torch.cat([day, other]), torch.cat([reference, reference.flip(2)]))
    torch.testing.assert_close(both[:1], BilateralFilter()(day, reference))
    torch.testing.assert_close(both[1:], BilateralFilter()(other, reference.flip(2)))


def test_filter_as_a_sum_over_all_pixels():
    """Pixels that lie on cells: each is the sum of all within one σ, weighed by place and colour."""
    rng = np.random.RandomState(0)
    colour, prob = rng.randint(0, 4, (1, 6, 7)) * 0.1, rng.rand(2, 6, 7)
    prob /= prob.sum(0)
    expected = np.zeros_like(prob)
    for y, x in np.ndindex(6, 7):
        dy, dx = np.mgrid[:6, :7] - np.array([y, x])[:, None, None]
        dc = (colour[0] - colour[0, y, x]) / 0.1
        weight = np.exp(-0.5 * ((dy**2 + dx**2) / 4 + dc**2))
        weight *= (abs(dy) <= 2) & (abs(dx) <= 2) & (abs(dc) <= 1.5)
        expected[:, y, x] = (weight * prob).sum((1, 2)) / weight.sum()
    filtering = BilateralFilter(sigma_space=2, sampling_space=1)
    ours = filtering(torch.from_numpy(prob[None]).float(), torch.from_numpy(colour[None]).float())
    assert_agree(ours[0], expected.astype(np.float32))


def test_interpolation_is_linear_between_cells():
    grid = torch.arange(12.0).view(1, 3, 4)
    place = torch.tensor([[0.0, 1.5, 2.0], [0.25, 2.0, 3.0]])
    assert interpolate(grid, place).tolist() == [[0.25, 8.0, 11.0]]
    assert splat(torch.ones(1, 3), place)[0].tolist() == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]


@pytest.mark.parametrize('sigma', [2.0, 1.5])
def test_blur_ends_at_one_standard_deviation(sigma):
    line = blur(torch.tensor([[0.0, 0, 0, 1, 0, 0, 0]]), [sigma])[0]
    bell = torch.exp(-torch.tensor([4.0, 1, 0, 1, 4]) / (2 * sigma**2))
    torch.testing.assert_close(line, torch.cat([torch.zeros(1), bell, torch.zeros(1)]))


def test_a_reference_of_another_size_is_told(day):
    with pytest.raises(DataError, match='expected one size'):
        BilateralFilter()(day, torch.zeros(1, 3, H, W + 1))


def test_lab_of_known_colours():
    """White, black and pure green, by the tables of the CIE (D65)."""
    colours = torch.tensor([[1.0, 1, 1], [0, 0, 0], [0, 1, 0]]).T.view(1, 3, 1, 3)
    expected = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0.8774, -0.8618, 0.8318]]).T.view(1, 3, 1, 3)
    torch.testing.assert_close(lab_reference(colours), expected, atol=2e-3, rtol=0)
