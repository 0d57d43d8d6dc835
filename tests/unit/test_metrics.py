"""The scores against golden values, an independent library and numbers written out by hand."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmseg.core.evaluation import (
    SYNTHIA_SUBSETS,
    ConfusionMatrix,
    eval_metrics,
    get_classes,
    get_palette,
    intersect_and_union,
    mean_dice,
    mean_fscore,
    mean_iou,
    mean_over,
    remap_label,
    total_intersect_and_union,
)
from mmseg.utils import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / 'data' / 'golden_metrics.json').read_text())
ALL = ['mIoU', 'mDice', 'mFscore']


def blocky_label(seed):
    """(64, 64) labels in cells of 8 pixels, 5 % of them 255: the recipe of the golden values."""
    rng = np.random.RandomState(seed)
    cells = rng.randint(0, 19, (1, 1, 8, 8))
    cells[rng.random_sample(cells.shape) < 0.05] = 255
    return np.kron(cells, np.ones((1, 1, 8, 8), np.int64))


def golden_pairs(count):
    rng = np.random.RandomState(GOLDEN['seed'])
    preds, labels = [], []
    for i in range(count):
        gt, other = blocky_label(GOLDEN['seed'] + i), blocky_label(GOLDEN['seed'] + 100 + i)
        other[other == 255] = 0
        pred = np.where(rng.random_sample(gt.shape) < 0.6, gt, other)
        pred[pred == 255] = 3
        pred[pred == 18] = 17
        preds.append(pred[0, 0])
        labels.append(gt[0, 0])
    return preds, labels


def assert_golden(scores):
    assert list(scores) == list(GOLDEN['metrics'])
    for name, expected in GOLDEN['metrics'].items():
        expected = np.array([np.nan if v is None else v for v in expected])
        np.testing.assert_allclose(np.atleast_1d(scores[name]), expected, rtol=1e-4, atol=0)


NUM_GOLDEN = 3


def test_golden_values_of_every_metric():
    preds, labels = golden_pairs(NUM_GOLDEN)
    assert_golden(eval_metrics(preds, labels, 19, 255, metrics=ALL))


def test_golden_values_from_a_running_matrix_of_tensors():
    matrix = ConfusionMatrix(19)
    for pred, label in zip(*golden_pairs(NUM_GOLDEN)):
        matrix.update(torch.from_numpy(pred), torch.from_numpy(label))
    assert_golden(matrix.metrics(ALL))


@pytest.fixture
def pairs():
    rng = np.random.RandomState(7)
    labels = rng.randint(0, 11, (4, 23, 35))
    preds = np.where(rng.rand(*labels.shape) < 0.7, labels, rng.randint(0, 11, labels.shape))
    labels[rng.rand(*labels.shape) < 0.2] = 255
    return preds, labels


def test_agrees_with_torchmetrics(pairs):
    peer = pytest.importorskip('torchmetrics.functional.classification')
    pred, label = map(torch.from_numpy, pairs)
    own = eval_metrics(*pairs, 11, 255, metrics=ALL)
    args = {'num_classes': 11, 'average': 'none', 'ignore_index': 255}
    kept = label != 255
    jaccard = peer.multiclass_jaccard_index(pred[kept], label[kept], 11, average='none')
    expected = {
        'IoU': jaccard,
        'Acc': peer.multiclass_accuracy(pred, label, **args),
        'Dice': peer.multiclass_f1_score(pred, label, **args),
        'Fscore': peer.multiclass_f1_score(pred, label, **args),
        'Precision': peer.multiclass_precision(pred, label, **args),
        'Recall': peer.multiclass_recall(pred, label, **args)}
    for name, values in expected.items():
        np.testing.assert_allclose(own[name], values.numpy(), rtol=1e-5, err_msg=name)


def test_beta_weights_recall_as_the_peer_does(pairs):
    peer = pytest.importorskip('torchmetrics.functional.classification')
    expected = peer.multiclass_fbeta_score(*map(torch.from_numpy, pairs), beta=2.0, num_classes=11,
                                           average='none', ignore_index=255)
    own = mean_fscore(*pairs, 11, 255, beta=2)
    np.testing.assert_allclose(own['Fscore'], expected.numpy(), rtol=1e-5)


def test_each_function_returns_its_keys(pairs):
    assert list(mean_iou(*pairs, 11, 255)) == ['aAcc', 'IoU', 'Acc']
    assert list(mean_dice(*pairs, 11, 255)) == ['aAcc', 'Dice', 'Acc']
    assert list(mean_fscore(*pairs, 11, 255)) == ['aAcc', 'Fscore', 'Precision', 'Recall']
    assert list(eval_metrics(*pairs, 11, 255, metrics='mDice')) == ['aAcc', 'Dice', 'Acc']


def test_areas_written_out():
    pred, label = np.array([[0, 0, 1], [1, 1, 2]]), np.array([[0, 1, 1], [1, 255, 0]])
    intersect, union, of_pred, of_label = intersect_and_union(pred, label, 3, 255)
    assert intersect.tolist() == [1, 2, 0]
    assert of_pred.tolist() == [2, 2, 1]
    assert of_label.tolist() == [2, 3, 0]
    assert union.tolist() == [3, 3, 1]


def test_label_map_replaces_all_at_once_and_then_zero_is_reduced():
    label = np.array([0, 1, 2, 3, 255], np.uint8)
    np.testing.assert_array_equal(remap_label(label, {1: 2, 2: 3}), [0, 2, 3, 3, 255])
    np.testing.assert_array_equal(remap_label(label, reduce_zero_label=True), [255, 0, 1, 2, 255])
    np.testing.assert_array_equal(remap_label(label, {3: 0}, True), [255, 0, 1, 255, 255])
    np.testing.assert_array_equal(label, [0, 1, 2, 3, 255])


def test_the_label_map_reaches_the_scores():
    pred, label = np.array([[0, 1, 1]]), np.array([[1, 2, 0]])
    scores = mean_iou([pred], [label], 2, 255, reduce_zero_label=True)
    np.testing.assert_allclose(scores['IoU'], [1, 1])
    scores = mean_iou([pred], [label], 2, 255, label_map={1: 0, 2: 1, 0: 1})
    np.testing.assert_allclose(scores['IoU'], [1, 1])


def test_files_are_read_where_paths_are_given(tmp_path, pairs):
    import cv2
    preds, labels = pairs
    np.save(tmp_path / 'pred.npy', preds[0])
    cv2.imwrite(str(tmp_path / 'label.png'), labels[0].astype(np.uint8))
    paths = str(tmp_path / 'pred.npy'), str(tmp_path / 'label.png')
    from_files = intersect_and_union(*paths, 11, 255)
    for own, expected in zip(from_files, intersect_and_union(preds[0], labels[0], 11, 255)):
        assert torch.equal(own, expected)


def test_generators_are_consumed_and_must_be_of_one_length(pairs):
    preds, labels = pairs
    areas = total_intersect_and_union(iter(preds), iter(labels), 11, 255)
    assert torch.equal(areas[3], total_intersect_and_union(preds, labels, 11, 255)[3])
    with pytest.raises(ValueError, match='shorter'):
        eval_metrics(iter(preds), iter(labels[:2]), 11, 255)


def test_nan_to_num_only_where_asked():
    pred = label = np.array([[0, 0]])
    assert np.isnan(mean_iou([pred], [label], 2, 255)['IoU'][1])
    assert mean_iou([pred], [label], 2, 255, nan_to_num=0.25)['IoU'][1] == 0.25


def test_an_unknown_metric_names_the_nearest():
    with pytest.raises(UserError, match="'mIOU' is not supported: did you mean 'mIoU'"):
        eval_metrics([], [], 2, 255, metrics=['mIOU'])


def test_synthia_means_leave_out_the_classes_that_it_lacks():
    names = get_classes('synthia')
    left_out = {key: [names[c] for c in range(19) if c not in ids]
                for key, ids in SYNTHIA_SUBSETS.items()}
    assert left_out['mIoU16'] == ['terrain', 'truck', 'train']
    assert left_out['mIoU13'] == ['wall', 'fence', 'pole', 'terrain', 'truck', 'train']
    ious = np.arange(19.0)
    assert mean_over(ious, SYNTHIA_SUBSETS['mIoU16']) == (171 - 9 - 14 - 16) / 16
    assert mean_over(ious, SYNTHIA_SUBSETS['mIoU13']) == (171 - 9 - 14 - 16 - 12) / 13


def test_mean_over_skips_classes_without_a_score():
    assert mean_over([0.5, np.nan, 1.0]) == 0.75
    assert mean_over([0.5, np.nan, 1.0], [0, 1]) == 0.5
    assert np.isnan(mean_over([0.5, np.nan], [1]))


@pytest.mark.parametrize('name', ['cityscapes', 'ACDC', 'gta', 'synthia', 'dark_zurich',
                                  'DarkZurichDataset', 'CityscapesDataset'])
def test_street_data_sets_share_names_and_colours(name):
    assert get_classes(name)[13] == 'car' and get_palette(name)[13] == [0, 0, 142]
    assert len(get_classes(name)) == len(get_palette(name)) == 19


def test_camvid_has_its_own_classes():
    assert get_classes('camvid')[3] == 'road' and len(get_palette('camvid')) == 11


def test_names_are_fresh_lists_and_unknown_ones_an_error():
    get_classes('cityscapes').append('spoiled')
    get_palette('cityscapes')[0][0] = 1
    assert len(get_classes('cityscapes')) == 19 and get_palette('cityscapes')[0] == [128, 64, 128]
    with pytest.raises(UserError, match="did you mean 'cityscapes'"):
        get_classes('citscapes')
