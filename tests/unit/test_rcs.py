"""Rare class sampling against the golden values and a recount with numpy."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data_trees import NORM, acdc, acdc_cfg, cityscapes, cityscapes_cfg, train_pipeline

from mmseg.datasets import build_dataset
from mmseg.datasets.pipelines import loading
from mmseg.datasets.preparation.class_stats import (
    LabelIndex,
    label_stats,
    read_class_stats,
    read_samples_with_class,
    write_class_stats,
)
from mmseg.datasets.rare_class_sampling import (
    draw_class_and_image,
    get_rcs_class_probs,
    images_with_class,
)
from mmseg.utils import UserError

GOLDEN = json.loads((Path(__file__).resolve().parents[1] / 'data' / 'golden_rcs.json').read_text())
RCS = dict(min_pixels=63, class_temp=0.1, min_crop_ratio=0.5)


def write_stats(root: Path) -> None:
    dataset = build_dataset(cityscapes_cfg(root))
    write_class_stats(str(root), [
        label_stats(dataset.get_gt_seg_map(i), f"gtFine/train/{info['ann']['seg_map']}")
        for i, info in enumerate(dataset.img_infos)])


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    city = cityscapes(tmp_path_factory.mktemp('city'), train=12)
    write_stats(city)
    return city, acdc(tmp_path_factory.mktemp('weather'))


def uda_cfg(roots, rcs: dict | None, crop: tuple[int, int] = (16, 16)) -> dict:
    city, weather = roots
    return dict(type='UDADataset', source={**cityscapes_cfg(city), 'pipeline': train_pipeline(crop)},
                target=acdc_cfg(weather), rare_class_sampling=rcs)


# ---- statistics and probabilities ----


@pytest.mark.parametrize('temperature', sorted(GOLDEN['by_temperature']))
def test_probabilities_are_the_golden_ones(tmp_path, temperature):
    (tmp_path / 'sample_class_stats.json').write_text(json.dumps(GOLDEN['sample_class_stats']))
    classes, probs = get_rcs_class_probs(str(tmp_path), float(temperature))
    golden = GOLDEN['by_temperature'][temperature]
    assert classes == golden['classes']
    np.testing.assert_allclose(probs, golden['probs'], rtol=1e-4)


def test_probabilities_are_a_numpy_softmax_of_a_recount(roots):
    dataset = build_dataset(cityscapes_cfg(roots[0]))
    counts = sum(np.bincount(dataset.get_gt_seg_map(i).ravel(), minlength=19) for i in range(len(dataset)))
    order = np.argsort(counts, kind='stable')
    order = order[counts[order] > 0]
    weights = np.exp((1 - counts[order] / counts.sum()) / 0.1)
    classes, probs = get_rcs_class_probs(str(roots[0]), 0.1)
    assert classes == order.tolist()
    np.testing.assert_allclose(probs, weights / weights.sum(), rtol=1e-5)


def test_the_three_files_say_the_same(roots):
    stats = read_class_stats(str(roots[0]))
    by_path = json.loads((roots[0] / 'sample_class_stats_dict.json').read_text())
    samples = read_samples_with_class(str(roots[0]))
    assert [entry['file'] for entry in stats] == sorted(by_path)
    for entry in stats:
        counts = {c: n for c, n in entry.items() if c != 'file'}
        assert by_path[entry['file']] == counts
        assert sum(counts.values()) == 32 * 64
        for class_id, count in counts.items():
            assert (entry['file'], count) in samples[int(class_id)]
    assert sum(map(len, samples.values())) == sum(len(entry) - 1 for entry in stats)


def test_ignored_pixels_are_not_counted():
    assert label_stats(np.array([[255, 3, 3]], np.uint8), 'x.png') == {'3': 2, 'file': 'x.png'}


@pytest.mark.parametrize('path', [
    'gtFine/train/town/b.png', 'data/cityscapes/gtFine/train/town/b.png', '/mnt/x/gtFine/train/town/b.png',
    'D:\\data\\gtFine\\train\\town\\b.png', 'b.png'])
def test_images_are_found_by_older_paths(path):
    index = LabelIndex(['root/gtFine/train/town/a.png', 'root/gtFine/train/town/b.png'])
    assert index.find(path) == [1]
    assert index.find('c.png') == []


def test_of_two_files_of_one_name_the_nearer_is_found():
    index = LabelIndex(['data/gt/fog/1.png', 'data/gt/rain/1.png'])
    assert index.find('/old/gt/rain/1.png') == [1]
    assert index.find('/old/gt/fog/1.png') == [0]


# ---- draws ----


def test_classes_are_drawn_by_their_probability_and_images_uniformly():
    images = {4: np.array([7]), 2: np.array([1, 3, 5])}
    rng = np.random.RandomState(0)
    draws = [draw_class_and_image(rng, [4, 2], np.array([0.25, 0.75], np.float32), images)
             for _ in range(4000)]
    assert np.mean([c == 4 for c, _ in draws]) == pytest.approx(0.25, abs=0.03)
    for image in (1, 3, 5):
        assert np.mean([i == image for _, i in draws]) == pytest.approx(0.25, abs=0.03)
    assert {i for c, i in draws if c == 4} == {7}


def test_the_draws_are_those_of_the_reference():
    """class, file, target: np.random.choice over the lists themselves gives the same."""
    files = ['a', 'b', 'c', 'd', 'e']
    images = {1: np.arange(5), 0: np.arange(5)}
    probs = np.array([0.6, 0.4], np.float32)
    rng, peer = np.random.RandomState(3), np.random.RandomState(3)
    for _ in range(50):
        class_id, image = draw_class_and_image(rng, [1, 0], probs, images)
        assert class_id == peer.choice([1, 0], p=probs)
        assert files[image] == peer.choice(files)
        assert rng.choice(9) == peer.choice(range(9))


def test_a_crop_holds_enough_of_its_class(roots):
    pairs = build_dataset(uda_cfg(roots, RCS))
    enough = []
    for seed in range(40):
        np.random.seed(seed)
        class_id, index = pairs.sampler.draw()
        np.random.seed(seed)
        item = pairs[0]
        assert item['img_metas'].data['ori_filename'] == pairs.source.img_infos[index]['filename']
        enough.append(int((item['gt_semantic_seg'].data == class_id).sum()) > 63 * 0.5)
    # an 8x8 cell is at least half inside 17 % of the 16x16 crops or more: 1 - 0.83^11 = 87 %
    assert np.mean(enough) > 0.7
    once = build_dataset(uda_cfg(roots, {**RCS, 'min_crop_ratio': 0}))
    np.random.seed(0)
    assert once[0]['img'].data.shape == (3, 16, 16)


@pytest.mark.parametrize(('ratio', 'crops'), [(0, 1), (1.0, 1), (1e6, 11)])
def test_the_image_is_decoded_once_and_cropped_up_to_eleven_times(roots, monkeypatch, ratio, crops):
    whole = uda_cfg(roots, {**RCS, 'min_crop_ratio': ratio}, crop=(32, 64))  # the crop is the image
    pairs = build_dataset(whole)
    decoded, drawn, completed = [], [], []
    decode, draw, complete = loading.decode_image, pairs.source.draw, pairs.source.complete
    monkeypatch.setattr(loading, 'decode_image',
                        lambda content, path, *a: decoded.append(path) or decode(content, path, *a))
    monkeypatch.setattr(pairs.source, 'draw', lambda p: drawn.append(1) or draw(p))
    monkeypatch.setattr(pairs.source, 'complete', lambda p: completed.append(1) or complete(p))
    np.random.seed(1)
    pairs[0]
    assert len(drawn) == crops
    assert len(completed) == 1
    assert len(decoded) == len(set(decoded)) == 3  # source image, its label, target image


BEFORE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
          dict(type='Resize', img_scale=(48, 24))]
AFTER = [dict(type='Normalize', **NORM), dict(type='Pad', size=(20, 20), pad_val=0, seg_pad_val=255),
         dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img', 'gt_semantic_seg'])]
CROP = dict(type='RandomCrop', crop_size=(16, 16), cat_max_ratio=0.5)
PIPELINES = {
    'of the method': [*BEFORE, CROP, dict(type='RandomFlip', prob=0.5), *AFTER],
    'with colours': [*BEFORE, CROP, dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'),
                     *AFTER],
    'with random sizes': [*BEFORE[:2], dict(type='Resize', img_scale=(48, 24), ratio_range=(0.8, 2)), CROP,
                          *AFTER],
    'cut out first': [*BEFORE, dict(type='RandomCutOut', prob=0.5, n_holes=2, cutout_shape=(9, 9),
                                    seg_fill_in=255), CROP, *AFTER],
    'padded with a class': [*BEFORE, CROP, dict(type='Pad', size=(20, 20), seg_pad_val=7), *AFTER[2:]],
    'turned at the very end': [*BEFORE, CROP, *AFTER[:2], dict(type='RandomRotate', prob=0.5, degree=20),
                               *AFTER[2:]],
    'nothing drawn': [*BEFORE, *AFTER],
}


def of_the_reference(pairs) -> tuple[dict, int]:
    """The source's part of a pair as the released code makes it: everything anew for each crop."""
    class_id, index = draw_class_and_image(
        np.random, pairs.sampler.classes, pairs.sampler.probabilities, pairs.sampler.images)
    crops, sample = 1, pairs.source[index]
    while crops < 11 and int((sample['gt_semantic_seg'].data == class_id).sum()) <= 63 * 0.5:
        crops, sample = crops + 1, pairs.source[index]
    return sample, crops


@pytest.mark.parametrize('name', PIPELINES)
def test_samples_and_draws_are_those_of_decoding_each_crop(roots, name):
    cfg = uda_cfg(roots, RCS)
    cfg['source']['pipeline'] = PIPELINES[name]
    pairs, crops = build_dataset(cfg), []
    for seed in range(8):
        np.random.seed(seed)
        expected, count = of_the_reference(pairs)
        crops.append(count)
        target = int(np.random.choice(len(pairs.target)))
        np.random.seed(seed)
        found = pairs[0]
        for key in ('img', 'gt_semantic_seg'):
            np.testing.assert_array_equal(found[key].data, expected[key].data)
        assert repr(found['img_metas'].data) == repr(expected['img_metas'].data)
        assert (found['target_img_metas'].data['ori_filename']
                == pairs.target.img_infos[target]['filename'])
    assert min(crops) < 11
    assert max(crops) > 1 or name == 'nothing drawn'


def test_a_drawn_crop_leaves_the_decoded_image_alone(roots):
    source = build_dataset(uda_cfg(roots, RCS)).source
    prepared = source.prepare(0)
    before = prepared['img'].copy(), prepared['gt_semantic_seg'].copy()
    for step in (source.draw, lambda p: source.complete(source.draw(p))):
        drawn = step(prepared)
        assert not np.shares_memory(np.asarray(getattr(drawn['img'], 'data', drawn['img'])), prepared['img'])
    np.testing.assert_array_equal(prepared['img'], before[0])
    np.testing.assert_array_equal(prepared['gt_semantic_seg'], before[1])
    assert 'flip' not in prepared


# ---- mistakes ----


def test_missing_statistics_name_the_converter(tmp_path, roots):
    with pytest.raises(UserError, match=r'sample_class_stats\.json, which does not exist: run python '
                                        r'tools/class_statistics\.py CONFIG'):
        get_rcs_class_probs(str(tmp_path), 0.01)
    (tmp_path / 'sample_class_stats.json').write_text('[{"0": 1')
    with pytest.raises(UserError, match='damaged'):
        get_rcs_class_probs(str(tmp_path), 0.01)
    cfg = uda_cfg((cityscapes(tmp_path / 'new'), roots[1]), RCS)
    with pytest.raises(UserError, match=r'new/sample_class_stats\.json, which does not exist: run python '
                                        rf'tools/convert_datasets/cityscapes\.py {tmp_path}/new'):
        build_dataset(cfg)
    cfg['rare_class_sampling'] = {**RCS, 'stats_dir': str(roots[0])}
    with pytest.raises(UserError, match='stale'):  # statistics of more images than there are
        build_dataset(cfg)


def test_a_class_without_any_image_above_min_pixels(roots):
    with pytest.raises(UserError, match=r'no image has more than min_pixels=5000 pixels of class \d+.*lower'):
        build_dataset(uda_cfg(roots, {**RCS, 'min_pixels': 5000}))


def test_a_subset_by_split_file_passes_other_images_over():
    labels = LabelIndex(['gt/a.png'])
    samples = {3: [('gt/a.png', 90), ('gt/b.png', 90)]}
    assert images_with_class(samples, [3], labels, 50, subset=True)[3].tolist() == [0]
    with pytest.raises(UserError, match=r'gt/b\.png, which is not in the data set'):
        images_with_class(samples, [3], labels, 50)
    assert images_with_class({3: [('gt/a.png', 90), ('gt/b.png', 50)]}, [3], labels, 50)[3].tolist() == [0]


@pytest.mark.parametrize(('rcs', 'message'), [
    ({**RCS, 'class_temp': 0}, 'class_temp is 0, expected a number above 0'),
    ({**RCS, 'class_temperature': 0.1}, "unknown key 'class_temperature'.*did you mean 'class_temp'"),
    (dict(min_pixels=1, class_temp=1), "key 'min_crop_ratio' is missing"),
])
def test_mistakes_in_the_options(roots, rcs, message):
    with pytest.raises(UserError, match=message):
        build_dataset(uda_cfg(roots, rcs))
