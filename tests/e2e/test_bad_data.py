"""Spoilt data and statistics: training and tools/check_dataset.py end in one line that names the file."""
from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from programs import Ended, check_refusal, start, state_of_files, write_tiny


@pytest.fixture
def root(streets, tmp_path) -> Path:
    """A copy of the clear domain, and beside it the config that trains on it."""
    shutil.copytree(streets / 'cityscapes', tmp_path / 'cityscapes')
    own = tmp_path / 'cityscapes'
    write_tiny(streets, tmp_path / 'tiny.json', **{'data.train.source.data_root': str(own)})
    return own


def labels(root: Path) -> list[Path]:
    return sorted((root / 'gtFine' / 'train').rglob('*_labelTrainIds.png'))


def images(root: Path) -> list[Path]:
    return sorted((root / 'leftImg8bit' / 'train').rglob('*.png'))


def with_bytes(files, change):
    def spoil(root: Path) -> None:
        for path in files(root):
            path.write_bytes(change(path.read_bytes()))
    return spoil


def with_label(change):
    def spoil(root: Path) -> None:
        for path in labels(root):
            cv2.imwrite(str(path), change(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)))
    return spoil


def with_text(name: str, text: str):
    return lambda root: (root / name).write_text(text)


def with_json(name: str, change):
    def spoil(root: Path) -> None:
        path = root / name
        path.write_text(json.dumps(change(json.loads(path.read_text()))))
    return spoil


def without(pattern: str):
    def spoil(root: Path) -> None:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return spoil


STATS, SAMPLES, DICT = 'sample_class_stats.json', 'samples_with_class.json', 'sample_class_stats_dict.json'
# name -> (how it is spoilt, parts of the line)
DATA = {
    'image cut off': (with_bytes(images, lambda data: data[:200]), '_leftImg8bit.png'),
    'image of no bytes': (with_bytes(images, lambda data: b''), '_leftImg8bit.png'),
    'image that is text': (with_bytes(images, lambda data: b'no image'), '_leftImg8bit.png'),
    'label cut off': (with_bytes(labels, lambda data: data[:60]), '_labelTrainIds.png'),
    'label of no bytes': (with_bytes(labels, lambda data: b''), '_labelTrainIds.png'),
    'label that is text': (with_bytes(labels, lambda data: b'no label'), '_labelTrainIds.png'),
    'label of ids, not of train ids': (with_label(lambda label: label * 0 + 33), '33', '_labelTrainIds.png'),
    'label in colour': (with_label(lambda label: np.stack([label] * 3, -1)), '_labelTrainIds.png'),
    'label of another size': (with_label(lambda label: label[:32]), '_labelTrainIds.png', '128x32'),
    'label of 16 bits': (with_label(lambda label: label.astype(np.uint16) + 4000), '_labelTrainIds.png'),
    'no images': (without('leftImg8bit/train'), 'leftImg8bit/train'),
    'no labels': (without('gtFine/train'), 'gtFine/train'),
    'empty folder of images': (without('leftImg8bit/train/*'), 'leftImg8bit/train'),
    'labels not converted': (without('gtFine/train/*/*_labelTrainIds.png'),
                             'tools/convert_datasets/cityscapes.py'),
    'one label missing': (lambda root: labels(root)[0].unlink(), '_labelTrainIds.png'),
    'nothing at all': (without('*'), 'leftImg8bit'),
}
STATISTICS = {
    'no statistics': (without('*.json'), '.json', 'tools/convert_datasets/cityscapes.py'),
    'no statistics of images': (without(SAMPLES), SAMPLES),
    'no statistics of classes': (without(STATS), STATS),
    'statistics cut off': (with_text(STATS, '[{"0": 5'), STATS),
    'statistics of no bytes': (with_text(STATS, ''), STATS),
    'statistics that are a dict': (with_text(STATS, '{}'), STATS),
    'statistics of nothing': (with_text(STATS, '[]'), 'no class'),
    'statistics that are a number': (with_text(STATS, '7'), STATS),
    'statistics with text for pixels': (with_json(STATS, lambda s: [{**s[0], '0': 'many'}]), STATS),
    'statistics with a class that is none': (with_json(STATS, lambda s: [{**s[0], 'road': 5}]), STATS),
    'statistics with negative pixels': (with_json(STATS, lambda s: [{**s[0], '0': -5}]), STATS),
    'samples that are a list': (with_text(SAMPLES, '[]'), SAMPLES),
    'samples cut off': (with_text(SAMPLES, '{"0": [["a", 5]'), SAMPLES),
    'samples without a path': (with_json(SAMPLES, lambda s: {**s, '0': [[5, 5]]}), SAMPLES),
    'samples of other files': (with_json(SAMPLES, lambda s: {
        key: [['other/a_labelTrainIds.png', 10 ** 6]] for key in s}), 'other/a_labelTrainIds.png', 'stale'),
    'samples without a class': (with_json(SAMPLES, lambda s: {
        key: value for key, value in s.items() if key != '0'}), 'class 0'),
    'samples that are no pairs': (with_json(SAMPLES, lambda s: {**s, '0': [['a', 1, 2]]}), SAMPLES),
}


@pytest.mark.parametrize('name', [*DATA, *STATISTICS])
def test_training_names_the_file(root, capsys, monkeypatch, name):
    spoil, *parts = {**DATA, **STATISTICS}[name]
    spoil(root)
    monkeypatch.chdir(root.parent)
    before = state_of_files(root.parent)
    capsys.readouterr()
    code = start('tools.train', 'tiny.json', '--no-validate', '--options', 'runner.max_iters=2')
    check_refusal(Ended(code, *capsys.readouterr()), *parts)
    after = state_of_files(root.parent)
    assert {path: after.get(path) for path in before} == before
    assert not [path for path in after if path.endswith('.pth')]


@pytest.mark.parametrize('name', ['image cut off', 'label of another size', 'no images',
                                  'statistics cut off'])
def test_check_dataset_refuses(root, capsys, monkeypatch, name):
    {**DATA, **STATISTICS}[name][0](root)
    monkeypatch.chdir(root.parent)
    capsys.readouterr()
    code = start('tools.check_dataset', 'tiny.json', '--nproc', 1)
    check_refusal(Ended(code, *capsys.readouterr()), 'tiny.json')


def test_training_tells_of_labels_without_a_class(root, capsys, monkeypatch):
    with_label(lambda label: label * 0 + 255)(root)
    monkeypatch.chdir(root.parent)
    capsys.readouterr()
    code = start('tools.train', 'tiny.json', '--no-validate', '--options', 'runner.max_iters=1',
                 'data.train.rare_class_sampling=None', 'checkpoint_config=None')
    assert code == 0
    assert 'all labels in it are 255' in ''.join(capsys.readouterr())
