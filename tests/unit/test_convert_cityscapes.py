"""The converter, with the data set's own scripts as the peer."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_trees import LABEL_IDS, cityscapes, cityscapes_cfg
from PIL import Image

from mmseg.datasets import build_dataset
from mmseg.datasets.cityscapes import NUM_LABEL_IDS, label_ids_table, train_ids_table
from mmseg.datasets.preparation.class_stats import read_class_stats
from tools.convert_datasets import cityscapes as converter

REPO = Path(__file__).resolve().parents[2]
STATS = ('class_ids.json', 'sample_class_stats.json', 'sample_class_stats_dict.json',
'samples_with_class.json')


def convert(monkeypatch, *args) -> int:
    monkeypatch.setattr(sys, 'argv', ['cityscapes.py', *map(str, args)])
    with pytest.raises(SystemExit) as end:
        converter.main()
    return end.value.code


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob('*')) if p.is_file()}


@pytest.fixture
def raw(tmp_path):
    return cityscapes(tmp_path / 'cityscapes', converted=False)


def test_the_table_is_the_one_of_cityscapesscripts():
    labels = pytest.importorskip('cityscapesscripts.helpers.labels').labels
    table = train_ids_table()
    for label in labels:
        expected = 255 if label.trainId in (-1, 255) else label.trainId
        assert table[label.id % 256] == expected, label.name
    assert max(label.id for label in labels) == NUM_LABEL_IDS - 1
    back = label_ids_table()
    assert [back[t] for t in range(19)] == LABEL_IDS
    assert back[255] == 0


def test_everything_training_needs_is_written(raw, monkeypatch):
    assert convert(monkeypatch, raw, '--nproc', 2) == 0
    for name in ('train', 'val'):
        dataset = build_dataset(cityscapes_cfg(raw, name))
        for index, info in enumerate(dataset.img_infos):
            stem = info['ann']['seg_map'].removesuffix('_labelTrainIds.png')
            ids = np.array(Image.open(raw / 'gtFine' / name / f'{stem}_labelIds.png'))
            expected = np.select([ids == i for i in LABEL_IDS], range(19), 255)
            np.testing.assert_array_equal(dataset.get_gt_seg_map(index), expected)
    stats = read_class_stats(str(raw))
    assert [e['file'] for e in stats] == [
        f'gtFine/train/town/town_{n:06d}_000019_gtFine_labelTrainIds.png' for n in range(3)]
    label = build_dataset(cityscapes_cfg(raw)).get_gt_seg_map(1)
    assert {int(c): n for c, n in stats[1].items() if c != 'file'} == dict(zip(
        *(v.tolist() for v in np.unique(label, return_counts=True))))
    assert (raw / 'train.txt').read_text().splitlines() == [f'town/town_{n:06d}_000019' for n in range(3)]
    assert len((raw / 'val.txt').read_text().splitlines()) == 2
    assert not (raw / 'test.txt').exists()


def test_a_second_run_changes_no_byte_and_rewrites_nothing(raw, monkeypatch):
    convert(monkeypatch, raw, '--nproc', 1)
    before = contents(raw)
    times = {p: os.stat(raw / p).st_mtime_ns for p in before}
    convert(monkeypatch, raw, '--nproc', 2)
    assert contents(raw) == before
    assert {p: os.stat(raw / p).st_mtime_ns for p in before} == times


@pytest.mark.parametrize('damage', ['truncated', 'other size', 'other values', 'older'])
def test_an_unsound_output_is_made_again(raw, monkeypatch, damage):
    convert(monkeypatch, raw, '--nproc', 1)
    before = contents(raw)
    output = raw / 'gtFine/train/town/town_000001_000019_gtFine_labelTrainIds.png'
    if damage == 'truncated':
        output.write_bytes(output.read_bytes()[:60])
    elif damage == 'other size':
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(output)
    elif damage == 'other values':
        Image.fromarray(np.full((32, 64), 33, np.uint8)).save(output)
    else:
        Image.fromarray(np.zeros((32, 64), np.uint8)).save(output)
        os.utime(output, (1, 1))
    convert(monkeypatch, raw, '--nproc', 1)
    assert contents(raw) == before


def test_polygons_are_drawn_where_label_ids_are_missing(raw, monkeypatch):
    pytest.importorskip('cityscapesscripts')
    folder = raw / 'gtFine/val/town'
    ids = folder / 'town_000000_000019_gtFine_labelIds.png'
    ids.unlink()
    objects = [dict(label='sky', polygon=[[0, 0], [63, 0], [63, 31], [0, 31]]),
               dict(label='car', polygon=[[8, 8], [23, 8], [23, 15], [8, 15]]),
               dict(label='ego vehicle', polygon=[[0, 24], [63, 24], [63, 31], [0, 31]])]
    (folder / 'town_000000_000019_gtFine_polygons.json').write_text(
        json.dumps(dict(imgHeight=32, imgWidth=64, objects=objects)))
    assert convert(monkeypatch, raw, '--nproc', 1) == 0
    label = np.array(Image.open(folder / 'town_000000_000019_gtFine_labelTrainIds.png'))
    assert label.shape == (32, 64)
    assert label[2, 2] == 10
    assert label[12, 12] == 13
    assert label[30, 30] == 255
    assert np.count_nonzero(label == 13) == pytest.approx(16 * 8, abs=8)


def random_polygons(rng: np.random.Generator, names: list[str]) -> dict:
    """An annotation of Cityscapes with every name; some objects reach out of the picture, some are
    deleted, as annotators leave them."""
    objects = [dict(label='static', polygon=[[0, 0], [127, 0], [127, 63], [0, 63]])]
    for name in rng.permutation(names + ['cargroup', 'persongroup', 'bicyclegroup']).tolist():
        corners = rng.integers(0, [128, 64], 2) + rng.integers(-30, 31, (rng.integers(3, 9), 2))
        objects.append(dict(label=name, polygon=corners.tolist(), deleted=int(rng.random() < 0.15)))
    return dict(imgWidth=128, imgHeight=64, objects=objects)


@pytest.mark.parametrize('from_ids', [True, False])
def test_label_maps_are_those_of_cityscapesscripts_to_the_pixel(from_ids, tmp_path, monkeypatch):
    labels = pytest.importorskip('cityscapesscripts.helpers.labels').labels
    from cityscapesscripts.preparation import createTrainIdLabelImgs, json2labelImg
    names = [label.name for label in labels]
    stems = [f'{split}/town/town_{number:06d}_000019_gtFine' for split in ('train', 'val')
             for number in range(6)]
    for place in ('ours', 'theirs'):
        for number, stem in enumerate(stems):
            path = tmp_path / place / 'gtFine' / f'{stem}_polygons.json'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(random_polygons(np.random.default_rng(number), names)))
            if from_ids:  # as in the download, where both are
                json2labelImg.json2labelImg(str(path), str(path).replace('polygons.json', 'labelIds.png'))
    monkeypatch.setenv('CITYSCAPES_DATASET', str(tmp_path / 'theirs'))
    createTrainIdLabelImgs.main()
    assert convert(monkeypatch, tmp_path / 'ours', '--nproc', 1) == 0
    seen = set()
    for stem in stems:
        ours, theirs = (Image.open(tmp_path / place / 'gtFine' / f'{stem}_labelTrainIds.png')
                        for place in ('ours', 'theirs'))
        assert ours.mode == theirs.mode == 'L'
        np.testing.assert_array_equal(np.array(ours), np.array(theirs))
        seen.update(np.unique(theirs).tolist())
    assert seen == {*range(19), 255}


@pytest.mark.parametrize('change', [dict(label='spaceship'), dict(polygon=[[3, 'x'], [4, 4], [5, 9]]),
                                    dict(polygon=[])])
def test_polygons_that_cannot_be_drawn_are_told(raw, monkeypatch, capsys, change):
    pytest.importorskip('cityscapesscripts')
    ids = raw / 'gtFine/val/town/town_000000_000019_gtFine_labelIds.png'
    ids.unlink()
    path = ids.with_name('town_000000_000019_gtFine_polygons.json')
    thing = dict(label='car', polygon=[[1, 1], [9, 1], [9, 9]])
    path.write_text(json.dumps(dict(imgHeight=32, imgWidth=64, objects=[thing, {**thing, **change}])))
    assert convert(monkeypatch, raw, '--nproc', 2) == 1
    [error] = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert str(path) in error


def test_statistics_can_go_elsewhere(raw, monkeypatch, tmp_path):
    convert(monkeypatch, raw, '--nproc', 1, '-o', tmp_path / 'stats')
    assert sorted(p.name for p in (tmp_path / 'stats').iterdir()) == sorted([*STATS, 'train.txt', 'val.txt'])
    assert not (raw / STATS[0]).exists()


def test_bad_input_ends_in_one_line(raw, monkeypatch, capsys, tmp_path):
    bad = raw / 'gtFine/train/town/town_000000_000019_gtFine_labelIds.png'
    for content, message in ((b'', 'cannot decode the image'), (None, 'label value 77 in')):
        if content is None:
            Image.fromarray(np.full((32, 64), 77, np.uint8)).save(bad)
        else:
            bad.write_bytes(content)
        assert convert(monkeypatch, raw, '--nproc', 2) == 1
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error')]
        assert len(errors) == 1
        assert message in errors[0]
        assert bad.name in errors[0]
    bad.unlink()
    damaged = bad.with_name('town_000000_000019_gtFine_polygons.json')
    damaged.write_text('{"imgWidth": 64')
    assert convert(monkeypatch, raw, '--nproc', 1) == 1
    assert f'{damaged} is no polygon file' in capsys.readouterr().err
    assert convert(monkeypatch, tmp_path / 'nowhere') == 1
    assert 'nowhere does not exist' in capsys.readouterr().err
    assert convert(monkeypatch, raw, '--gt-dir', 'leftImg8bit') == 1
    assert 'unpack gtFine' in capsys.readouterr().err


def test_the_program_as_the_readme_says_it(raw):
    command = [sys.executable, 'tools/convert_datasets/cityscapes.py', str(raw), '--nproc', '2']
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True,
                          env={**os.environ, 'PYTHONPATH': str(REPO)})
    assert done.returncode == 0, done.stderr
    assert '5 label maps; class statistics of 3 training labels' in done.stdout
    assert all((raw / name).is_file() for name in STATS)
