"""Steps before an evaluation that fails are kept, and the resumed run makes up for the evaluation."""
from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

from mmseg.checkpoint.weights import load_file
from mmseg.models.backbones.timm_backbone import TIMMBackbone
from mmseg.utils import DataError


@pytest.fixture
def own_streets(streets, tmp_path):
    copy = tmp_path / 'own'
    shutil.copytree(streets, copy)
    return copy


def training(tiny, own_streets) -> list[str]:
    config = tiny(**{f'data.{part}.data_root': str(own_streets / 'acdc') for part in ('val', 'test')})
    return [config, '--work-dir', 'run', '--device', 'cpu', '--no-checks', '--options',
            'runner.max_iters=2', 'evaluation.interval=2', 'checkpoint_config.interval=50',
            'log_config.interval=1']


@pytest.mark.parametrize('fault', ['label size', 'image'])
def test_the_steps_are_kept_and_the_evaluation_made_up_for(tiny, own_streets, run_program, tmp_path, fault):
    argv = training(tiny, own_streets)
    pattern = '*labelTrainIds.png' if fault == 'label size' else '*rgb_anon.png'
    files = sorted((own_streets / 'acdc').rglob(f'val/**/{pattern}'))
    broken = files[len(files) // 2]
    content = broken.read_bytes()
    if fault == 'label size':
        cv2.imwrite(str(broken), np.zeros((8, 16), np.uint8))
    else:
        broken.write_bytes(content[:len(content) // 2])
    ended = run_program('tools.train', *argv, code=1)
    assert len([line for line in ended.complaints if line.startswith('error: ')]) == 1
    checkpoint = load_file('run/iter_2.pth')
    assert checkpoint['meta']['iter'] == checkpoint['meta']['evaluation_due'] == 2

    broken.write_bytes(content)
    run_program('tools.train', argv[0], '--resume', 'auto', *argv[1:])
    records = [json.loads(line) for log in tmp_path.glob('run/*.log.json') for line in
    log.read_text().splitlines()]
    [evaluated] = [record for record in records if record.get('mode') == 'val']
    assert evaluated['step'] == 2 and 0 <= evaluated['mIoU'] <= 1
    assert not load_file('run/iter_2.pth')['meta'].get('evaluation_due')


def test_images_that_a_network_of_timm_cannot_take_are_told_before_the_first_step(tiny, refused):
    import torch
    net = TIMMBackbone('hrnet_w18_small').eval()
    with torch.inference_mode(), pytest.raises(DataError, match='130x72 .*multiples of 32'):
        net(torch.zeros(1, 3, 72, 130))
    config = tiny(**{'model.backbone': dict(_delete_=True, type='TIMMBackbone', model_name='hrnet_w18_small',
                                            out_indices=(0, 1, 2, 3)),
                     'model.decode_head.in_channels': net.channels[:4],
                     'data.val.pipeline.1.img_scale': (130, 72), 'uda': None})
    refused('tools.train', config, '--device', 'cpu', parts=('hrnet_w18_small', 'multiples of 32'))
