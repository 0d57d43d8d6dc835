"""ClassMix: golden values, and a derivation of its own in numpy."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from golden import TOLERANCE, image, label, load, relative_error

from mmseg.models.losses.feature_distance_loss import downscale_label
from mmseg.models.uda.parts.class_mix import draw_class_masks, mix

GOLDEN = load('golden_mixing.npz')


@pytest.fixture(scope='module')
def mixed():
    np.random.seed(3)
    y_S = label(3, 2, 64, 64)
    mask = draw_class_masks(y_S)
    return mask, mix(mask, image(4, 2, 64, 64), image(5, 2, 64, 64)), mix(mask, y_S, label(6, 2, 64, 64))


@pytest.mark.parametrize('i', range(2))
def test_golden_mixture(mixed, i):
    mask, img, y_M = (x[i:i + 1].numpy() for x in mixed)
    np.testing.assert_array_equal(mask, GOLDEN[f'mask{i}'])
    np.testing.assert_array_equal(y_M, GOLDEN[f'mixed_label{i}'])
    assert relative_error(img.ravel()[::7], GOLDEN[f'mixed_image{i}']) < TOLERANCE


def test_golden_label_on_a_coarser_grid():
    cells = downscale_label(torch.from_numpy(GOLDEN['fd_label']).long(), (4, 4), 19, 0.75)
    np.testing.assert_array_equal(cells.numpy(), GOLDEN['fd_label_down32'])
    assert set(np.unique(GOLDEN['fd_label_down32'])) - {255}, 'golden map without a class'


def classmix(y_S: np.ndarray, per_image: bool, without: int | None) -> np.ndarray:
    """Masks by the words of the paper, with sets and loops."""
    masks = []
    everywhere = sorted(set(y_S.ravel().tolist()))
    for one in y_S:
        classes = sorted(set(one.ravel().tolist())) if per_image else everywhere
        classes = [c for c in classes if c != without]
        half = (len(classes) + len(classes) % 2) // 2
        pasted = {classes[k] for k in np.random.choice(len(classes), half, replace=False)}
        masks.append([[[int(c in pasted) for c in row] for row in one[0].tolist()]])
    return np.array(masks, dtype=np.uint8)


@pytest.mark.parametrize('per_image', [False, True])
@pytest.mark.parametrize('without', [None, 255])
@pytest.mark.parametrize('seed', range(4))
def test_masks_against_numpy(seed, per_image, without):
    y_S = label(seed, 3, 32, 32, num_classes=6, cell=8)
    y_S[:, :, :4, :4] = 255
    np.random.seed(seed)
    masks = draw_class_masks(y_S, per_image, without)
    np.random.seed(seed)
    np.testing.assert_array_equal(masks.numpy(), classmix(y_S.numpy(), per_image, without))
    assert masks.dtype == torch.uint8


def test_a_batch_draws_from_its_classes_together():
    """Image 0 holds class 1 alone and image 1 class 2: of the batch's two classes one is drawn, so an image
    may come out empty; of an image's own one class, always that one."""
    y_S = torch.tensor([1, 2]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    np.random.seed(0)
    together = torch.stack([draw_class_masks(y_S).float().mean(dim=(1, 2, 3)) for _ in range(20)])
    assert set(together.flatten().tolist()) == {0.0, 1.0}
    assert draw_class_masks(y_S, per_image=True).all()


def test_ignored_pixels_are_pasted_unless_told_otherwise():
    y_S = torch.full((1, 1, 4, 4), 255)
    assert draw_class_masks(y_S).all()
    assert not draw_class_masks(y_S, ignore_index=255).any()


def test_mixture_takes_the_source_under_the_mask():
    mask = torch.tensor([[[[1, 0]]]], dtype=torch.uint8)
    source, target = torch.full((1, 3, 1, 2), 5.0), torch.full((1, 3, 1, 2), 7.0)
    assert mix(mask, source, target)[0].tolist() == [[[5.0, 7.0]]] * 3
