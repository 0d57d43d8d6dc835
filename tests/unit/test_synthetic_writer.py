"""Writing the streets: names, formats, restarting, refusing, independence of the process count."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg.synthetic import render_scene, write_streets
from mmseg.synthetic.labels import ID_TO_TRAIN
from mmseg.synthetic.writer import Job, Settings, jobs
from mmseg.utils import UserError

ROOT = Path(__file__).resolve().parents[2]
SIZE = (64, 32)


def _files(root: Path) -> dict[str, bytes]:
    files = (path for path in sorted(root.rglob('*')) if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture(scope='module')
def streets(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp('streets') / 'out'
    write_streets(root, train=4, val=1, test=2, size=SIZE, seed=7, nproc=1, references=True, progress=False)
    return root


def test_names_are_those_of_cityscapes_and_acdc(streets):
    names = set(_files(streets))
    expected = {'synthetic_streets.json'}
    for split, city, count in (('train', 'amberg', 4), ('val', 'grauheim', 1)):
        for k in range(count):
            stem = f'{split}/{city}/{city}_{k:06d}_000019'
            expected.add(f'cityscapes/leftImg8bit/{stem}_leftImg8bit.png')
            expected |= {f'cityscapes/gtFine/{stem}_gtFine_{part}' for part in
                         ('polygons.json', 'labelIds.png', 'instanceIds.png', 'color.png')}
    adverse = [('train', c, s) for c, s in (('fog', 1475), ('night', 3351), ('rain', 5400), ('snow', 7604))]
    adverse += [('val', 'fog', 1476), ('test', 'fog', 1477), ('test', 'night', 3353)]
    for split, condition, sequence in adverse:
        stem = f'GOPR{sequence}/GOPR{sequence}_frame_000041'
        expected.add(f'acdc/rgb_anon/{condition}/{split}/{stem}_rgb_anon.png')
        expected.add(f'acdc/rgb_anon/{condition}/{split}_ref/{stem}_rgb_ref_anon.png')
        if split != 'test':
            expected |= {f'acdc/gt/{condition}/{split}/{stem}_gt_{part}.png'
                         for part in ('labelIds', 'labelTrainIds', 'labelColor')}
    assert names == expected


def test_file_formats(streets):
    image = np.asarray(Image.open(next(streets.rglob('*leftImg8bit.png'))))
    assert image.shape == (32, 64, 3) and image.dtype == np.uint8
    label_file = next(streets.rglob('*_gt_labelTrainIds.png'))
    train_ids = np.asarray(Image.open(label_file))
    assert train_ids.dtype == np.uint8 and set(np.unique(train_ids)) <= {*range(19), 255}
    ids = np.asarray(Image.open(str(label_file).replace('labelTrainIds', 'labelIds')))
    np.testing.assert_array_equal(ID_TO_TRAIN[ids], train_ids)
    instances = np.asarray(Image.open(next(streets.rglob('*_instanceIds.png'))))
    assert instances.max() >= 1000
    polygons = json.loads(next(streets.rglob('*_polygons.json')).read_text())
    assert set(polygons) == {'imgHeight', 'imgWidth', 'objects'}
    assert (polygons['imgWidth'], polygons['imgHeight']) == SIZE
    assert polygons['objects'][0]['label'] == 'sky'
    assert all(isinstance(v, int) for v in polygons['objects'][0]['polygon'][0])


def test_the_stored_picture_is_the_rendered_one_in_rgb(streets):
    file = next((streets / 'cityscapes').rglob('*leftImg8bit.png'))
    job = Job(str(streets), 7, SIZE, file.parts[-3], 0, None, False)
    index = {'train': 0, 'val': 1}[job.split] * 8
    np.testing.assert_array_equal(np.asarray(Image.open(job.paths()['image'])),
                                  render_scene(7, index, SIZE).image)


def test_bits_do_not_depend_on_the_number_of_processes(streets, tmp_path):
    write_streets(tmp_path / 'two', train=4, val=1, test=2, size=SIZE, seed=7, nproc=2, references=True,
                  progress=False)
    assert _files(tmp_path / 'two') == _files(streets)


def test_all_scenes_of_all_splits_and_conditions_differ(tmp_path):
    settings = Settings(train=100, val=50, test=50, size=SIZE, seed=0, references=False)
    keys, names = [], []
    for job in jobs(tmp_path, settings):
        place = 0 if job.condition is None else job.condition
        keys.append((job.split, place, job.number))
        names.append(job.paths()['image'].name)
    assert len(set(keys)) == len(keys) == 100 + 50 + 200
    assert len(set(names)) == len(names)      # also where all conditions share a folder


def test_a_run_that_was_cut_off_goes_on_and_keeps_what_is_there(streets, tmp_path):
    root = tmp_path / 'out'
    settings = {'train': 1, 'val': 0, 'test': 0, 'size': SIZE, 'seed': 7, 'nproc': 1, 'progress': False}
    write_streets(root, **settings)
    complete = _files(root)
    image = next(root.rglob('*leftImg8bit.png'))
    kept = next(root.rglob('*rgb_anon.png'))
    stamp = kept.stat().st_mtime_ns
    image.unlink()
    write_streets(root, **settings)
    assert _files(root) == complete
    assert kept.stat().st_mtime_ns == stamp


def test_other_settings_are_refused_and_nothing_changes(tmp_path):
    root = tmp_path / 'out'
    write_streets(root, 1, 0, 0, SIZE, seed=1, nproc=1, progress=False)
    before = _files(root)
    with pytest.raises(UserError, match='other settings'):
        write_streets(root, 1, 0, 0, SIZE, seed=2, nproc=1, progress=False)
    assert _files(root) == before


def test_a_folder_of_somebody_else_is_refused(tmp_path):
    (tmp_path / 'mine.txt').write_text('precious')
    with pytest.raises(UserError, match='not empty'):
        write_streets(tmp_path, 1, 0, 0, SIZE, nproc=1, progress=False)
    assert list(tmp_path.iterdir()) == [tmp_path / 'mine.txt']


@pytest.mark.parametrize('arguments, words', [
    (['--size', '256'], 'WIDTHxHEIGHT'), (['--size', '32x16'], 'between'), (['--train', '-1'], '--train'),
    (['--nproc', '-2'], '--nproc'), (['--seed', '-3'], '--seed')])
def test_bad_settings_end_in_a_user_error(tmp_path, arguments, words, capsys):
    from tools import make_synthetic_streets
    with pytest.raises(SystemExit) as stop:
        make_synthetic_streets.main([str(tmp_path / 'out'), *arguments])
    assert stop.value.code == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith('error: ') and words in error and '\n' not in error
    assert not (tmp_path / 'out').exists()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / 'file').write_text('')
    done = subprocess.run(
        [sys.executable, 'tools/make_synthetic_streets.py', str(tmp_path / 'file' / 'out'), '--train', '1'],
        cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith('error: cannot write to')
    assert 'Traceback' not in done.stderr


def test_nothing_asked_for_writes_nothing_but_the_folders(tmp_path):
    write_streets(tmp_path / 'out', 0, 0, 0, SIZE, progress=False)
    assert list(_files(tmp_path / 'out')) == ['synthetic_streets.json']
