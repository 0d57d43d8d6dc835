"""Samples with and without a cache; what makes a cache stale."""
from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from data_trees import NORM, acdc, acdc_cfg, cityscapes, cityscapes_cfg, random_image, save
from mmcv import Config
from test_rcs import RCS, write_stats

from mmseg.datasets import build_dataset, build_train_dataset
from mmseg.datasets.loading.image_cache import CachedImages
from mmseg.datasets.pipelines import loading
from mmseg.utils import UserError
from tools import cache_dataset as program

AFTER = [dict(type='RandomCrop', crop_size=(16, 16), cat_max_ratio=0.75), dict(type='RandomFlip', prob=0.5),
         dict(type='Normalize', **NORM), dict(type='DefaultFormatBundle')]
SOURCE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
          dict(type='Resize', img_scale=(48, 24)), *AFTER,
          dict(type='Collect', keys=['img', 'gt_semantic_seg'])]
TARGET = [dict(type='LoadImageFromFile'), dict(type='Resize', img_scale=(40, 30), keep_ratio=False), *AFTER,
          dict(type='Collect', keys=['img'])]


@pytest.fixture
def cfg(tmp_path):
    """A config of domain adaptation."""
    city, weather = cityscapes(tmp_path / 'city', train=6), acdc(tmp_path / 'weather')
    write_stats(city)
    train = dict(type='UDADataset', source={**cityscapes_cfg(city), 'pipeline': SOURCE},
                 target={**acdc_cfg(weather), 'pipeline': TARGET}, rare_class_sampling=RCS)
    return Config(dict(data=dict(train=train)))


@pytest.fixture
def fill(tmp_path, capsys):
    """tools/cache_dataset.py, called in this process."""
    def run(cfg, *args, code=0):
        cfg.dump(str(tmp_path / 'cfg.json'))
        with pytest.raises(SystemExit) as ended:
            program.main([str(tmp_path / 'cfg.json'), '--out', str(tmp_path / 'cache'), '--nproc', '1',
                          *args])
        out, err = capsys.readouterr()
        assert ended.value.code == code, err
        return out if code == 0 else [line for line in err.splitlines() if line.startswith('error: ')]
    return run


def files(tmp_path: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (tmp_path / 'cache').rglob('*.npy')}


def source(cfg, cache) -> dict:
    return {**cfg.data.train.source, 'cache': cache if isinstance(cache, dict) else str(cache)}


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        if 'metas' in key:
            assert repr(value.data) == repr(other[key].data)
        else:
            np.testing.assert_array_equal(value.data, other[key].data)


def never(*_):
    raise AssertionError('a file was decoded')


@pytest.mark.parametrize('rcs', [None, RCS])
def test_samples_are_the_same_bit_for_bit(cfg, fill, tmp_path, monkeypatch, rcs):
    fill(cfg)
    cfg.data.train.rare_class_sampling = rcs
    plain = build_dataset(cfg.data.train)
    expected = []
    for seed in range(6):
        np.random.seed(seed)
        expected.append(plain[seed])
    monkeypatch.setattr(loading, 'decode_image', never)
    cached = build_train_dataset(dict(train=cfg.data.train, cache_dir=str(tmp_path / 'cache')))
    assert isinstance(cached.target.pipeline.transforms[0], CachedImages)
    for seed in range(6):
        np.random.seed(seed)
        assert_same(cached[seed], expected[seed])


@pytest.mark.parametrize('change', [
    {}, dict(classes=['road', 'car', 'sky']), dict(keep_ratio=False), dict(no_resize=True), dict(grey=True)])
def test_the_cached_part_gives_all_that_the_transforms_give(cfg, fill, tmp_path, change):
    part = cfg.data.train.source
    if 'classes' in change:
        part.classes = change['classes']
    if 'keep_ratio' in change:
        part.pipeline[2].keep_ratio = False
    if 'no_resize' in change:
        del part.pipeline[2]
    if 'grey' in change:
        part.pipeline[0].color_type = 'grayscale'
    cfg.data.train = part
    fill(cfg)
    cached, plain = build_dataset(source_of(part, tmp_path)), build_dataset(part)
    for index in range(len(plain)):
        one, other = cached.prepare(index), plain.prepare(index)
        assert one.keys() == other.keys()
        for key, value in other.items():
            assert type(one[key]) is type(value), key
            assert repr(one[key]) == repr(value), key
        np.testing.assert_array_equal(one['img'], other['img'])
        np.testing.assert_array_equal(one['gt_semantic_seg'], other['gt_semantic_seg'])
        assert one['img'].dtype == one['gt_semantic_seg'].dtype == np.uint8


def source_of(part: dict, tmp_path: Path) -> dict:
    return {**part, 'cache': str(tmp_path / 'cache')}


def test_pixels_are_lent_only_to_transforms_that_copy_them(cfg, fill, tmp_path):
    fill(cfg)
    part = source(cfg, tmp_path / 'cache')
    assert not build_dataset(part).prepare(0)['img'].flags.writeable  # mapped memory, and a crop follows
    part['pipeline'] = [*SOURCE[:3], dict(type='PhotoMetricDistortion'), *SOURCE[3:]]
    assert build_dataset(part).prepare(0)['img'].flags.writeable


def test_a_second_run_writes_nothing_and_a_changed_file_is_cached_anew(cfg, fill, tmp_path):
    out = fill(cfg)
    assert 'about' in out and 'are free' in out
    before = files(tmp_path)
    assert len(before) == 6 + 4
    assert '0 of them new' in fill(cfg)
    assert files(tmp_path) == before
    image = tmp_path / 'city/leftImg8bit/train/town/town_000002_000019_leftImg8bit.png'
    label = next((tmp_path / 'city/gtFine/train').rglob('town_000004_*TrainIds.png'))
    save(image, random_image(np.random.default_rng(9)))
    os.utime(label, ns=(1, 1))
    dataset = build_dataset(source(cfg, tmp_path / 'cache'))
    for index in (2, 4):
        with pytest.raises(UserError, match=rf'town_00000{index}.* was changed after it was cached: run '
                                            r'python tools/cache_dataset\.py'):
            dataset[index]
    dataset[3]
    assert '2 of them new' in fill(cfg)
    now = files(tmp_path)
    assert {p.name[:11] for p in now if now[p] != before[p]} == {'town_000002', 'town_000004'}
    plain = build_dataset(cfg.data.train.source)
    np.testing.assert_array_equal(dataset.prepare(2)['img'], plain.prepare(2)['img'])


@pytest.mark.parametrize(('change', 'message'), [
    (lambda part: part.pipeline[1].update(reduce_zero_label=True), 'with transforms=.*reduce_zero_label'),
    (lambda part: part.update(ignore_index=17), 'made with ignore_index=255, and the config asks for 17'),
    (lambda part: part.update(classes=['road']),
     'made with num_classes=19, and the config asks for 1|made with label_map='),
    (lambda part: part.pipeline[2].update(keep_ratio=False), 'made with transforms='),
    (lambda part: part.pipeline[2].update(img_scale=(32, 32)), 'no finished cache in .*train_32x32'),
])
def test_other_settings_are_refused(cfg, fill, tmp_path, change, message):
    fill(cfg)
    change(cfg.data.train.source)
    with pytest.raises(UserError, match=message + '.*: run python tools/cache_dataset.py'):
        build_dataset(source(cfg, tmp_path / 'cache'))


def test_another_opencv_is_another_setting(cfg, fill, tmp_path, monkeypatch):
    fill(cfg)
    monkeypatch.setattr('cv2.__version__', '9.9')
    with pytest.raises(UserError, match='opencv=.* asks for 9.9'):
        build_dataset(source(cfg, tmp_path / 'cache'))


def test_files_of_other_settings_are_refused_one_by_one(cfg, fill, tmp_path):
    """As a rebuild that was cut off leaves them."""
    fill(cfg)
    dataset = build_dataset(source(cfg, tmp_path / 'cache'))
    dataset.pipeline.transforms[0].digest = 'another'
    with pytest.raises(UserError, match='other settings'):
        dataset[0]


@pytest.mark.parametrize('suffix', ['.npy', '.json'])
@pytest.mark.parametrize('damage', [b'', b'\x93NUMPY', None])
def test_damaged_files_are_refused(cfg, fill, tmp_path, damage, suffix):
    fill(cfg)
    dataset = build_dataset(source(cfg, tmp_path / 'cache'))
    path = min(p for p in files(tmp_path) if 'town' in p.name).with_suffix(suffix)
    path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    with pytest.raises(UserError, match='town_000000'):
        dataset[0]
    assert '1 of them new' in fill(cfg)
    dataset[0]


def test_source_files_take_the_place_of_what_is_missing_if_asked(cfg, fill, tmp_path, monkeypatch):
    fill(cfg)
    lenient = source(cfg, dict(dir=str(tmp_path / 'cache'), missing='decode'))
    dataset, plain = build_dataset(lenient), build_dataset(cfg.data.train.source)
    image = tmp_path / 'city/leftImg8bit/train/town/town_000002_000019_leftImg8bit.png'
    save(image, random_image(np.random.default_rng(9)))
    noted = []
    monkeypatch.setattr('mmseg.datasets.loading.image_cache.get_root_logger',
                        lambda: type('L', (), {'warning': lambda _, text: noted.append(text)})())
    for _ in range(2):
        np.testing.assert_array_equal(dataset.prepare(2)['img'], plain.prepare(2)['img'])
    assert len(noted) == 1 and 'was changed after it was cached: decoding the source files' in noted[0]
    shutil.rmtree(tmp_path / 'cache')
    assert build_dataset(lenient).pipeline.transforms[0].__class__.__name__ == 'LoadImageFromFile'
    assert 'no finished cache' in noted[1]
    with pytest.raises(UserError, match="missing must be 'error' or 'decode'"):
        build_dataset(source(cfg, dict(dir='x', missing='maybe')))


def test_images_that_came_later_are_named(cfg, fill, tmp_path):
    fill(cfg)
    cityscapes(tmp_path / 'city', train=8)
    with pytest.raises(UserError, match='images, such as town/town_000006.*, are not in the cache'):
        build_dataset(source(cfg, tmp_path / 'cache'))


def test_a_full_disk_is_told_before_anything_is_written(cfg, fill, tmp_path, monkeypatch):
    free = program.LEFT_FREE + 3 * 24 * 48 * 4  # room for three of six
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: shutil._ntuple_diskusage(1, 1, free))
    [line] = fill(cfg, code=1)
    assert 'the cache needs about 0.00 GB but' in line and '--out' in line
    assert files(tmp_path) == {}


def test_a_killed_run_goes_on(cfg, fill, tmp_path, monkeypatch):
    write, done = CachedImages.write, []

    def write_three(self, given):
        if len(done) == 3:
            raise UserError('killed')
        done.append(1)
        return write(self, given)
    with monkeypatch.context() as patch:
        patch.setattr(CachedImages, 'write', write_three)
        fill(cfg, code=1)
    with pytest.raises(UserError, match='no finished cache'):
        build_dataset(source(cfg, tmp_path / 'cache'))
    assert '6 images, 3 of them new' in fill(cfg)


@pytest.mark.parametrize(('change', 'message'), [
    (lambda part: part.pipeline[0].update(to_float32=True), 'uint8'),
    (lambda part: part.pipeline[0].update(file_client_args=dict(backend='http')), 'needs images on the disk'),
    (lambda part: part.pipeline.pop(0), 'must begin with LoadImageFromFile'),
])
def test_what_cannot_be_cached_says_why(cfg, fill, change, message):
    change(cfg.data.train.source)
    assert message in fill(cfg, code=1)[0]


def test_pools_and_repetitions_are_cached_too(cfg, fill, tmp_path):
    part = cfg.data.train.source
    cfg.data.train = dict(type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[
        part, {**part, 'img_dir': 'leftImg8bit/val', 'ann_dir': 'gtFine/val'}]))
    fill(cfg)
    assert len(files(tmp_path)) == 6 + 2
    cached = build_dataset(cfg.data.train, dict(cache=str(tmp_path / 'cache')))
    plain = build_dataset(cfg.data.train)
    for index in (0, 7, 15):
        np.random.seed(1)
        expected = plain[index]
        np.random.seed(1)
        assert_same(cached[index], expected)
    folder = next((tmp_path / 'cache').glob('*train_48x24'))
    assert json.loads((folder / 'cache.json').read_text())['num_classes'] == 19
