from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from data_trees import (
    CONDITIONS,
    LABEL_IDS,
    acdc,
    acdc_cfg,
    blocky_label,
    cityscapes,
    cityscapes_cfg,
    random_image,
    save,
    train_pipeline,
)
from mmcv import Config
from PIL import Image

from mmseg.core.evaluation import ConfusionMatrix
from mmseg.datasets import ConcatDataset, UDADataset, build_dataset, leaf_configs
from mmseg.datasets.pipelines import Compose
from mmseg.utils import UserError

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def city(tmp_path_factory):
    return cityscapes(tmp_path_factory.mktemp('cityscapes'))


@pytest.fixture(scope='module')
def weather(tmp_path_factory):
    return acdc(tmp_path_factory.mktemp('acdc'))


@pytest.fixture(scope='module')
def custom_root(tmp_path_factory):
    """Two images of two classes with labels known by hand."""
    root = tmp_path_factory.mktemp('custom')
    for name, label in (('a', [[0, 0, 0], [1, 1, 1]]), ('b', [[1, 255, 0], [0, 1, 1]])):
        save(root / 'img' / f'{name}.png', np.zeros((2, 3, 3), np.uint8))
        save(root / 'ann' / f'{name}.png', np.array(label, np.uint8))
    return root


def custom(root, **kwargs):
    return build_dataset(dict(type='CustomDataset', pipeline=[dict(type='LoadImageFromFile')], img_dir='img',
                              ann_dir='ann', img_suffix='.png', data_root=str(root), classes=['p', 'q'],
                              **kwargs))


# ---- Cityscapes ----


def test_cityscapes_pairs_images_with_labels(city):
    dataset = build_dataset(cityscapes_cfg(city))
    assert len(dataset) == 3
    assert dataset.img_infos[1] == dict(
        filename='town/town_000001_000019_leftImg8bit.png',
        ann=dict(seg_map='town/town_000001_000019_gtFine_labelTrainIds.png'))
    assert len(dataset.CLASSES) == len(dataset.PALETTE) == 19
    item = dataset[0]
    assert tuple(item['img'].data.shape) == (3, 16, 16)
    assert tuple(item['gt_semantic_seg'].data.shape) == (1, 16, 16)


def test_a_split_file_chooses_images(city, tmp_path):
    (tmp_path / 'two.txt').write_text('town/town_000002_000019\ntown/town_000000_000019\n\n')
    dataset = build_dataset({**cityscapes_cfg(city), 'split': str(tmp_path / 'two.txt')})
    assert [i['filename'][5:16] for i in dataset.img_infos] == ['town_000000', 'town_000002']


def test_submissions_hold_label_ids_and_the_names_of_the_images(city, tmp_path):
    dataset = build_dataset(cityscapes_cfg(city, 'val'), dict(test_mode=True))
    prediction = np.arange(19, dtype=np.int64).reshape(1, 19)
    paths = dataset.format_results([prediction], str(tmp_path / 'out'), indices=[1])
    assert [os.path.basename(p) for p in paths] == ['town_000001_000019_leftImg8bit.png']
    assert np.array(Image.open(paths[0])).tolist() == [LABEL_IDS]
    assert np.array(Image.open(paths[0]).convert('RGB'))[0, 0].tolist() == [128, 64, 128]  # road
    dataset.format_results([prediction], str(tmp_path / 'out'), to_label_id=False, indices=[1])
    np.testing.assert_array_equal(np.array(Image.open(paths[0])), prediction)


# ---- ACDC ----


def test_acdc_reads_both_layouts_with_the_same_config(weather, tmp_path):
    flat = acdc(tmp_path, official=False)
    for split, count in (('train', 4), ('val', 4)):
        one, two = build_dataset(acdc_cfg(weather, split)), build_dataset(acdc_cfg(flat, split))
        assert len(one) == len(two) == count
        names = [[os.path.basename(i['filename']) for i in d.img_infos] for d in (one, two)]
        assert names[0] == names[1]
        assert [i['condition'] for i in one.img_infos] == list(CONDITIONS)
        assert {i['condition'] for i in two.img_infos} == {None}
        for index in range(count):
            assert one.get_gt_seg_map(index).shape == (32, 64)
        assert one[0]['img'].data.shape == two[0]['img'].data.shape


def test_acdc_of_one_condition(weather):
    dataset = build_dataset(acdc_cfg(weather, img_dir='rgb_anon/night/train', ann_dir='gt/night/train'))
    assert [i['condition'] for i in dataset.img_infos] == ['night']


def test_acdc_test_split_has_no_labels(weather):
    dataset = build_dataset(acdc_cfg(weather, 'test'), dict(test_mode=True))
    assert len(dataset) == 4
    with pytest.raises(UserError, match='cannot read the label'):
        dataset.get_gt_seg_map(0)
    without = build_dataset(acdc_cfg(weather, 'test', ann_dir=None, test_mode=True))
    with pytest.raises(UserError, match='have no labels'):
        without.evaluate([np.zeros((32, 64))])


def test_acdc_gives_scores_per_condition(weather):
    dataset = build_dataset(acdc_cfg(weather, 'val'), dict(test_mode=True))
    results = list(dataset.get_gt_seg_maps())
    results[0] = (results[0] + 1) % 19  # fog: all wrong
    scores = dataset.evaluate(results, logger='silent')
    assert scores['mIoU.fog'] == 0
    assert scores['mIoU.night'] == scores['mIoU.snow'] == 1
    assert scores['aAcc'] == pytest.approx(0.75)


# ---- evaluation ----


PREDICTIONS = [np.array([[0, 1, 0], [1, 1, 0]]), np.array([[1, 0, 1], [0, 0, 1]])]


def test_scores_by_hand(custom_root):
    dataset = custom(custom_root, test_mode=True)
    # class p: right 2 + 1, labelled 3 + 2, predicted 3 + 2 (one more under the ignored pixel)
    # class q: right 2 + 2, labelled 3 + 3, predicted 3 + 3
    scores = dataset.evaluate(PREDICTIONS, logger='silent')
    assert scores['IoU.p'] == pytest.approx(3 / (5 + 5 - 3))
    assert scores['IoU.q'] == pytest.approx(4 / (6 + 6 - 4))
    assert scores['mIoU'] == pytest.approx((3 / 7 + 4 / 8) / 2)
    assert scores['aAcc'] == pytest.approx(7 / 11)
    assert scores['Acc.q'] == pytest.approx(4 / 6)


def test_matrices_score_like_predictions(custom_root):
    dataset = custom(custom_root, test_mode=True)
    expected = dataset.evaluate(PREDICTIONS, logger='silent')
    each = [ConfusionMatrix(2).update(p, g) for p, g in zip(PREDICTIONS, dataset.get_gt_seg_maps())]
    counts = [ConfusionMatrix.from_counts(m.matrix.numpy()) for m in each]
    of_images = dataset.evaluate(counts, logger='silent')
    together = dataset.evaluate(each[0].merge(each[1]), logger='silent')
    assert of_images == expected == together


def test_an_array_is_a_prediction_whatever_its_size(tmp_path):
    save(tmp_path / 'img' / 'a.png', np.zeros((2, 2, 3), np.uint8))
    save(tmp_path / 'ann' / 'a.png', np.array([[0, 1], [1, 1]], np.uint8))
    dataset = custom(tmp_path, test_mode=True)   # of two classes, and images of 2x2 pixels
    scores = dataset.evaluate([np.array([[0, 1], [0, 1]])], logger='silent')
    assert (scores['IoU.p'], scores['IoU.q'], scores['aAcc']) == (1 / 2, 2 / 3, 3 / 4)
    counts = ConfusionMatrix.from_counts(np.array([[0, 1], [0, 1]]))
    assert dataset.evaluate([counts], logger='silent')['aAcc'] == 1 / 2


def test_counts_are_no_prediction_unless_they_say_so(custom_root):
    with pytest.raises(UserError, match='must have the same size'):
        custom(custom_root, test_mode=True).evaluate([np.eye(2)] * 2, logger='silent')
    with pytest.raises(ValueError, match='shape'):
        ConfusionMatrix.from_counts(np.zeros((2, 3)))


def test_too_few_or_too_many_results(custom_root):
    dataset = custom(custom_root, test_mode=True)
    with pytest.raises(UserError, match='1 results for the 2 images'):
        dataset.evaluate(PREDICTIONS[:1], logger='silent')
    with pytest.raises(UserError, match='more results than the 2 images'):
        dataset.evaluate([*PREDICTIONS, PREDICTIONS[0]], logger='silent')


def test_the_table_goes_to_the_logger(custom_root, caplog):
    logger = logging.getLogger('table')
    with caplog.at_level(logging.INFO, logger='table'):
        custom(custom_root, test_mode=True).evaluate(
            [ConfusionMatrix.from_counts(np.eye(2) * 3)] * 2, logger=logger)
    assert '| p' in caplog.text
    assert '100.00' in caplog.text


# ---- classes ----


def test_a_subset_of_the_classes_renumbers_labels(city):
    dataset = build_dataset(cityscapes_cfg(city, classes=['car', 'road']))
    whole = build_dataset(cityscapes_cfg(city))
    raw, chosen = whole.get_gt_seg_map(0), dataset.get_gt_seg_map(0)
    np.testing.assert_array_equal(chosen, np.select([raw == 13, raw == 0], [0, 1], 255))
    assert dataset.PALETTE == [[0, 0, 142], [128, 64, 128]]
    assert set(np.unique(dataset[0]['gt_semantic_seg'].data)) <= {0, 1, 255}
    with pytest.raises(UserError, match="unknown class 'rode': did you mean 'road'"):
        build_dataset(cityscapes_cfg(city, classes=['rode']))


# ---- data sets of data sets ----


def test_lists_are_concatenated_and_repeats_repeat(city):
    pair = build_dataset([cityscapes_cfg(city), cityscapes_cfg(city, 'val')])
    assert isinstance(pair, ConcatDataset)
    assert len(pair) == 5 == len(pair.img_infos)
    spread = build_dataset({**cityscapes_cfg(city), 'img_dir': ['leftImg8bit/train', 'leftImg8bit/val'],
                            'ann_dir': ['gtFine/train', 'gtFine/val']})
    assert len(spread) == 5
    repeated = build_dataset(dict(type='RepeatDataset', times=4, dataset=cityscapes_cfg(city)))
    assert len(repeated) == 12
    with pytest.raises(UserError, match='different length'):
        build_dataset({**cityscapes_cfg(city), 'img_dir': ['a', 'b'], 'ann_dir': ['c']})


def test_uda_pairs_by_index(city, weather):
    pairs = build_dataset(dict(type='UDADataset', source=cityscapes_cfg(city),
                               target=acdc_cfg(weather, pipeline=train_pipeline(labels=False))))
    assert len(pairs) == 12
    item = pairs[6]  # 6 = 1 * 4 + 2
    assert sorted(item) == ['gt_semantic_seg', 'img', 'img_metas', 'target_img', 'target_img_metas']
    assert 'town_000001' in item['img_metas'].data['filename']
    assert 'GP_rain' in item['target_img_metas'].data['filename']
    assert tuple(item['target_img'].data.shape) == (3, 16, 16)


def test_labels_of_the_target_are_never_opened(city, tmp_path):
    target = acdc(tmp_path, labels=False)
    with_labels = acdc_cfg(target)  # the reference implementation's configs load them
    pairs = build_dataset(dict(type='UDADataset', source=cityscapes_cfg(city), target=with_labels))
    assert 'target_img' in pairs[0]
    np.testing.assert_array_equal(pairs[0]['target_img'].data.shape, (3, 16, 16))
    with pytest.raises(UserError, match='label folder'):
        build_dataset(with_labels)


def test_uda_from_python_as_in_the_reference(city, weather):
    source, target = build_dataset(cityscapes_cfg(city)), build_dataset(acdc_cfg(weather))
    pairs = UDADataset(source=source, target=target, cfg=dict(type='UDADataset'))
    assert torch.equal(pairs[0]['gt_semantic_seg'].data >= 0, torch.ones(1, 16, 16, dtype=torch.bool))
    assert pairs.CLASSES == source.CLASSES


def test_configs_are_left_as_they_are(city, weather):
    cfg = dict(type='UDADataset', source=cityscapes_cfg(city), target=acdc_cfg(weather))
    before = repr(cfg)
    build_dataset(cfg)
    assert repr(cfg) == before


# ---- mistakes ----


def test_a_training_image_without_label_is_named(tmp_path):
    root = cityscapes(tmp_path)
    (root / 'gtFine/train/town/town_000001_000019_gtFine_labelTrainIds.png').unlink()
    with pytest.raises(UserError, match='town_000001_000019_leftImg8bit.png has no label.*cityscapes.py'):
        build_dataset(cityscapes_cfg(root))
    build_dataset(cityscapes_cfg(root), dict(test_mode=True))


def test_data_not_converted_names_the_converter(tmp_path):
    root = cityscapes(tmp_path, converted=False)
    with pytest.raises(UserError, match=r'python tools/convert_datasets/cityscapes\.py'):
        build_dataset(cityscapes_cfg(root))


def test_a_bad_label_in_an_item_is_named(tmp_path):
    root = cityscapes(tmp_path, train=1)
    label = root / 'gtFine/train/town/town_000000_000019_gtFine_labelTrainIds.png'
    save(label, np.full((32, 64), 33, np.uint8))
    dataset = build_dataset(cityscapes_cfg(root))
    with pytest.raises(UserError, match=r'value 33 in .*town_000000.* outside the 19 classes .*: name all'):
        dataset[0]
    save(label, blocky_label(np.random.default_rng(0), 32, 32))
    with pytest.raises(UserError, match='64x32 but its label .* is 32x32'):
        dataset[0]


@pytest.mark.parametrize(('change', 'message'), [
    (dict(data_root='/nowhere/at/all'), 'data root /nowhere/at/all does not exist'),
    (dict(img_dir='leftImg9bit/train'), 'image folder .*leftImg9bit/train does not exist .*holds: .*gtFine'),
    (dict(ann_dir='gtFin/train'), 'label folder .*gtFin/train does not exist'),
    (dict(img_suffix='.PNG'), r'no image ending with \.PNG in .* \(it holds .*_leftImg8bit\.png\)'),
    (dict(classes=['road', 'car'], palette=[[0, 0, 0]]), 'palette has 1 colours for 2 classes'),
    (dict(split='/nowhere.txt'), 'split file /nowhere.txt does not exist'),
    (dict(img_dirs='x'), "unknown key 'img_dirs' in dataset 'CityscapesDataset': did you mean 'img_dir'"),
    (dict(type='CityscapeDataset'), "unknown dataset type 'CityscapeDataset': did you mean 'Cityscapes"),
])
def test_mistakes_in_a_config(city, change, message):
    with pytest.raises(UserError, match=message):
        build_dataset({**cityscapes_cfg(city), **change})


def data_sets_in(cfg: dict) -> list[dict]:
    return leaf_configs([cfg['train'], cfg['val'], cfg['test']])


@pytest.mark.parametrize('path', sorted((REPO / 'configs/_base_/datasets').glob('*.py')),
                         ids=lambda path: path.stem)
def test_the_configs_name_what_there_is(path):
    """All but the data: types, keys and pipelines build; the paths are the ones of the README."""
    data = Config.fromfile(path)._cfg_dict.to_dict()['data']
    for cfg in data_sets_in(data):
        cfg.pop('paired_with', None)  # is of the UDADataset
        Compose(cfg['pipeline'])
        root = cfg['data_root'] = f"nowhere/{cfg['data_root']}"
        with pytest.raises(UserError, match=f'data root {root} does not exist'):
            build_dataset(cfg)
    if data['train']['type'] == 'UDADataset':  # the adaptation never sees the target's labels
        assert 'LoadAnnotations' not in str(data['train']['target'])


def test_mistakes_in_a_uda_config(city, weather, custom_root):
    cfg = dict(type='UDADataset', source=cityscapes_cfg(city), target=acdc_cfg(weather))
    with pytest.raises(UserError, match="unknown key 'rare_class' in dataset 'UDADataset'"):
        build_dataset({**cfg, 'rare_class': {}})
    with pytest.raises(UserError, match="key 'target' is missing in dataset 'UDADataset'"):
        build_dataset(dict(type='UDADataset', source=cfg['source']))
    with pytest.raises(UserError, match='different classes'):
        UDADataset(build_dataset(cfg['source']), custom(custom_root))


def test_images_in_png_and_random_sizes_stay_apart(tmp_path):
    """Files that only look alike (hidden, other suffix) are not images of the data set."""
    root = cityscapes(tmp_path, train=1)
    folder = root / 'leftImg8bit/train/town'
    save(folder / 'town_1_other.png', random_image(np.random.default_rng(0)))
    (folder / '._town_000000_000019_leftImg8bit.png').write_bytes(b'')
    assert len(build_dataset(cityscapes_cfg(root))) == 1
