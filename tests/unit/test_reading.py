"""Folders and text lists as people have them: links, pipes, refusals of the system, encodings."""
from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest

from mmseg.datasets import build_dataset
from mmseg.datasets.acdc import ACDCDataset
from mmseg.datasets.files import find_files, require_dir
from mmseg.datasets.pipelines.loading import read_bytes
from mmseg.datasets.preparation.class_stats import read_class_stats
from mmseg.datasets.preparation.labels import working_in
from mmseg.utils import UserError
from mmseg.utils.errors import BadFile
from mmseg.utils.reading import read_lines


def files(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b'')


@pytest.fixture
def refuse(monkeypatch):
    """The system refuses to list these folders, as it does those of another user (but not to root)."""
    def start(*refused):
        def scandir(path, _list=os.scandir):
            if os.fspath(path) in map(str, refused):
                raise PermissionError(13, 'Permission denied', os.fspath(path))
            return _list(path)
        monkeypatch.setattr(os, 'scandir', scandir)
    return start


# ---- folders


def test_links_are_followed_but_not_round(tmp_path):
    files(tmp_path / 'd', 'a/x.png', 'b/y.png', 'b/.hidden.png', 'b/z.txt')
    files(tmp_path, 'elsewhere/v.png')
    for name, target in (('d/a/up', 'd'), ('d/self', 'd/self'), ('d/other', 'elsewhere'), ('d/b/over', '.'),
                         ('d/nowhere.png', 'missing')):
        (tmp_path / name).symlink_to(tmp_path / target)
    assert find_files(tmp_path / 'd', '.png', 'image') == ['a/x.png', 'b/y.png', 'nowhere.png', 'other/v.png']
    with pytest.raises(BadFile, match='No such file'):
        read_bytes(f'{tmp_path}/d/nowhere.png', 'image')


def test_two_folders_that_link_to_each_other_end(tmp_path):
    files(tmp_path, 'a/x.png', 'b/y.png')
    (tmp_path / 'a/b').symlink_to(tmp_path / 'b')
    (tmp_path / 'b/a').symlink_to(tmp_path / 'a')
    assert find_files(tmp_path, '.png', None) == ['a/b/y.png', 'a/x.png', 'b/a/x.png', 'b/y.png']


@pytest.mark.timeout(20)
def test_pipes_and_devices_are_told_and_not_opened(tmp_path, monkeypatch):
    files(tmp_path, 'x.png')
    os.mkfifo(tmp_path / 'pipe.png')
    (tmp_path / 'null.png').symlink_to('/dev/null')
    told = []
    monkeypatch.setattr('mmseg.utils.reading.get_root_logger',
                        lambda: type('', (), {'warning': staticmethod(told.append)}))
    assert find_files(tmp_path, '.png', 'image') == ['x.png']
    assert [('a device' in line, 'a pipe' in line) for line in told] == [(True, False), (False, True)]
    for name in ('pipe.png', 'null.png'):  # as a split list may name them
        with pytest.raises(BadFile, match='not a regular file'):
            read_bytes(f'{tmp_path}/{name}', 'image')
    with pytest.raises(BadFile, match='a pipe'):
        read_lines(f'{tmp_path}/pipe.png', 'split file')


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, refuse):
    files(tmp_path, 'fog/x.png', 'rain/x.png')
    refuse(tmp_path / 'fog')
    with pytest.raises(UserError, match='cannot list the folder .*fog: Permission denied'):
        find_files(tmp_path, '.png', 'image')
    with working_in(str(tmp_path)):  # looks for what killed converters left, and none of them wrote there
        pass


def test_a_condition_of_acdc_that_may_not_be_entered_is_an_error(tmp_path, monkeypatch):
    files(tmp_path, *(f'rgb_anon/{condition}/train/x_rgb_anon.png' for condition in ('fog', 'rain')))

    def stat(path, *args, _stat=os.stat, **kwargs):
        if '/fog/' in os.fspath(path):
            raise PermissionError(13, 'Permission denied', os.fspath(path))
        return _stat(path, *args, **kwargs)
    monkeypatch.setattr(os, 'stat', stat)
    with pytest.raises(UserError, match='cannot look at .*fog/train: Permission denied'):
        ACDCDataset(pipeline=[], data_root=str(tmp_path), img_dir='rgb_anon/train', test_mode=True)
    with pytest.raises(UserError, match='Permission denied'):  # not "does not exist"
        require_dir(f'{tmp_path}/rgb_anon/fog/train', 'image folder')


# ---- lists


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-32'])
@pytest.mark.parametrize('newline', ['\n', '\r\n', '\r'])
def test_lists_of_any_editor_are_read_as_what_they_are(tmp_path, encoding, newline):
    path = tmp_path / 'list.txt'
    names = ['straße/0', 'b\u2028c', 'd e']  # a line separator of Unicode ends no line
    path.write_bytes(newline.join([*names, '', ' ']).encode(encoding))
    assert read_lines(str(path), 'split file') == names


@pytest.mark.parametrize('content, message', [
    ('a\nstraße\n'.encode('latin-1'), r'list.txt is not UTF-8 text \(line 2\)'),
    ('a\nb\n'.encode('utf-16-le'), 'holds zero bytes'),
    (b'\xff\xfea\x00b', 'is not UTF-16 text'),
    (None, 'does not exist')])
def test_what_cannot_be_read_for_sure_is_one_line(tmp_path, content, message):
    if content is not None:
        (tmp_path / 'list.txt').write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_lines(str(tmp_path / 'list.txt'), 'split file')


@pytest.fixture
def dataset(tmp_path):
    for name in 'ab':
        for folder in ('img', 'ann'):
            (tmp_path / folder).mkdir(exist_ok=True)
            cv2.imwrite(f'{tmp_path}/{folder}/{name}.png', np.zeros((4, 4), np.uint8))
    return dict(type='CustomDataset', pipeline=[], data_root=str(tmp_path), img_dir='img', ann_dir='ann',
                img_suffix='.png', classes=['x', 'y'])


def test_a_name_listed_twice_is_told_and_taken_once(tmp_path, dataset, monkeypatch):
    told = []
    monkeypatch.setattr('mmseg.utils.reading.get_root_logger',
                        lambda: type('', (), {'warning': staticmethod(told.append)}))
    (tmp_path / 'split.txt').write_bytes('\ufeffa\r\nb\r\na\r\n'.encode('utf-16-le'))
    built = build_dataset({**dataset, 'split': 'split.txt'})
    assert [info['filename'] for info in built.img_infos] == ['a.png', 'b.png']
    assert len(told) == 1 and "split.txt names 1 things again, such as 'a'" in told[0]


def test_a_class_named_twice_is_refused(tmp_path, dataset):
    (tmp_path / 'classes.txt').write_bytes('x\ny\nx\n'.encode('utf-8-sig'))
    for classes in (['x', 'y', 'x'], f'{tmp_path}/classes.txt'):
        with pytest.raises(UserError, match="the class 'x' is named twice"):
            build_dataset({**dataset, 'classes': classes})


def test_statistics_with_a_byte_order_mark_are_no_damage(tmp_path):
    entries = [{'0': 3, 'file': 'a.png'}]
    for encoding in ('utf-8-sig', 'utf-16'):
        (tmp_path / 'sample_class_stats.json').write_bytes(json.dumps(entries).encode(encoding))
        assert read_class_stats(str(tmp_path)) == entries
