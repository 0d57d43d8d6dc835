"""tools/translate.py, called in this process; a killed run in one of its own. And the data set that takes
what it makes."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from data_trees import cityscapes, cityscapes_cfg, save
from mmcv import Config
from torch import nn

from mmseg.checkpoint.weights import save_checkpoint
from mmseg.datasets import build_dataset
from mmseg.models.translation import JointUpsampling, ResNetGenerator
from mmseg.utils import DataError, UserError
from tools import translate as program

REPO = Path(__file__).resolve().parents[2]
READING = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
THIRD = 'data.train.source.pipeline.2'  # of its transforms
NAMES = [f'town/town_{number:06d}_000019_leftImg8bit.png' for number in range(3)]
# It dies in the middle of writing its third file: the record and one image are there.
DYING = '''
import io, os, signal, sys
from mmseg.utils import files
from tools import translate

whole, left = files.atomic_file, [2]

class Dying(io.BufferedWriter):
    def write(self, data):
        super().write(data[:len(data) // 2])
        self.flush()
        os.kill(os.getpid(), signal.SIGKILL)

def atomic_file(path):
    left[0] -= 1
    if left[0] >= 0:
        return whole(path)
    class Block:
        def __enter__(self):
            self.inner = whole(path)
            return Dying(self.inner.__enter__().raw)
        def __exit__(self, *error):
            return self.inner.__exit__(*error)
    return Block()

files.atomic_file = atomic_file
translate.main(sys.argv[1:])
'''


class Trained(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.G_A, self.G_B = (ResNetGenerator(1, 'IN', 4) for _ in 'AB')


def city_cfg(folder: Path, **changes) -> dict:
    return {**cityscapes_cfg(folder / 'city'), **changes}


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """Config, checkpoint and data of a translation; the labels are of 64x32 as the images."""
    folder = tmp_path_factory.mktemp('translation')
    cityscapes(folder / 'city')
    save_checkpoint(str(folder / 'run.pth'), Trained(), meta={})
    source = city_cfg(folder, pipeline=[*READING, dict(type='DefaultFormatBundle')], cache='not there')
    cfg = Config(dict(uda=dict(type='CycleGAN', blocks=1, channels=4),
                      data=dict(train=dict(type='UDADataset', source=source, target=source))))
    cfg.dump(str(folder / 'run.json'))
    return folder


@pytest.fixture
def call(made, tmp_path, capsys):
    def run(*args, code=0, out=tmp_path / 'out', checkpoint='run.pth'):
        with pytest.raises(SystemExit) as ended:
            program.main([str(made / 'run.json'), str(made / checkpoint), '--device', 'cpu', '--out',
                          str(out), *map(str, args)])
        printed, err = capsys.readouterr()
        assert ended.value.code == code, err
        return printed if code == 0 else [line for line in err.splitlines() if line.startswith('error: ')]
    return run


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def by_hand(image: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """BGR uint8 → what the generator gives, RGB in −1 … 1 (H W 3)."""
    small = image if size is None else cv2.resize(image, size)
    x = torch.from_numpy(small[..., ::-1].copy()).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        return Trained().G_A(x)[0].permute(1, 2, 0).numpy()[:small.shape[0], :small.shape[1]]


@pytest.mark.parametrize('size', [None, (32, 16), (30, 18)])
def test_pixels_are_those_of_the_generator(call, made, tmp_path, size):
    call(*([] if size is None else ['--size', f'{size[0]}x{size[1]}']))
    for name in NAMES:
        expected = by_hand(cv2.imread(str(made / 'city/leftImg8bit/train' / name)), size)
        found = cv2.imread(str(tmp_path / 'out' / name))[..., ::-1] / 127.5 - 1
        np.testing.assert_allclose(found, expected, atol=0.51 / 127.5)
    assert len(files(tmp_path / 'out')) == 4  # and the record


def test_sizes_are_those_of_the_training(call, made, tmp_path):
    call('--options', f'{THIRD}.type=Resize', f'{THIRD}.img_scale=32,16')
    assert cv2.imread(str(tmp_path / 'out' / NAMES[0])).shape == (16, 32, 3)


def test_enlarging_follows_the_edges_of_the_image(call, made, tmp_path):
    call('--size', '32x16', '--enlarge')
    assert cv2.imread(str(tmp_path / 'out' / NAMES[0])).shape == (32, 64, 3)
    image = torch.zeros(1, 3, 12, 16)
    image[..., 7:] = 1  # an edge where the small image has none of its own
    small_image = torch.nn.functional.interpolate(image, (6, 8), mode='area')
    small = torch.zeros(1, 1, 6, 8)
    small[..., 4:] = 1
    found = JointUpsampling()(small, small_image, image)
    assert float(found[..., :7].max()) < 0.1 and float(found[..., 7:].min()) > 0.9
    flat = JointUpsampling()(torch.full((1, 1, 6, 8), 0.3), small_image, image)
    torch.testing.assert_close(flat, torch.full((1, 1, 12, 16), 0.3))


def test_the_authors_file_of_a_generator(call, made, tmp_path):
    torch.save(Trained().G_A.state_dict(), made / 'latest_net_G_A.pth')
    call()
    call(checkpoint='latest_net_G_A.pth', out=tmp_path / 'other')
    assert all((tmp_path / 'out' / name).read_bytes() == (tmp_path / 'other' / name).read_bytes()
               for name in NAMES)


def test_a_killed_run_leaves_no_half_file_and_goes_on(call, made, tmp_path):
    arguments = [str(made / 'run.json'), str(made / 'run.pth'), '--device', 'cpu']
    ended = subprocess.run([sys.executable, '-c', DYING, *arguments, '--out', str(tmp_path / 'killed')],
                           cwd=REPO, capture_output=True, text=True, timeout=300,
                           env={**os.environ, 'PYTHONPATH': str(REPO)})
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    killed = tmp_path / 'killed'
    assert json.loads((killed / 'translation.json').read_text())['complete'] is False
    [first] = killed.rglob('*.png')
    [half] = killed.rglob('*.tmp*')
    assert half.stat().st_size > 0
    before = first.stat()
    with pytest.raises(DataError, match='not finished: run tools/translate.py again'):
        build_dataset(city_cfg(made, translated=str(killed)))
    assert '3 images in' in call() and ', 2 translated now' in call(out=killed)
    assert files(killed) == files(tmp_path / 'out')
    assert (first.stat().st_mtime_ns, first.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_what_is_there_is_kept(call, tmp_path, monkeypatch):
    call()
    before = files(tmp_path / 'out')
    monkeypatch.setattr('mmseg.apis.translation.write_image', lambda *args: pytest.fail('written again'))
    assert ', 0 translated now' in call()
    for args, key in ((['--size', '32x16'], 'size'), (['--enlarge'], 'enlarge')):
        [line] = call(*args, code=1)
        assert f'were made with other {key}: name another folder' in line
    assert files(tmp_path / 'out') == before


def test_what_it_did_not_make_is_not_overwritten(call, tmp_path):
    path = tmp_path / 'out' / 'notes.txt'
    path.parent.mkdir()
    path.write_text('mine')
    [line] = call(code=1)
    assert 'holds files that are not of tools/translate.py' in line
    assert files(tmp_path / 'out') == {'notes.txt': b'mine'}


@pytest.mark.parametrize('args, told', [
    (['--options', 'uda.type=BDL'], "uda.type is 'BDL', expected 'CycleGAN'"),
    (['--options', 'uda.channels=8'], 'does not fit ResNetGenerator'),
    (['--options', 'data.train.source.img_dir=nowhere'], 'nowhere does not exist'),
    (['--options', f'{THIRD}.type=Resize', f'{THIRD}.ratio_range=1,2'], 'draws sizes at random: give --size'),
    (['--options', 'data.train.source.pipeline.0.color_type=grayscale'], 'only colour images'),
    (['--size', 'x'], 'WIDTHxHEIGHT')])
def test_mistakes_are_told_in_one_line_and_leave_nothing(call, tmp_path, args, told):
    [line] = call(*args, code=1)
    assert told in line
    assert not (tmp_path / 'out').exists()


def test_the_images_are_no_place_for_translations(call, made):
    [line] = call(code=1, out=made / 'city/leftImg8bit/train/translated')
    assert 'is a folder of the data set' in line


# ------------------------------------------------------------------- a data set of them

def test_training_reads_translations_and_labels_take_their_size(call, made, tmp_path):
    call('--size', '36x18')
    plain, moved = (build_dataset(city_cfg(made, pipeline=READING, **more))
                    for more in ({}, dict(translated=str(tmp_path / 'out'))))
    for k, name in enumerate(NAMES):
        np.testing.assert_array_equal(moved[k]['img'], cv2.imread(str(tmp_path / 'out' / name)))
        label = plain[k]['gt_semantic_seg']
        rows, columns = (np.arange(18) * 32 // 18)[:, None], np.arange(36) * 64 // 36
        np.testing.assert_array_equal(moved[k]['gt_semantic_seg'], label[rows, columns])
    tested = build_dataset(city_cfg(made, pipeline=READING[:1], test_mode=True, translated='not there'))
    np.testing.assert_array_equal(tested[0]['img'], plain[0]['img'])


def test_a_folder_of_others_has_no_record(made, tmp_path):
    for name in NAMES:
        save(tmp_path / 'theirs' / name, np.full((32, 64, 3), 7, np.uint8))
    dataset = build_dataset(city_cfg(made, pipeline=READING, translated=str(tmp_path / 'theirs')))
    assert dataset[2]['img'].max() == 7
    (tmp_path / 'theirs' / NAMES[1]).unlink()
    with pytest.raises(DataError, match=f'1 images have no translation, the first is .*{NAMES[1]}'):
        build_dataset(city_cfg(made, translated=str(tmp_path / 'theirs')))
    with pytest.raises(UserError, match='folder of translated images .*gone does not exist'):
        build_dataset(city_cfg(made, translated=str(tmp_path / 'gone')))


def test_photographs_have_translations_without_loss(tmp_path):
    """JPEG images: their translations are PNGs."""
    for k in range(2):
        save(tmp_path / f'photos/{k}.jpg', np.full((8, 8, 3), 50, np.uint8))
        save(tmp_path / f'masks/{k}.png', np.zeros((8, 8), np.uint8))
        save(tmp_path / f'moved/{k}.png', np.full((8, 8, 3), k, np.uint8))
    dataset = build_dataset(dict(
        type='CustomDataset', data_root=str(tmp_path), img_dir='photos', ann_dir='masks', classes=['a', 'b'],
        pipeline=READING, translated=str(tmp_path / 'moved')))
    assert [dataset[k]['img'].max() for k in range(2)] == [0, 1]
    assert dataset.img_suffix == '.png'
