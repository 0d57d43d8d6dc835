"""Images of one or four bands, images thinner than the network's strides, classes without colours."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from mmcv import Config
from torch import nn

from mmseg.apis.inference import inference_segmentor, input_bands
from mmseg.core.evaluation import generated_palette
from mmseg.core.visualization import draw_overlay
from mmseg.datasets.pipelines import Compose
from mmseg.engine.hooks.uda_visualization_hook import _photo
from mmseg.models.backbones.mix_transformer import SMALLEST
from mmseg.models.builder import build_backbone
from mmseg.models.uda.parts.strong_augment import StrongAugmentation, color_jitter, jitter_bands
from mmseg.utils import DataError, UserError

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


# ---- bands in the pipelines, the demo and pictures


@pytest.mark.parametrize('shape, count, to_rgb', [
    ((4, 5, 4), 3, False), ((4, 5, 4), 4, True), ((4, 5), 3, False), ((4, 5), 1, True),
    ((4, 5, 3), 1, False)])
def test_statistics_of_other_bands_are_told(shape, count, to_rgb):
    normalize = Compose([dict(type='Normalize', mean=[1.0] * count, std=[2.0] * count, to_rgb=to_rgb)])
    with pytest.raises(UserError, match=f'has {shape[2] if len(shape) > 2 else 1} channels'):
        normalize({'img': np.zeros(shape, np.uint8)})


@pytest.mark.parametrize('seed', range(4))
def test_photometric_distortion_is_of_the_colours(seed):
    distort = Compose([dict(type='PhotoMetricDistortion')])
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 5), dtype=np.uint8)

    def distorted(pixels):
        np.random.seed(seed)
        return distort({'img': pixels.copy()})['img']
    np.testing.assert_array_equal(distorted(image), np.concatenate(
        [distorted(image[..., :3]), image[..., 3:]], axis=2))
    assert distorted(image[..., 0]).shape == (4, 5)


class Bands(nn.Module):
    """A network that sees class 1 where the last band is above its mean."""

    def __init__(self, bands: int):
        super().__init__()
        self.conv = nn.Conv2d(bands, 1, 1)
        norm = dict(type='Normalize', mean=[100.0] * bands, std=[50.0] * bands, to_rgb=False)
        steps = [dict(type='Resize', keep_ratio=True), norm, dict(type='ImageToTensor', keys=['img']),
                 dict(type='Collect', keys=['img'])]
        self.cfg = Config(dict(data=dict(test=dict(pipeline=[
            dict(type='LoadImageFromFile', color_type='unchanged'),
            dict(type='MultiScaleFlipAug', img_scale=(6, 4), flip=False, transforms=steps)]))))

    def forward(self, img, img_metas, return_loss, rescale):
        assert img[0].shape[1] == self.conv.in_channels
        return list((img[0][:, -1] > 0).numpy().astype(np.int64))


@pytest.mark.parametrize('bands', [1, 4])
def test_networks_for_other_bands_segment_files_and_arrays(tmp_path, bands):
    image = np.random.default_rng(0).integers(0, 256, (4, 6, bands), dtype=np.uint8).squeeze()
    cv2.imwrite(str(tmp_path / 'x.tif'), image)
    model = Bands(bands)
    expected = image.reshape(4, 6, bands)[..., -1] > 100
    for given in (str(tmp_path / 'x.tif'), image):
        np.testing.assert_array_equal(inference_segmentor(model, given)[0], expected)
    assert input_bands(model) == bands
    with pytest.raises(UserError, match='Normalize: an image has 3 channels'):
        inference_segmentor(model, np.zeros((4, 6, 3), np.uint8))


@pytest.mark.parametrize('shape, shown', [
    ((2, 2), [9, 9, 9]), ((2, 2, 1), [9, 9, 9]), ((2, 2, 5), [9, 8, 7])])
def test_pictures_show_the_first_three_bands(shape, shown):
    image = np.full(shape, 9, np.uint8)
    if image.ndim > 2 and shape[2] > 1:
        image = image - np.arange(shape[2], dtype=np.uint8)
    assert draw_overlay(image, np.zeros((2, 2), int), [[0, 0, 0]], 0)[0, 0].tolist() == shown
    bands = np.atleast_3d(image).shape[2]
    norm = dict(mean=np.zeros(bands), std=np.full(bands, 255.0))
    photo = _photo(torch.from_numpy(np.atleast_3d(image)).permute(2, 0, 1) / 255, norm)
    np.testing.assert_allclose(photo[0, 0] * 255, shown, rtol=1e-6)
