"""Margins of the target without pseudo-labels, and the window that source and target share."""
from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from data_trees import acdc, acdc_cfg, cityscapes, cityscapes_cfg, save, train_pipeline
from golden import DATA

from mmseg.datasets import build_dataset
from mmseg.datasets.loading.loader import build_train_loader
from mmseg.utils import ConfigError, DataError

GOLDEN = json.loads((DATA / 'golden_pseudo_margins.json').read_text())


@pytest.fixture(scope='module')
def large(tmp_path_factory):
    root = tmp_path_factory.mktemp('large')
    save(root / 'leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png',
         np.zeros((1024, 2048, 3), np.uint8))
    return root


def margin_pipeline(img_scale, crop_size) -> list[dict]:
    return [dict(type='LoadImageFromFile'), dict(type='Resize', img_scale=tuple(img_scale)),
            dict(type='RandomCrop', crop_size=tuple(crop_size)), dict(type='RandomFlip', prob=0.0),
            dict(type='Pad', size=tuple(crop_size)), dict(type='DefaultFormatBundle'),
            dict(type='Collect', keys=['img'])]


@pytest.mark.parametrize('name', GOLDEN)
def test_the_mask_is_the_reference_s(large, name):
    case = GOLDEN[name]
    dataset = build_dataset(dict(
        type='CityscapesDataset', data_root=str(large), img_dir='leftImg8bit/train', use_labels=False,
        pipeline=margin_pipeline(case['img_scale'], case['crop_size']),
        crop_pseudo_margins=case['margins']))
    np.random.seed(0)
    item = dataset[0]
    valid = item['valid_pseudo_mask'].data[0].numpy()
    expected = case['mask']
    assert (list(valid.shape), str(valid.dtype)) == (expected['shape'], expected['dtype'])
    padded = 255 in expected['values']  # the reference gives padded pixels 255 times the weight, we none
    if case['crop_size'] != [1024, 1024]:  # where the window lies decides it
        assert valid.sum() == expected['ones']
    rows, columns = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    assert rows[0] == expected['rows'][0]
    assert rows[-1] == (195 if padded else expected['rows'][1])
    if case['crop_size'][1] == case['img_scale'][0]:
        assert [columns[0], columns[-1]] == ([8, 504] if padded else expected['cols'])
    assert set(np.unique(valid)) <= {0, 1}


def test_margins_go_the_way_of_the_image(tmp_path):
    """Margins are of the file's size, here 64x32; the image says where its pixels come from."""
    root = cityscapes(tmp_path / 'city', train=1)
    [path] = (root / 'leftImg8bit/train').rglob('*.png')
    rows, columns = np.mgrid[:32, :64]
    save(path, np.stack([rows, columns, 0 * rows], axis=2).astype(np.uint8))
    pipeline = [t for t in train_pipeline(labels=False) if t['type'] != 'Normalize']
    dataset = build_dataset(cityscapes_cfg(root) | dict(
        pipeline=pipeline, use_labels=False, crop_pseudo_margins=(3, 5, 7, 11)))
    flips = set()
    for _ in range(12):
        item = dataset[0]
        blue, green, red = item['img'].data.numpy()
        row, column = (blue, green) if blue.max() < 32 and not red.any() else (red, green)
        inside = (row >= 3) & (row < 27) & (column >= 7) & (column < 53)
        np.testing.assert_array_equal(item['valid_pseudo_mask'].data[0].numpy(), inside.astype(np.uint8))
        flips.add(item['img_metas'].data['flip'])
    assert flips == {True, False}


@pytest.mark.parametrize('margins', [(1, 2, 3), (1, 2, 3, -1), (0.5, 0, 0, 0)])
def test_margins_that_are_none_are_told(tmp_path, margins):
    root = cityscapes(tmp_path / 'city', train=1)
    with pytest.raises(ConfigError, match='crop_pseudo_margins'):
        build_dataset(cityscapes_cfg(root, crop_pseudo_margins=margins))


def test_margins_that_leave_nothing_are_told_with_the_image(tmp_path):
    dataset = build_dataset(cityscapes_cfg(cityscapes(tmp_path / 'city', train=1),
                                           crop_pseudo_margins=(20, 12, 0, 0)))
    with pytest.raises(DataError, match=r'leftImg8bit.png, which is 64x32'):
        dataset[0]


def adapted(root, **settings):
    pipeline = [t for t in train_pipeline(labels=False, crop=(32, 64)) if t['type'] != 'RandomFlip']
    source = cityscapes_cfg(cityscapes(root / 'city')) | dict(pipeline=[
        t for t in train_pipeline(crop=(32, 64)) if t['type'] != 'RandomFlip'])
    target = acdc_cfg(acdc(root / 'acdc'), pipeline=pipeline, use_labels=False)
    return source, target, dict(type='UDADataset', source=source, target=target, **settings)


def test_source_and_target_share_the_window(tmp_path):
    source, target, together = adapted(tmp_path, sync_crop_size=(8, 16))
    target['crop_pseudo_margins'] = (4, 0, 0, 9)
    source, target, together = map(build_dataset, (source, target, together))
    offsets = set()
    for k in range(4):
        np.random.seed(k)
        for _ in range(4):  # the two crops of the whole, whose only place is 0, and which draw all the same
            np.random.randint(1)
        top, left = np.random.randint(25), np.random.randint(49)
        np.random.seed(k)
        item = together[k]
        assert item['img'].data.shape[1:] == (8, 16)
        for key, whole in (('img', source[k // len(target)]['img']),
                           ('gt_semantic_seg', source[k // len(target)]['gt_semantic_seg']),
                           ('target_img', target[k % len(target)]['img']),
                           ('valid_pseudo_mask', target[k % len(target)]['valid_pseudo_mask'])):
            assert torch.equal(item[key].data, whole.data[..., top:top + 8, left:left + 16]), key
        offsets.add((top, left))
    assert len(offsets) > 1


def test_a_batch_has_the_mask_and_the_shared_size(tmp_path):
    _, target, together = adapted(tmp_path, sync_crop_size=(8, 16))
    target['crop_pseudo_margins'] = (4, 4, 4, 4)
    loader = build_train_loader(build_dataset(together), 2, 0, seed=0, max_steps=1)
    batch = next(iter(loader))
    assert batch['valid_pseudo_mask'].shape == (2, 1, 8, 16)
    assert batch['target_img'].shape == batch['img'].shape == (2, 3, 8, 16)


def test_a_window_of_no_size_is_told(tmp_path):
    with pytest.raises(ConfigError, match='sync_crop_size'):
        build_dataset(adapted(tmp_path, sync_crop_size=(0, 16))[2])
