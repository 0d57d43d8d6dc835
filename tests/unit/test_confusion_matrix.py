from __future__ import annotations

import numpy as np
import pytest
import torch

from mmseg.core.evaluation import ConfusionMatrix
from mmseg.utils import UserError


@pytest.fixture
def pair():
    rng = np.random.RandomState(0)
    label = rng.randint(0, 5, (3, 20, 31)).astype(np.uint8)
    label[rng.rand(*label.shape) < 0.1] = 255
    return rng.randint(0, 5, label.shape), label


def counted_by_hand(pred, label, num_classes):
    matrix = np.zeros((num_classes, num_classes), np.int64)
    for p, t in zip(pred.ravel().tolist(), label.ravel().tolist()):
        if t != 255 and p < num_classes:
            matrix[t, p] += 1
    return matrix


def test_counts_rows_of_labels_and_columns_of_predictions(pair):
    matrix = ConfusionMatrix(5).update(*pair)
    np.testing.assert_array_equal(matrix.matrix.numpy(), counted_by_hand(*pair, 5))
    assert matrix.matrix.dtype == torch.int64


@pytest.mark.parametrize('convert', [
    torch.from_numpy, lambda a: torch.from_numpy(a).to(torch.int32), lambda a: a.astype(np.uint8)])
def test_tensors_and_arrays_of_any_integer_type_count_alike(pair, convert):
    pred, label = pair
    matrix = ConfusionMatrix(5).update(convert(pred), convert(label))
    np.testing.assert_array_equal(matrix.matrix.numpy(), counted_by_hand(pred, label, 5))


def test_images_one_by_one_equal_all_at_once_and_merging_adds(pair):
    whole = ConfusionMatrix(5).update(*pair)
    parts = ConfusionMatrix(5)
    for pred, label in zip(*pair):
        single = ConfusionMatrix(5).update(pred[None], label)
        parts += single
    assert torch.equal(parts.matrix, whole.matrix)
    parts.merge(ConfusionMatrix(5))
    assert torch.equal(parts.matrix, whole.matrix)
    with pytest.raises(ValueError, match='merge 4 classes into 5'):
        parts.merge(ConfusionMatrix(4))


def test_merging_leaves_the_other_matrix_alone(pair):
    other = ConfusionMatrix(5).update(*pair)
    before = other.matrix.clone()
    ConfusionMatrix(5).merge(other).update(*pair)
    assert torch.equal(other.matrix, before)


def test_a_prediction_outside_the_classes_lowers_recall_only():
    matrix = ConfusionMatrix(2).update(np.array([[0, 7, 1]]), np.array([[0, 0, 1]]))
    scores = matrix.metrics(['mIoU', 'mFscore'])
    np.testing.assert_allclose(scores['Recall'], [0.5, 1])
    np.testing.assert_allclose(scores['Precision'], [1, 1])
    np.testing.assert_allclose(scores['IoU'], [0.5, 1])
    np.testing.assert_allclose(scores['aAcc'], 2 / 3)


def test_a_label_outside_the_classes_is_a_users_mistake():
    with pytest.raises(UserError, match=r'label value 33 is outside the classes 0 \.\.\. 18'):
        ConfusionMatrix(19).update(np.zeros((2, 2), int), np.array([[0, 255], [33, 1]]))


def test_another_size_is_a_users_mistake():
    with pytest.raises(UserError, match=r'\(4, 6\) but the label \(6, 4\)'):
        ConfusionMatrix(19).update(np.zeros((4, 6), int), np.zeros((6, 4), int))


def test_an_empty_matrix_has_scores_of_nan_and_the_given_number_replaces_them():
    assert np.isnan(ConfusionMatrix(3).metrics()['IoU']).all()
    np.testing.assert_array_equal(ConfusionMatrix(3).metrics(nan_to_num=-1)['IoU'], [-1, -1, -1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_counting_on_a_gpu_equals_counting_on_the_host(pair):
    pred, label = pair
    matrix = ConfusionMatrix(5).update(torch.from_numpy(pred).cuda(), label)
    assert matrix.counts.is_cuda
    np.testing.assert_array_equal(matrix.matrix.numpy(), counted_by_hand(pred, label, 5))
