"""Statistics of any config's source, and those of other class ids, which are refused."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmseg.datasets import build_dataset
from mmseg.utils import UserError
from tools import class_statistics as program

COLUMNS = dict(zip(range(4), (5, 10, 15, 2)))  # how many columns of 32 have which id, the rest is 255
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
            dict(type='Normalize', mean=[0.0] * 3, std=[1.0] * 3, to_rgb=True),
            dict(type='DefaultFormatBundle'),
            dict(type='Collect', keys=['img', 'gt_semantic_seg'])]
NAMES = ['a', 'b', 'c', 'd']


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    label = np.full((8, 32), 255, np.uint8)
    label[:] = np.repeat([*COLUMNS, 255], [*COLUMNS.values(), 0]).astype(np.uint8)
    for folder, image in (('img', np.zeros((8, 32, 3), np.uint8)), ('ann', label)):
        Path('d', folder).mkdir(parents=True)
        for number in range(2):
            cv2.imwrite(f'd/{folder}/{number}.png', image)
    return tmp_path


def data_set(**changes) -> dict:
    return {**dict(type='CustomDataset', data_root='d', img_dir='img', ann_dir='ann', img_suffix='.png',
                   classes=NAMES, palette=[[0, 0, 0]] * 4, pipeline=PIPELINE), **changes}


def config(source: dict) -> str:
    target = {**source, 'pipeline': PIPELINE}
    rcs = dict(min_pixels=1, class_temp=0.1, min_crop_ratio=0)
    Path('c.json').write_text(json.dumps(dict(data=dict(train=dict(
        type='UDADataset', source=source, target=target, rare_class_sampling=rcs)))))
    return 'c.json'


def write(source: dict, *more: str, code: int = 0) -> None:
    with pytest.raises(SystemExit) as end:
        program.main([config(source), '--nproc', '1', *more])
    assert end.value.code == code


def train(source: dict):
    return build_dataset(json.loads(Path(config(source)).read_text())['data']['train'])


@pytest.mark.parametrize('reduces', [False, True])
def test_counts_are_of_the_ids_that_training_sees(root, reduces):
    source = data_set(reduce_zero_label=reduces, classes=NAMES[reduces:], palette=[[0, 0, 0]] * (4 - reduces))
    write(source)
    entry = json.loads(Path('d/sample_class_stats.json').read_text())[0]
    assert entry == {**{str(old - reduces): 8 * count for old, count in COLUMNS.items() if old >= reduces},
                     'file': 'ann/0.png'}
    dataset = train(source)
    assert len(dataset) == 4 and dataset.sampler.classes[0] == 3 - reduces  # the rarest first


@pytest.mark.parametrize('change, differs', [
    (dict(classes=['b', 'a', 'c', 'd']), 'classes'), (dict(classes=NAMES[:3]), 'classes'),
    (dict(reduce_zero_label=True), 'reduce_zero_label')])
def test_statistics_of_other_ids_are_refused(root, change, differs):
    write(data_set())
    train(data_set())
    with pytest.raises(UserError, match=f'other class ids .{differs}.*class_statistics.py CONFIG'):
        train(data_set(**change))


def test_statistics_that_do_not_say_whose_they_are_go_on_working_or_are_counted_again(root):
    write(data_set())
    Path('d/class_ids.json').unlink()
    train(data_set())  # as the reference writes them
    with pytest.raises(UserError, match='do not fit the class ids'):
        train(data_set(reduce_zero_label=True, classes=NAMES[1:], palette=[[0, 0, 0]] * 3))
    write(data_set(reduce_zero_label=True, classes=NAMES[1:], palette=[[0, 0, 0]] * 3), '--overwrite')
    Path('d/class_ids.json').unlink()
    train(data_set(reduce_zero_label=True, classes=NAMES[1:], palette=[[0, 0, 0]] * 3))


def test_missing_statistics_name_the_program_that_writes_them(root):
    with pytest.raises(UserError, match='run python tools/class_statistics.py CONFIG'):
        train(data_set())


def test_statistics_that_are_there_are_not_replaced_unasked(root, capsys):
    write(data_set())
    before = Path('d/sample_class_stats.json').read_bytes()
    write(data_set(classes=['b', 'a', 'c', 'd']), code=1)
    assert '--overwrite' in capsys.readouterr().err
    assert Path('d/sample_class_stats.json').read_bytes() == before
    write(data_set(), '--out-dir', 'elsewhere')
    assert Path('elsewhere/sample_class_stats.json').read_bytes() == before


def test_a_label_outside_the_classes_is_told_with_its_file(root, capsys):
    write(data_set(classes=NAMES[:3], palette=[[0, 0, 0]] * 3), code=1)
    assert 'ann/0.png' in capsys.readouterr().err
