"""No two inputs share an output; nothing is overwritten; a broken image does not stop the others."""
from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from demo import image_demo, painter
from mmseg.datasets import build_dataset
from mmseg.engine.evaluation import run_test
from mmseg.utils import UserError
from mmseg.utils.files import marked, output_names, refuse_unmarked, write_image

PALETTE = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]]


@pytest.mark.parametrize('names, flat, expected', [
    (['a/0.png', 'b/0.png'], True, ['a/0.png', 'b/0.png']),
    (['a/0.png', 'b/1.png'], True, ['0.png', '1.png']),
    (['a/0.png', 'b/1.png'], False, ['a/0.png', 'b/1.png']),
    (['x.jpg', 'x.png'], False, ['x.jpg.png', 'x.png.png']),
    (['a/x.jpg', 'a/x.png', 'b/y.jpg'], True, ['a/x.jpg.png', 'a/x.png.png', 'b/y.png']),
    (['./a/../x.jpg'], False, ['x.png']), ([], False, [])])
def test_each_input_has_an_output_of_its_own(names, flat, expected):
    assert output_names(names, '.png', flat) == expected


def test_what_would_collide_all_the_same_is_told():
    with pytest.raises(UserError, match="'x.jpg.png'"):
        output_names(['x.jpg', 'x.png', 'x.jpg.jpg'], '.png')


@pytest.fixture
def demo(tmp_path, monkeypatch, capsys):
    """The demo on a folder of noise with a network that sees class 1 everywhere."""
    model = torch.nn.Identity()
    model.PALETTE, model.CLASSES = PALETTE, ('a', 'b')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(image_demo, 'init_segmentor', lambda *args: model)
    monkeypatch.setattr(image_demo, 'warn_of_code', lambda *args: None)

    def segment(model, image):
        from mmseg.core.visualization import read_image
        return [np.ones(read_image(image).shape[:2], np.int64)]
    monkeypatch.setattr(painter, 'inference_segmentor', segment)

    def call(*argv: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as end:
            image_demo.main([argv[0], 'c.py', 'w.pth', *argv[1:]])
        captured = capsys.readouterr()
        assert end.value.code == code, captured
        return captured.err

    rng = np.random.default_rng(0)
    for name in ('in/a/x.jpg', 'in/a/x.png', 'in/b/x.png'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(name, rng.integers(0, 256, (8, 9, 3), dtype=np.uint8))
    return call


def files_of(folder) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file()}


def test_a_folder_keeps_its_folders_and_loses_no_image(demo, tmp_path):
    demo('in', '--out', 'out')
    assert files_of(tmp_path / 'out') == {'a/x.jpg.png', 'a/x.png.png', 'b/x.png'}


def test_what_is_there_is_not_overwritten(demo, tmp_path):
    demo('in', '--out', 'out')
    before = (tmp_path / 'out/b/x.png').stat().st_mtime_ns
    assert "'out/a/x.jpg.png' exists" in demo('in', '--out', 'out', code=1)
    (tmp_path / 'mine.png').write_bytes(b'mine')
    assert "'mine.png' exists" in demo('in/b/x.png', '--out', 'mine.png', code=1)
    assert (tmp_path / 'mine.png').read_bytes() == b'mine'
    assert (tmp_path / 'out/b/x.png').stat().st_mtime_ns == before


def test_links_are_followed_and_no_pipe_is_opened(demo, tmp_path):
    (tmp_path / 'in/b/up').symlink_to(tmp_path / 'in')
    (tmp_path / 'in/c').symlink_to(tmp_path / 'in/b')
    os.mkfifo(tmp_path / 'in/pipe.png')
    demo('in', '--out', 'out')
    assert files_of(tmp_path / 'out') == {'a/x.jpg.png', 'a/x.png.png', 'b/x.png', 'c/x.png'}


def test_a_broken_image_is_told_and_passed_over(demo, tmp_path):
    (tmp_path / 'in/a/x.png').write_bytes(b'broken')
    err = demo('in', '--out', 'out', code=1)
    assert files_of(tmp_path / 'out') == {'a/x.jpg.png', 'b/x.png'}
    assert err.strip().splitlines()[-1].startswith('error: 1 of 3 images were passed over')
    assert 'in/a/x.png' in err
    assert 'in/b/broken.jpg' in demo('in/b/broken.jpg', code=1)


class FiveClasses:
    """A data set of one JPEG image."""

    CLASSES, PALETTE, ignore_index = list('abcde'), PALETTE, 255
    img_infos = [dict(filename='a/x.jpg')]


def test_colours_of_classes_are_written_without_loss(tmp_path, monkeypatch):
    seg = np.tile(np.arange(5), (6, 3))
    cv2.imwrite(str(tmp_path / 'x.jpg'), np.zeros((6, 15, 3), np.uint8))
    meta = dict(filename=str(tmp_path / 'x.jpg'), ori_filename='a/x.jpg')
    monkeypatch.setattr('mmseg.engine.evaluation.predict', lambda *args: [(0, meta, seg)])
    loader = type('Loader', (), dict(dataset=FiveClasses()))
    for opacity, name in ((1, 'a/x.png'), (0.5, 'a/x.jpg')):
        found = run_test(torch.nn.Identity(), loader, 'cpu', evaluate=False, out_dir=str(tmp_path / 'out'),
                         opacity=opacity)
        assert found.files == [str(tmp_path / 'out' / name)]
    picture = cv2.imread(str(tmp_path / 'out/a/x.png'))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 5
    np.testing.assert_array_equal(picture[:, :, ::-1], np.array(PALETTE)[seg])


def test_pictures_of_parts_with_the_same_file_names_lie_in_folders_of_their_own(tmp_path, monkeypatch):
    for part in 'ab':
        (tmp_path / part).mkdir()
        cv2.imwrite(f'{tmp_path}/{part}/x.png', np.zeros((2, 2, 3), np.uint8))
    dataset = build_dataset([dict(type='CustomDataset', img_dir=f'{tmp_path}/{part}', img_suffix='.png',
                                  classes=['c'], pipeline=[], test_mode=True) for part in 'ab'])
    metas = [dict(filename=f'{tmp_path}/{part}/x.png', ori_filename='x.png') for part in 'ab']
    monkeypatch.setattr('mmseg.engine.evaluation.predict',
                        lambda *args: [(n, meta, np.zeros((2, 2), int)) for n, meta in enumerate(metas)])
    loader = type('Loader', (), dict(dataset=dataset))
    for opacity in (0.5, 1):
        out = str(tmp_path / f'out{opacity}')
        found = run_test(torch.nn.Identity(), loader, 'cpu', evaluate=False, out_dir=out, opacity=opacity,
                         format_dir=f'{out}/ids')
        assert sorted(found.files) == [f'{out}/{name}' for name in (
            '0/x.png', '1/x.png', 'ids/0/x.png', 'ids/1/x.png')]


def test_parts_of_one_domain_have_folders_of_their_own(tmp_path):
    name = 'leftImg8bit_foggy/val/c/c_000000_000000_leftImg8bit_foggy_beta_0.02.png'
    for root in 'ab':
        (tmp_path / root / name).parent.mkdir(parents=True)
        cv2.imwrite(f'{tmp_path}/{root}/{name}', np.zeros((2, 2, 3), np.uint8))
    dataset = build_dataset([dict(type='FoggyCityscapesDataset', data_root=f'{tmp_path}/{root}', pipeline=[],
                                  img_dir='leftImg8bit_foggy/val', test_mode=True) for root in 'ab'])
    paths = dataset.format_results([np.zeros((2, 2))] * 2, str(tmp_path / 'out'))
    assert len({*paths}) == len(list((tmp_path / 'out').rglob('*.png'))) == 2
    assert paths == [str(tmp_path / 'out' / name) for name in dataset.prediction_names]


@pytest.mark.parametrize('folder', ['out_dir', 'format_dir'])
def test_an_earlier_test_is_written_over_and_a_users_file_is_not(tmp_path, monkeypatch, folder):
    (tmp_path / 'img').mkdir()
    cv2.imwrite(f'{tmp_path}/img/x.jpg', np.zeros((2, 2, 3), np.uint8))
    dataset = build_dataset(dict(type='CustomDataset', img_dir=f'{tmp_path}/img', classes=['c'], pipeline=[],
                                 test_mode=True))
    meta, seen = dict(filename=f'{tmp_path}/img/x.jpg', ori_filename='x.jpg'), []
    monkeypatch.setattr('mmseg.engine.evaluation.predict',
                        lambda *args: seen.append(1) or [(0, meta, np.zeros((2, 2), int))])
    loader = type('Loader', (), dict(dataset=dataset))

    def test():
        return run_test(torch.nn.Identity(), loader, 'cpu', evaluate=False, **{folder: str(tmp_path / 'o')})
    [path] = test().files
    assert test().files == [path] and len(seen) == 2
    cv2.imwrite(path, np.full((2, 2, 3), 7, np.uint8))
    with open(path, 'rb') as file:
        before = file.read()
    with pytest.raises(UserError, match='was there before'):
        test()
    with open(path, 'rb') as file:
        assert file.read() == before
    assert len(seen) == 2, 'refused before the network works'


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_the_mark_changes_no_pixel(tmp_path, suffix):
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    plain, path = cv2.imencode(f'.{suffix}', picture)[1].tobytes(), tmp_path / f'x.{suffix}'
    write_image(path, picture)
    assert path.read_bytes() == marked(plain) != plain
    np.testing.assert_array_equal(cv2.imread(str(path)), cv2.imdecode(np.frombuffer(plain, np.uint8), 1))
    with Image.open(path) as opened:  # which checks the chunk's sum
        opened.load()
        assert 'EBDA mmseg' in (opened.info.get('Software'), opened.info.get('comment', b'').decode())
    refuse_unmarked([path, tmp_path / 'none.png'])
    with pytest.raises(UserError, match='was there before'):
        refuse_unmarked([tmp_path])
