"""Every file is written under another name first: a failure leaves the file of before, and nothing else."""
from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from mmseg.checkpoint.files import point_to, write_whole
from mmseg.datasets.files import write_text
from mmseg.utils import UserError
from mmseg.utils.files import atomic_file, replacing, write_bytes, write_json

ROOT = Path(__file__).resolve().parents[2]


def half_a_link(path) -> None:
    with replacing(path, '.mp4') as temporary:
        Path(temporary).write_bytes(b'half')
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize('write', [
    lambda path: write_bytes(path, b'new'), lambda path: write_json(path, {}),
    lambda path: write_text(path, 'new'), lambda path: write_whole(path, lambda file: file.write(b'new')),
    lambda path: point_to(path, 'target'), half_a_link,
], ids=['bytes', 'json', 'text', 'checkpoint', 'link', 'video'])
def test_a_failure_leaves_the_file_of_before(tmp_path, monkeypatch, write):
    path = tmp_path / 'file'
    path.write_bytes(b'old')

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(UserError, match=f"cannot write '{path}': No space left on device"):
        write(path)
    assert path.read_bytes() == b'old' and os.listdir(tmp_path) == ['file']


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_errors_that_are_not_the_disks_stay_what_they_are(tmp_path, error):
    with pytest.raises(error), atomic_file(tmp_path / 'new' / 'file') as file:
        file.write(b'half')
        raise error
    assert os.listdir(tmp_path / 'new') == []


def test_what_a_killed_process_of_the_same_number_left_is_no_obstacle(tmp_path):
    (tmp_path / f'file.tmp{os.getpid()}').symlink_to(tmp_path / 'elsewhere')
    write_bytes(tmp_path / 'file', b'new')
    assert (tmp_path / 'file').read_bytes() == b'new' and os.listdir(tmp_path) == ['file']


def test_the_rights_of_a_file_are_the_users(tmp_path):
    mask = os.umask(0o027)
    try:
        write_text(str(tmp_path / 'file'), 'new')
    finally:
        os.umask(mask)
    assert (tmp_path / 'file').stat().st_mode & 0o777 == 0o640


def test_there_is_one_such_writer():
    found = subprocess.run(['git', 'grep', '-lE', r'os\.replace\(|mkstemp', '--', '*.py', ':!tests'],
                           cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stdout.split() == ['mmseg/utils/files.py']
