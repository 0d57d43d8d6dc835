"""What an evaluation keeps for the report: predictions, truths and entropies of a few images."""
from __future__ import annotations

import json
import math

import cv2
import numpy as np
import pytest
import tiny_run
import torch

from mmseg.datasets import build_dataset
from mmseg.engine import evaluation_record
from mmseg.engine.evaluation_record import keep_images
from mmseg.models import build_segmentor
from mmseg.utils import UserError


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    tiny_run.write_images(root)
    return build_dataset({**tiny_run.config(root).data.test, 'test_mode': True})


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_segmentor({**tiny_run.MODEL, 'pretrained': None})


def test_what_is_kept_is_what_the_network_says(data, network, tmp_path):
    network.train()
    state = torch.get_rng_state()
    keep_images(tmp_path, network, data, 'cpu', count=2)
    assert network.training and torch.equal(state, torch.get_rng_state())
    kept = json.loads((tmp_path / 'images.json').read_text())
    assert [one['index'] for one in kept['images']] == [0, 2] and kept['classes'] == list(data.CLASSES)
    assert kept['palette'][0] == [128, 64, 128]
    network.eval()
    for one in kept['images']:
        sample = data[one['index']]
        with torch.no_grad():
            p = network.inference(sample['img'][0][None], [sample['img_metas'][0].data])[0].double()
        read = {what: cv2.imread(str(tmp_path / f'{one["stem"]}_{what}'), cv2.IMREAD_GRAYSCALE)
                for what in ('truth.png', 'prediction.png', 'entropy.jpg')}
        truth = data.get_gt_seg_map(one['index'])
        assert np.array_equal(read['prediction.png'], p.argmax(dim=0))
        assert np.array_equal(read['truth.png'], truth)
        entropy = -(p * p.log()).sum(dim=0)
        assert one['entropy'] == pytest.approx(float(entropy.mean()), rel=1e-4)
        error = np.abs(read['entropy.jpg'] - 255 / math.log(19) * entropy.numpy())
        assert error.mean() < 4, 'JPEG'
        labelled = truth != 255
        right = (p.argmax(dim=0).numpy() == truth)[labelled]
        assert one['aAcc'] == pytest.approx(right.mean())


def test_large_pictures_are_reduced_and_class_ids_stay_ids(data, network, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation_record, 'LARGEST_SIDE', 32)
    keep_images(tmp_path, network, data, 'cpu', count=1)
    for what in ('image.jpg', 'truth.png', 'prediction.png', 'entropy.jpg'):
        assert cv2.imread(str(tmp_path / f'00000_{what}')).shape == (16, 32, 3)
    truth = cv2.imread(str(tmp_path / '00000_truth.png'), cv2.IMREAD_GRAYSCALE)
    assert set(np.unique(truth)) <= set(np.unique(data.get_gt_seg_map(0)))


def test_what_is_no_picture_to_look_at_is_left_out(data, network, tmp_path, monkeypatch):
    def unreadable(path):
        raise UserError('five bands')

    monkeypatch.setattr(evaluation_record, 'read_image', unreadable)
    keep_images(tmp_path, network, data, 'cpu', count=1)
    assert sorted(path.suffix for path in tmp_path.glob('00000_*')) == ['.jpg', '.png', '.png']


def test_a_network_without_probabilities_keeps_none(tmp_path):
    keep_images(tmp_path, torch.nn.Linear(1, 1), None, 'cpu')
    assert not list(tmp_path.iterdir())
