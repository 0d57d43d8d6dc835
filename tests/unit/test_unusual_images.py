"""Images of one or four bands, images thinner than the network's strides, classes without colours."""
from __future__ import annotations

import pytest
import torch

from mmseg.core.evaluation import generated_palette
from mmseg.models.backbones.mix_transformer import SMALLEST
from mmseg.models.builder import build_backbone
from mmseg.models.uda.parts.strong_augment import StrongAugmentation, color_jitter, jitter_bands
from mmseg.utils import DataError

STRENGTH = dict(brightness=0.5, contrast=0.5, saturation=0.5, hue=0.2)


def jittered(bands: int, jitter=jitter_bands):
    image = torch.rand(1, bands, 6, 8, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(5)
    return image, jitter(image if bands != 1 else image.expand(-1, 1, -1, -1), STRENGTH)


def test_bands_beyond_the_colours_stay_as_they_are():
    image, found = jittered(5)
    torch.manual_seed(5)
    assert torch.equal(found[:, :3], color_jitter(image[:, :3], STRENGTH))
    assert torch.equal(found[:, 3:], image[:, 3:]) and not torch.equal(found[:, :3], image[:, :3])


def test_three_bands_are_jittered_as_before():
    assert torch.equal(jittered(3)[1], jittered(3, color_jitter)[1])


def test_a_grey_image_is_jittered_as_one_of_three_equal_bands():
    image, found = jittered(1)
    torch.manual_seed(5)
    assert torch.equal(found, color_jitter(image.expand(-1, 3, -1, -1), STRENGTH)[:, :1])
    assert found.shape == image.shape and not torch.equal(found, image)


def test_two_bands_are_told():
    with pytest.raises(DataError, match='these have 2'):
        jittered(2)


@pytest.mark.parametrize('bands', [1, 3, 4])
def test_augmentation_gives_each_image_its_own_normalisation(bands):
    """Neither fires: what comes out is what went in, whatever mean and deviation; both fire: it is of the
    same shape."""
    meta = dict(img_norm_cfg=dict(mean=[100.0 + n for n in range(bands)], std=[50.0 + n for n in
    range(bands)]))
    images = torch.randn(2, bands, 16, 20, generator=torch.Generator().manual_seed(1))
    assert StrongAugmentation(0.0, 0.0, 0.2, 0.2)(images, [meta, meta]) is images
    augmented = StrongAugmentation(1.0, 1.0, 0.2, 0.2)(images, [meta, meta])
    assert augmented.shape == images.shape and augmented.isfinite().all()


def test_a_thin_image_is_told_with_the_smallest_side():
    net = build_backbone(dict(type='mit_b0')).eval()
    with torch.inference_mode():
        assert [tuple(f.shape[2:]) for f in net(torch.zeros(1, 3, SMALLEST, 64))] == [(8, 16), (4, 8), (2, 4),
        (1, 2)]
        for shape in ((SMALLEST - 1, 64), (64, 1)):
            with pytest.raises(DataError, match=f'{shape[1]}x{shape[0]}.*smallest side is {SMALLEST}'):
                net(torch.zeros(1, 3, *shape))


def test_made_colours_are_the_same_every_time_and_each_another():
    colours = generated_palette(60)
    assert colours[:7] == generated_palette(7)
    assert len({tuple(colour) for colour in colours}) == 60
    assert all(0 <= part <= 255 for colour in colours for part in colour) and [0, 0, 0] not in colours
    distances = [sum(abs(a - b) for a, b in zip(one, other)) for one, other in zip(colours, colours[1:])]
    assert min(distances) > 60
