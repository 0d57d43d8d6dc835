"""Evaluation in the course of training, with mmcv's own runner."""
from __future__ import annotations

import json
import logging
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmcv.parallel import DataContainer
from mmcv.runner import IterBasedRunner, IterTimerHook, TextLoggerHook
from torch import nn
from torch.utils.data import Dataset

from mmseg.checkpoint.weights import load_file
from mmseg.core.evaluation import ConfusionMatrix
from mmseg.datasets import DATASETS, SynthiaDataset, build_dataloader
from mmseg.engine.hooks.eval_hook import EvalHook, class_subsets, further_means
from mmseg.utils import ConfigError, UserError

LABEL = np.array([[0, 0, 1, 1], [0, 0, 1, 255]], np.uint8)


class TwoImages(Dataset):
    CLASSES, PALETTE, ignore_index = ('a', 'b'), [[0, 0, 0], [9, 9, 9]], 255

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return {'img': [torch.zeros(3, 2, 4)],
                'img_metas': [DataContainer({'ori_filename': f'{index}.png'}, cpu_only=True)]}

    def get_gt_seg_map(self, index):
        return LABEL

    def group_of(self, index):
        return ('fog', 'rain')[index]

    def evaluate(self, matrix, metric, logger):
        return OrderedDict(mIoU=float(np.nanmean(matrix.metrics(metric)['IoU'])))


class Scripted(nn.Module):
    """After step s it gets ``right[s]`` of the 8 pixels of each image right."""

    def __init__(self, right):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.right, self.step = right, 0

    def train_step(self, data, optimizer, **kwargs):
        assert self.training
        self.step += 1
        return {'loss': self.weight.sum(), 'log_vars': {'loss': 0.5}, 'num_samples': 1}

    def forward(self, img, img_metas, return_loss):
        assert not self.training and not return_loss
        seg = np.where(LABEL == 255, 0, LABEL).reshape(-1)
        wrong = 8 - self.right[self.step]
        seg[:wrong] = 1 - seg[:wrong]
        return [seg.reshape(LABEL.shape)] * len(img_metas[0])


@pytest.fixture
def train(tmp_path, monkeypatch):
    monkeypatch.setattr('time.sleep', lambda seconds: None)  # mmcv's runner waits a second at its end

    def run(right, steps=None, resume=None, priority='LOWEST', logs=1, **hook):
        logger = logging.getLogger(f'test_eval_hook_{tmp_path.name}')
        logger.setLevel(logging.INFO)
        loader = build_dataloader(TwoImages(), 1, 0, dist=False, shuffle=False)
        model = Scripted(right)
        runner = IterBasedRunner(model, optimizer=torch.optim.SGD(model.parameters(), 0.1),
                                 work_dir=str(tmp_path), logger=logger, meta={},
                                 max_iters=steps or max(right))
        if resume:
            runner.meta, runner._iter, model.step = resume.meta, resume.iter, resume.iter
        runner.register_hook(IterTimerHook(), priority='LOW')
        runner.register_hook(EvalHook(loader, progress=False, **hook), priority=priority)
        runner.register_hook(TextLoggerHook(by_epoch=False, interval=logs), priority='VERY_LOW')
        runner.run([[{}] * 8], [('train', 1)])
        return runner
    return run


def log_lines(tmp_path):
    return [json.loads(line) for file in sorted(tmp_path.glob('*.log.json'))
            for line in file.read_text().splitlines()]


def miou(right, label=LABEL):
    matrix = ConfusionMatrix(2)
    model = Scripted({0: right}).eval()
    return np.nanmean(matrix.update(model([], [[0]], False)[0], label).metrics()['IoU'])


def test_scores_appear_in_the_log_at_the_interval(train, tmp_path):
    train({2: 5, 4: 8}, interval=2)
    values = [(line['step'], line['mIoU']) for line in log_lines(tmp_path) if line.get('mode') == 'val']
    assert [step for step, _ in values] == [2, 4]
    assert [v for _, v in values] == [pytest.approx(miou(5), abs=1e-4), 1.0]
    training = [line for line in log_lines(tmp_path) if line.get('mode') == 'train']
    assert [line['iter'] for line in training] == [1, 2, 3, 4]
    assert all('mIoU' not in line and line['loss'] == 0.5 for line in training)
    assert not list(tmp_path.glob('best_*'))


@DATASETS.register_module()
class Rendered(SynthiaDataset):
    """A source with SYNTHIA's classes under another name."""


@DATASETS.register_module()
class WithoutSky(SynthiaDataset):
    CLASS_SUBSETS = {'mIoU18': tuple(c for c in range(19) if c != 10)}


SYNTHIA = dict(type='SynthiaDataset')


@pytest.mark.parametrize('train, names', [
    (SYNTHIA, ['mIoU16', 'mIoU13']),
    (dict(source=SYNTHIA, target=dict(type='ACDCDataset')), ['mIoU16', 'mIoU13']),
    (dict(type='Rendered'), ['mIoU16', 'mIoU13']), (dict(type=SynthiaDataset), ['mIoU16', 'mIoU13']),
    (dict(source=[dict(type='GTADataset'), dict(type='WithoutSky')]), ['mIoU18']),
    (dict(source=dict(type='ConcatDataset', datasets=[SYNTHIA, dict(type='WithoutSky')])),
     ['mIoU16', 'mIoU13', 'mIoU18']),
    (dict(source=dict(type='GTADataset'), target=SYNTHIA), []), (dict(type='nobody knows'), [])])
def test_further_means_are_those_of_the_source_data_sets(train, names):
    assert [*class_subsets(dict(data=dict(train=train)))] == names


def test_further_means_can_be_named_in_the_config():
    data = dict(train=SYNTHIA)
    assert class_subsets(dict(data=data, evaluation=dict(class_subsets={}))) == {}
    named = dict(mIoU2=[0, 1])
    assert class_subsets(dict(data=data, evaluation=dict(class_subsets=named))) == named
    for wrong in ([0, 1], dict(mIoU2=0), dict(mIoU2=['road']), dict(mIoU2=[-1])):
        with pytest.raises(ConfigError, match='class_subsets'):
            class_subsets(dict(data=data, evaluation=dict(class_subsets=wrong)))


def test_scores_are_logged_between_two_lines_of_training(train, tmp_path):
    train({2: 5, 4: 8}, interval=2, logs=3)
    assert [(line['mode'], line['iter']) for line in log_lines(tmp_path) if 'mode' in line] == [
        ('val', 2), ('train', 3), ('val', 4)]


def test_a_logger_after_the_evaluation_is_refused(train):
    with pytest.raises(ConfigError, match="priority='LOWEST'"):
        train({1: 5}, priority='LOW')


def test_the_matrix_of_the_last_evaluation_is_kept_for_the_report(train, tmp_path):
    train({2: 5, 4: 8}, interval=2)
    kept = json.loads((tmp_path / 'evaluation' / 'scores.json').read_text())
    both = {'fog': [[4, 0], [0, 3]], 'rain': [[4, 0], [0, 3]]}
    assert (kept['step'], kept['images'], kept['classes']) == (4, 2, ['a', 'b'])
    assert kept['confusion_matrix'] == [[8, 0], [0, 6]] and kept['groups'] == both
    assert kept['scores']['mIoU'] == 1 and kept['peak_memory_mib'] > 10
    assert not list((tmp_path / 'evaluation').glob('*.png'))  # the network gives class maps alone


def test_the_best_checkpoint_is_kept_alone_and_the_choice_is_warned_of(train, tmp_path, caplog):
    runner = train({1: 5, 2: 7, 3: 6}, save_best='mIoU')
    assert [p.name for p in tmp_path.glob('best_*')] == ['best_mIoU_iter_2.pth']
    saved = load_file(str(tmp_path / 'best_mIoU_iter_2.pth'))
    assert saved['meta']['iter'] == 2 and list(saved['state_dict']) == ['weight']
    assert runner.meta['hook_msgs']['best_score'] == pytest.approx(miou(7))
    assert sum('target labels' in r.message for r in caplog.records) == 1


def test_the_best_score_is_remembered_when_a_run_is_resumed(train, tmp_path):
    first = train({1: 5, 2: 7}, save_best='mIoU')
    train({3: 6, 4: 8}, steps=3, resume=first, save_best='mIoU')
    assert [p.name for p in tmp_path.glob('best_*')] == ['best_mIoU_iter_2.pth']
    train({3: 8}, steps=3, resume=first, save_best='mIoU')
    assert [p.name for p in tmp_path.glob('best_*')] == ['best_mIoU_iter_3.pth']


def test_means_of_groups_and_of_some_classes_are_logged(train, tmp_path):
    train({1: 5}, class_subsets={'mIoU1': [1]})
    [line] = [line for line in log_lines(tmp_path) if line.get('mode') == 'val']
    assert line['mIoU.fog'] == line['mIoU.rain'] == line['mIoU']
    pred = np.array([[0, 0, 1, 1]])
    matrix = ConfusionMatrix(2).update(pred, np.array([[0, 1, 1, 1]]))
    assert further_means(matrix, {'x': matrix}, {'mIoU1': [1]}) == {
        'mIoU1': pytest.approx(2 / 3), 'mIoU.x': pytest.approx((1 / 2 + 2 / 3) / 2)}


def test_keys_of_older_configs_are_accepted(train, tmp_path):
    train({1: 8}, by_epoch=False, metric='mIoU', pre_eval=True, efficient_test=True, gpu_collect=True)
    assert [line['mIoU'] for line in log_lines(tmp_path) if line.get('mode') == 'val'] == [1.0]


@pytest.mark.parametrize('hook, message', [
    ({'by_epoch': True}, 'in iterations'), ({'interval': 0}, 'at least 1'),
    ({'save_best': 'mAP'}, "save_best='mAP' is no score of this evaluation: mIoU")])
def test_mistakes_in_the_config_are_told(train, hook, message):
    with pytest.raises(UserError, match=message):
        train({1: 8}, **hook)
