"""tools/test.py --eval calibration entropy: the numbers of a second, independent pass, and a plot."""
from __future__ import annotations

import json

import pytest
import torch

from mmseg.apis.inference import init_segmentor
from mmseg.checkpoint.weights import save_checkpoint
from mmseg.datasets import build_dataset
from mmseg.models import build_segmentor
from mmseg.utils.config import load_config


def test_calibration_is_that_of_the_images_one_by_one(tiny, run_program, tmp_path):
    from torchmetrics.classification import MulticlassCalibrationError  # seconds, for this test

    config, weights = tiny(), tmp_path / 'weights.pth'
    torch.manual_seed(0)
    network = build_segmentor(load_config(config).model)
    torch.nn.init.normal_(network.decode_head.conv_seg.weight, std=0.5)
    save_checkpoint(str(weights), network)
    ended = run_program('tools.test', config, weights, '--eval', 'mIoU', 'calibration', 'entropy', '--device',
    'cpu',
                        '--work-dir', tmp_path / 'scores', '--batch-size', '2')
    [path] = (tmp_path / 'scores').glob('eval_*.json')
    found = json.loads(path.read_text())['calibration']
    assert path.with_suffix('.png').stat().st_size > 10_000
    assert f"expected calibration error: {100 * found['scores']['ECE']:.2f} %" in ended.out

    cfg = load_config(config)
    dataset = build_dataset({**cfg.data.test, 'test_mode': True})
    model = init_segmentor(str(config), str(weights), 'cpu')
    probabilities, labels = [], []
    for index in range(len(dataset)):
        item = dataset[index]
        with torch.inference_mode():
            p = model.inference(item['img'][0][None], [item['img_metas'][0].data], True)[0]
        label = torch.from_numpy(dataset.get_gt_seg_map(index)).long()
        probabilities.append(p.flatten(1).T[label.flatten() != 255])
        labels.append(label.flatten()[label.flatten() != 255])
    p, y = torch.cat(probabilities).double(), torch.cat(labels)
    entropy, wrong = torch.special.entr(p).sum(1), p.argmax(1) != y
    assert found['scores']['entropy'] == pytest.approx(float(entropy.mean()), rel=1e-5)
    assert found['scores']['wrong_certain'] == pytest.approx(float((wrong & (entropy < 0.1)).double().mean()),
    abs=1e-5)
    assert found['scores']['ECE'] == pytest.approx(
        float(MulticlassCalibrationError(19, n_bins=15, norm='l1')(p, y)), abs=1e-5)
    histogram = found['entropy_histogram']
    assert sum(histogram['wrong']) == int(wrong.sum()) and sum(histogram['right']) == int((~wrong).sum())
    assert len(found['class_entropy']) == 19
