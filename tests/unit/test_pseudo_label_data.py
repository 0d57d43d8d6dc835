"""Pseudo-labels as data of a target: they go the way of the image, and what is wrong with them is told."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data_trees import acdc, acdc_cfg, cityscapes, cityscapes_cfg, save, train_pipeline

from mmseg.core.evaluation import get_classes
from mmseg.datasets import build_dataset
from mmseg.datasets.loading.loader import build_train_loader
from mmseg.datasets.pseudo_labels import PROGRAM, RECORD
from mmseg.utils import DataError


@pytest.fixture
def weather(tmp_path):
    return acdc(tmp_path / 'acdc')


@pytest.fixture
def folder(tmp_path, weather):
    """The first band of each image as its pseudo-label, as far as it is a class."""
    target = build_dataset(acdc_cfg(weather, pipeline=[dict(type='LoadImageFromFile')], use_labels=False))
    for item in (target[k] for k in range(len(target))):
        name = item['ori_filename'].removesuffix('_rgb_anon.png')
        save(tmp_path / 'pseudo/labels' / f'{name}.png', label_of(item['img'], target.img_suffix))
    record(tmp_path / 'pseudo')
    return tmp_path / 'pseudo'


def label_of(img: np.ndarray, _suffix: str = '') -> np.ndarray:
    return np.where(img[..., 0] < 19, img[..., 0], 255).astype(np.uint8)


def record(folder: Path, **changes) -> None:
    content = dict(program=PROGRAM, complete=True, classes=get_classes('cityscapes'))
    (folder / RECORD).write_text(json.dumps({**content, **changes}))


def target_cfg(weather: Path, folder: Path, **changes) -> dict:
    pipeline = [t for t in train_pipeline(labels=False) if t['type'] != 'Normalize']
    pipeline.insert(1, dict(type='Resize', img_scale=(64, 32)))
    return acdc_cfg(weather, **{**dict(pipeline=pipeline, pseudo_labels=folder and str(folder)), **changes})


def test_a_pseudo_label_is_cropped_and_mirrored_with_its_image(weather, folder):
    dataset = build_dataset(target_cfg(weather, folder, use_labels=False))
    flips = set()
    for k in [*range(len(dataset))] * 4:
        item = dataset[k]
        img, label = item['img'].data.numpy(), item['pseudo_semantic_seg'].data.numpy()
        assert label.shape == (1, 16, 16) and label.dtype == np.int64
        np.testing.assert_array_equal(label[0], label_of(img.transpose(1, 2, 0)))
        flips.add(item['img_metas'].data['flip'])
    assert flips == {True, False}


def test_it_stands_beside_the_true_label(weather, folder):
    cfg = target_cfg(weather, folder, pipeline=train_pipeline())
    assert {'gt_semantic_seg', 'pseudo_semantic_seg'} <= set(build_dataset(cfg)[0])


def test_a_pair_of_source_and_target_has_it(tmp_path, weather, folder):
    source = cityscapes_cfg(cityscapes(tmp_path / 'city'))
    pair = build_dataset(dict(type='UDADataset', source=source, target=target_cfg(weather, folder)))
    batch = next(iter(build_train_loader(pair, 2, 0, seed=0, max_steps=1)))
    assert batch['target_pseudo_semantic_seg'].shape == (2, 1, 16, 16)
    without = build_dataset(dict(type='UDADataset', source=source, target=target_cfg(weather, None)))
    assert set(pair[0]) - set(without[0]) == {'target_pseudo_semantic_seg'}


def test_testing_reads_none(weather):
    dataset = build_dataset(target_cfg(weather, 'not there', test_mode=True))
    assert set(dataset[0]) == {'img', 'img_metas'}


def remove_one(folder):
    next(folder.rglob('labels/**/*fog*.png')).unlink()


@pytest.mark.parametrize('harm, told', [
    (remove_one, '1 images have no pseudo-label, the first is .*fog.*png: run tools/make_pseudo_labels.py'),
    (lambda folder: record(folder, complete=False), 'not finished: run tools/make_pseudo_labels.py again'),
    (lambda folder: record(folder, classes=['a', 'b']), 'are of the classes a, b, the data set has road'),
    (lambda folder: record(folder, program='mine'), 'damaged or not written by'),
    (lambda folder: (folder / RECORD).write_text('{'), 'damaged or not written by'),
    (lambda folder: (folder / RECORD).unlink(), 'not finished'),
    (lambda folder: folder.rename(folder.with_name('elsewhere')), 'pseudo does not exist: make it with')])
def test_a_folder_that_does_not_fit_is_told_at_once(weather, folder, harm, told):
    harm(folder)
    with pytest.raises(DataError, match=told):
        build_dataset(target_cfg(weather, folder))


@pytest.mark.parametrize('content, told', [
    (np.zeros((32, 60), np.uint8), 'is 64x32 but its pseudo-label .*fog.* is 60x32'),
    (np.zeros((32, 64, 3), np.uint8), 'has 3 channels')])
def test_a_file_that_does_not_fit_is_told_with_its_name(weather, folder, content, told):
    path = next(folder.rglob('labels/**/*fog*.png'))
    save(path, content)
    dataset = build_dataset(target_cfg(weather, folder, use_labels=False))
    index = next(k for k, info in enumerate(dataset.img_infos) if 'fog' in info['filename'])
    with pytest.raises(Exception, match=told):
        dataset[index]


def test_a_cache_holds_the_image_alone(tmp_path, weather, folder):
    cfg = target_cfg(weather, folder, use_labels=False)
    uncached, cache = build_dataset(cfg), str(tmp_path / 'cache')
    start = uncached.cached_start(cache)
    for k in range(len(uncached)):
        start.write(uncached._raw(k))
    start.finish()
    cached = build_dataset({**cfg, 'cache': cache})
    assert type(cached.pipeline.transforms[0]).__name__ == 'CachedImages'
    for k in range(len(cached)):
        pair = []
        for dataset in (cached, uncached):
            np.random.seed(k)
            pair.append(dataset[k]['pseudo_semantic_seg'].data.numpy())
        np.testing.assert_array_equal(*pair)
