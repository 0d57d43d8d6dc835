"""What a new user met: help without defaults, scores in two units, pictures, programs that chatter."""
from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from mmseg.core.visualization import draw_overlay
from mmseg.engine.hooks.text_logger_hook import PercentTextLoggerHook, is_score
from mmseg.models.builder import build_segmentor, build_train_model
from mmseg.utils import ArgumentParser, UserError
from mmseg.utils.arguments import parse_size
from mmseg.utils.config import load_config

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(str(path.relative_to(ROOT).with_suffix('')).replace('/', '.')
                  for folder in ('tools', 'demo') for path in (ROOT / folder).rglob('*.py')
                  if 'ArgumentParser' in path.read_text()) + ['run_experiments']


@pytest.mark.parametrize('name', PROGRAMS)
def test_help_names_every_default(name, monkeypatch, capsys):
    parsers: list[ArgumentParser] = []
    monkeypatch.setattr(ArgumentParser, 'parse_args', lambda self, argv=None: parsers.append(self) or 1 / 0)
    module = importlib.import_module(name)
    with pytest.raises(ZeroDivisionError):
        getattr(module, 'parse_args', module.main)([]) if name != 'demo.run_demo' else module.main([])
    for action in parsers[0]._actions:
        if action.default not in (None, False, [], '==SUPPRESS=='):
            assert 'default' in action.help, action.option_strings


def test_no_program_imports_mmcv_by_itself():
    """mmcv announces its successor unless mmseg was imported first."""
    files = [*(ROOT / 'tools').rglob('*.py'), *(ROOT / 'demo').glob('*.py'), ROOT / 'run_experiments.py',
             ROOT / 'experiments.py']
    assert len(files) > 20
    assert [file.name for file in files if re.search(r'^\s*(from|import) mmcv', file.read_text(),
    re.MULTILINE)] == []


@pytest.mark.parametrize('text, size', [('1024x512', (1024, 512)), ('7x9', (7, 9))])
def test_a_size_is_width_by_height(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize('text', ['512', '0x5', '5x', '-1x5', '5x5x5', '1024X512'])
def test_what_is_no_size_is_told(text):
    with pytest.raises(UserError, match='WIDTHxHEIGHT'):
        parse_size(text)


@pytest.mark.parametrize('name, expected', [
    ('mIoU', True), ('IoU.road', True), ('mIoU.fog', True), ('aAcc', True), ('mIoU13', True), ('step', False),
    ('decode.loss_seg', False), ('decode.acc_seg', False), ('lr', False)])
def test_scores_are_told_from_other_values(name, expected):
    assert is_score(name) == expected


def test_a_person_reads_percent_and_a_program_fractions(monkeypatch):
    lines, logged = [], dict(mode='val', iter=800, step=800, **{'mIoU': 0.25987, 'IoU.sky': 0.5, 'loss': 0.5})
    runner = type('Runner', (), dict(meta=None, logger=type('Logger', (),
    dict(info=staticmethod(lines.append)))))
    PercentTextLoggerHook(by_epoch=False)._log_info(logged, runner)
    assert 'Iter(val) [800]' in lines[0] and 'mIoU: 25.99 %' in lines[0] and 'IoU.sky: 50.00 %' in lines[0]
    assert 'loss: 0.5000' in lines[0]
    assert logged['mIoU'] == 0.25987


@pytest.mark.parametrize('adapts', [False, True])
def test_a_model_shows_its_result(adapts, tmp_path):
    cfg = load_config(ROOT / 'configs/toy/streets_ebda_mitb0_s0.py')
    with torch.device('meta'):
        model = build_train_model(cfg) if adapts else build_segmentor(cfg.model)
    (model.model if adapts else model).PALETTE = palette = [[255, 0, 0], [0, 255, 0]]
    image, seg = np.full((4, 6, 3), 100, np.uint8), np.tile([0, 1], (4, 3))
    picture = model.show_result(image, [seg], opacity=0.3, wait_time=0, out_file=str(tmp_path / 'a.png'))
    np.testing.assert_array_equal(picture, draw_overlay(image, seg, palette, 0.3))
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'a.png')), picture)
    with pytest.raises(UserError, match='does not exist'):
        model.show_result(str(tmp_path / 'gone.png'), seg)


def test_the_readme_leads_from_generated_streets_to_a_training():
    """The commands stand in one block in the order in which they work; the converter comes before the
    training."""
    text = (ROOT / 'README.md').read_text()
    [block] = [part for part in text.split('\n\n') if 'make_synthetic_streets.py data/streets' in part]
    programs = re.findall(r'python (\S+)', block)
    assert programs == ['tools/make_synthetic_streets.py', 'tools/convert_datasets/cityscapes.py',
                        'run_experiments.py']
    config = re.search(r'--config (\S+)', block)[1]
    assert load_config(ROOT / config).data.train.source.data_root.rstrip('/') == 'data/streets/cityscapes'


def test_the_table_of_downloads_names_what_the_programs_ask_for():
    table = (ROOT / 'docs/datasets.md').read_text()
    program = (ROOT / 'tools/make_adverse.py').read_text()
    for archive in re.findall(r'\b(?:disparity|camera)_\w+\.zip', program):
        assert f'`{archive}`' in table


def test_a_network_of_more_classes_than_the_data_is_told(monkeypatch):
    """A forgotten num_classes: the 19 of the base config were trained on three."""
    from tools import train
    told: list[str] = []
    monkeypatch.setattr(train, 'get_root_logger', lambda: SimpleNamespace(warning=told.append))
    data = SimpleNamespace(CLASSES=('water', 'quay', 'ship'))
    train.check_classes(data, 3)
    assert not told
    train.check_classes(data, 19)
    assert told == ['the training set has 3 classes and the network 19 (model.decode_head.num_classes)']
