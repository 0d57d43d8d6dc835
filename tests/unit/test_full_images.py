"""The whole image beside its crop (``full_images``), and how the crop was made from it."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from data_trees import NORM, cityscapes, cityscapes_cfg, train_pipeline

from mmseg.datasets import UDADataset, build_dataset
from mmseg.datasets.pipelines import Compose
from mmseg.datasets.pipelines.full_image import with_full_images
from mmseg.models.uda.parts.weak_view import WeakView, crop_views
from mmseg.utils import ConfigError, DataError

RESIZE = dict(type='Resize', img_scale=(64, 64), ratio_range=(0.5, 1.5))


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return cityscapes(tmp_path_factory.mktemp('city'))


def target(root, pipeline=None):
    cfg = cityscapes_cfg(root, use_labels=False, full_images=True)
    return build_dataset({**cfg, 'pipeline': pipeline or train_pipeline(labels=False)})


def test_a_crop_is_that_view_of_its_full_image(root):
    """To the bit where nothing is resized between the two."""
    flips = set()
    for seed in range(6):
        np.random.seed(seed)
        sample = target(root)[seed % 3]
        full, img, meta = sample['full_img'].data, sample['img'].data, sample['img_metas'].data
        view = WeakView.of(meta)
        assert torch.equal(view(full[None], stride=1)[0], img)
        flips.add(view.flip)
    assert flips == {False, True}


def test_the_full_image_is_that_before_what_is_drawn(root):
    pipeline = [dict(type='LoadImageFromFile'), RESIZE, *train_pipeline(labels=False)[1:]]
    np.random.seed(3)
    sample = target(root, pipeline)[0]
    whole = Compose([dict(type='LoadImageFromFile'), dict(type='Normalize', **NORM)])
    raw = whole(dict(img_info=target(root).img_infos[0], img_prefix=target(root).img_dir))['img']
    np.testing.assert_array_equal(sample['full_img'].data.permute(1, 2, 0), raw)
    view = WeakView.of(sample['img_metas'].data)
    ratio = np.random.RandomState(3).random_sample() + 0.5
    assert view.size == (int(32 * ratio + 0.5), int(64 * ratio + 0.5))
    found = view(sample['full_img'].data[None], stride=1)[0]
    assert found.shape == sample['img'].data.shape
    assert np.corrcoef(found.flatten(), sample['img'].data.flatten())[0, 1] > 0.6


def test_samples_of_two_domains_and_a_batch_of_them(root):
    source = build_dataset(cityscapes_cfg(root))
    both = UDADataset(source, target(root))
    sample = both[0]
    assert sample['target_full_img'].data.shape == (3, 32, 64) and 'full_img' not in sample
    metas = [sample['target_img_metas'].data]
    batch = dict(target_img=sample['target_img'].data[None], target_img_metas=metas)
    assert crop_views(batch) is None
    assert crop_views(dict(batch, target_full_img=sample['target_full_img'].data[None])) == [
        WeakView.of(metas[0])]
    with pytest.raises(ConfigError, match='sync_crop_size cuts crops once more'):
        UDADataset(source, target(root), sync_crop_size=(8, 8))


def test_a_crop_larger_than_its_image_is_told(root):
    sample = target(root, train_pipeline(crop=(48, 48), labels=False))[0]
    view = WeakView.of(sample['img_metas'].data)
    with pytest.raises(DataError, match=r'a crop of \(48, 48\) pixels at .* leaves the image of \(32, 64\)'):
        view(sample['full_img'].data[None])


CROP = dict(type='RandomCrop', crop_size=(16, 16))


@pytest.mark.parametrize('steps, what', [
    ([dict(type='RandomRotate', prob=1, degree=5), CROP], 'has RandomRotate'),
    ([], '0 Resize that draw and 0'),
    ([CROP, CROP], 'and 2 RandomCrop'), ([RESIZE, RESIZE, CROP], '2 Resize that draw'),
    ([dict(type='PhotoMetricDistortion'), CROP], 'has PhotoMetricDistortion')])
def test_steps_that_maps_cannot_follow_are_told(steps, what):
    with pytest.raises(ConfigError, match=what):
        with_full_images([dict(type='LoadImageFromFile'), *steps, dict(type='Collect', keys=['img'])])
