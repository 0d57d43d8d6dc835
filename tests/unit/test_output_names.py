"""No two inputs share an output; nothing is overwritten; a broken image does not stop the others."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from demo import image_demo
from mmseg.engine.evaluation import run_test
from mmseg.utils import UserError
from mmseg.utils.files import output_names

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
    model.PALETTE = PALETTE
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(image_demo, 'init_segmentor', lambda *args: model)
    monkeypatch.setattr(image_demo, 'warn_of_code', lambda *args: None)

    def segment(model, image):
        from mmseg.core.visualization import read_image
        return [np.ones(read_image(image).shape[:2], np.int64)]
    monkeypatch.setattr(image_demo, 'inference_segmentor', segment)

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
