"""HRDA from its config: two steps from a single-scale network, one of them again, the test and the demo."""
from __future__ import annotations

import json

import cv2
import numpy as np
import torch
from programs import ROOT, STREETS_TEST

from mmseg.checkpoint.weights import save_checkpoint
from mmseg.models.builder import build_segmentor
from mmseg.utils.config import load_config

CONFIG = 'configs/toy/streets_hrda_mitb0_s0.py'
SHORT = {'runner.max_iters': 2, 'checkpoint_config.interval': 1, 'checkpoint_config.max_keep_ckpts': 2,
         'evaluation.interval': 2, 'log_config.interval': 1, 'model.hr_crop_size': [32, 32],
         'model.decode_head.attention_embed_dim': 8}


def test_steps_test_and_demo(run_program, tiny, tmp_path):
    plain = load_config(tiny(STREETS_TEST, 'plain.json'))
    start = build_segmentor(plain.model)
    save_checkpoint(str(tmp_path / 'start.pth'), start)
    config = tiny(CONFIG, **SHORT, load_from=str(tmp_path / 'start.pth'))
    run = tmp_path / 'run'
    run_program('tools.train', config, '--device', 'cpu', '--work-dir', run)
    last = torch.load(run / 'iter_2.pth', weights_only=False)['state_dict']
    name = 'head.embed_layers.0.proj.weight'
    moved = last[f'model.decode_head.{name}'] - start.state_dict()[f'decode_head.{name[5:]}']
    assert 0 < moved.abs().max() < 1e-2, 'trained from there'
    logged = [json.loads(line) for path in run.glob('*.log.json') for line in path.open()]
    assert any('mix.decode.hr.loss_seg' in line for line in logged)

    run_program('tools.train', config, '--device', 'cpu', '--work-dir', tmp_path / 'again', '--resume-from',
                run / 'iter_1.pth')
    again = torch.load(tmp_path / 'again/iter_2.pth', weights_only=False)['state_dict']
    assert [key for key, value in last.items() if not torch.equal(value, again[key])] == []

    tested = run_program('tools.test', config, run / 'iter_2.pth', '--eval', 'mIoU', '--teacher', '--device',
                         'cpu').out
    assert 'mIoU' in tested
    cv2.imwrite(str(tmp_path / 'odd.png'), np.full((70, 101, 3), 128, np.uint8))
    run_program('demo.image_demo', tmp_path / 'odd.png', config, run / 'iter_2.pth', '--device', 'cpu',
                '--out-file', tmp_path / 'shown.png')
    assert (tmp_path / 'shown.png').is_file() and (ROOT / CONFIG).is_file()
