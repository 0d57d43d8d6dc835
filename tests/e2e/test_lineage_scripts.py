"""Scripts written for the reference implementation's programming interface run as they are."""
from __future__ import annotations

import json
import runpy
import sys

import numpy as np
import torch
from programs import SMALL_WH

from experiments import generate_experiment_cfgs
from mmseg.core.evaluation import eval_metrics, get_classes, get_palette, mean_iou

TRAIN = """
import os, sys, time
from mmcv import Config
from mmseg import __version__
from mmseg.apis import set_random_seed, train_segmentor
from mmseg.datasets import build_dataset
from mmseg.models.builder import build_train_model
from mmseg.utils import get_root_logger

cfg = Config.fromfile(sys.argv[1])
cfg.work_dir = sys.argv[2]
cfg.gpu_ids = range(1)
os.makedirs(cfg.work_dir)
timestamp = time.strftime('%Y%m%d_%H%M%S', time.localtime())
logger = get_root_logger(log_file=os.path.join(cfg.work_dir, f'{timestamp}.log'), log_level=cfg.log_level)
set_random_seed(cfg.seed, deterministic=True)
model = build_train_model(cfg, train_cfg=cfg.get('train_cfg'), test_cfg=cfg.get('test_cfg'))
model.init_weights()
logger.info(model)
datasets = [build_dataset(cfg.data.train)]
cfg.checkpoint_config.meta = dict(mmseg_version=__version__, config=cfg.pretty_text,
                                  CLASSES=datasets[0].CLASSES, PALETTE=datasets[0].PALETTE)
model.CLASSES = datasets[0].CLASSES
train_segmentor(model, datasets, cfg, distributed=False, validate=False, timestamp=timestamp,
                meta=dict(seed=cfg.seed, exp_name='script'))
"""

TEST = """
import sys
import mmcv
from mmseg.apis import inference_segmentor, init_segmentor, single_gpu_test
from mmseg.datasets import build_dataloader, build_dataset
from mmseg.models import build_segmentor

cfg = mmcv.Config.fromfile(sys.argv[1])
cfg.data.test.test_mode = True
dataset = build_dataset(cfg.data.test)
loader = build_dataloader(dataset, samples_per_gpu=1, workers_per_gpu=0, dist=False, shuffle=False)
model = init_segmentor(cfg, sys.argv[2], device='cpu')
outputs = single_gpu_test(model, loader, False, None, False)
scores = dataset.evaluate(outputs, metric='mIoU')
images = [f'{dataset.img_dir}/{info["filename"]}' for info in dataset.img_infos]
shown = inference_segmentor(model, images[0])
plain = build_segmentor(cfg.model, test_cfg=cfg.get('test_cfg'))
"""

STEP_LOGS = {'decode.loss_seg', 'decode.acc_seg', 'mix.decode.loss_seg', 'mix.decode.acc_seg', 'mix.entropy',
             'l.pseudo_weight'}


def run_script(monkeypatch, text: str, folder, *argv) -> dict:
    script = folder / 'script.py'
    script.write_text(text)
    monkeypatch.setattr(sys, 'argv', [str(script), *map(str, argv)])
    return runpy.run_path(str(script), run_name='__main__')


def test_training_and_testing_scripts(tiny, tmp_path, monkeypatch):
    config, run_dir = tiny(**{'runner.max_iters': 2, 'log_config.interval': 1}), tmp_path / 'run'
    trained = run_script(monkeypatch, TRAIN, tmp_path, config, run_dir)
    log = [json.loads(line) for line in next(run_dir.glob('*.log.json')).read_text().splitlines()]
    assert [record['iter'] for record in log if 'iter' in record] == [1, 2]
    assert set(log[-1]) >= STEP_LOGS

    tested = run_script(monkeypatch, TEST, tmp_path, config, run_dir / 'latest.pth')
    assert len(tested['outputs']) == len(tested['dataset']) and 0 <= tested['scores']['mIoU'] <= 1
    np.testing.assert_array_equal(tested['shown'][0], tested['outputs'][0])
    assert tested['shown'][0].shape == SMALL_WH[::-1]
    assert list(tested['model'].CLASSES) == list(get_classes('cityscapes'))
    student = trained['model'].get_model().state_dict()
    for name, weight in tested['model'].state_dict().items():
        assert torch.equal(weight, student[name]), name
    assert_one_step(trained['model'])


def assert_one_step(model) -> None:
    """``train_step`` takes torch's own optimiser, updates the student and says what it did."""
    norm = dict(img_norm_cfg=dict(mean=np.zeros(3), std=np.ones(3)))
    batch = dict(img=torch.randn(2, 3, 64, 64), img_metas=[norm] * 2, target_img_metas=[norm] * 2,
                 gt_semantic_seg=torch.randint(0, 19, (2, 1, 64, 64)), target_img=torch.randn(2, 3, 64, 64))
    before = model.get_model().decode_head.conv_seg.weight.clone()
    out = model.train_step(batch, torch.optim.SGD(model.get_model().parameters(), lr=0.1))
    assert out['num_samples'] == 2 and set(out['log_vars']) >= STEP_LOGS
    assert not torch.equal(before, model.get_model().decode_head.conv_seg.weight)
    assert model.encode_decode(batch['img'], batch['img_metas']).shape == (2, 19, 64, 64)


def test_scores_by_hand():
    """Labels 0 0 1 1, predicted 0 1 1 1: IoU 1/2 and 2/3; the ignored pixel does not count."""
    label, prediction = np.array([[0, 0, 1, 1, 255]]), np.array([[0, 1, 1, 1, 0]])
    for scores in (eval_metrics([prediction], [label], 2, 255, metrics=['mIoU']),
                   mean_iou([prediction], [label], 2, 255)):
        np.testing.assert_allclose(scores['IoU'], [1 / 2, 2 / 3], rtol=1e-6)
        np.testing.assert_allclose(scores['aAcc'], 3 / 4, rtol=1e-6)
    assert len(get_palette('cityscapes')) == len(get_classes('cityscapes')) == 19


def test_experiments_are_lists_of_dicts_that_build_a_training():
    cfgs = generate_experiment_cfgs(20)
    assert isinstance(cfgs, list) and all(type(cfg) is dict for cfg in cfgs)
    assert set(cfgs[0]) >= {'_base_', 'name', 'exp', 'seed', 'data', 'model', 'optimizer', 'runner', 'uda'}
