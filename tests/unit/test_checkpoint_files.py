"""Checkpoint files survive a full disk, a kill in the middle of writing, and what happens to bits."""
from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest
import torch

from mmseg.checkpoint.files import (
    newest_checkpoint,
    point_to,
    remove_older,
    remove_temporaries,
    verify_file,
    write_whole,
)
from mmseg.checkpoint.weights import load_file, save_file
from mmseg.utils import UserError
from mmseg.utils.files import write_bytes

SMALL, BIG = 10, 100_000


def write(folder: Path, step: int, size: int = SMALL) -> Path:
    path = folder / f'iter_{step}.pth'
    save_file({'meta': {'iter': step}, 'state_dict': {'w': torch.full((size,), float(step))}}, str(path))
    return path


def in_child(function) -> int:
    """The exit code of ``function`` in a child, negative for a signal."""
    child = os.fork()
    if not child:
        try:
            function()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize('room', [100, 5_000, 4 * BIG - 1, 4 * BIG + 100])
def test_a_full_disk_is_one_line_and_leaves_the_old_file_alone(tmp_path, room):
    """The disk ends in the middle of the header, of a tensor, of the table at the file's end."""
    path = write(tmp_path, 1)
    before = path.read_bytes()

    def overwrite():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        with pytest.raises(UserError) as told:
            write(tmp_path, 1, BIG)
        assert 'iter_1.pth' in str(told.value) and 'too large' in str(told.value)
        os._exit(7)

    assert in_child(overwrite) == 7
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ['iter_1.pth']


def test_a_kill_while_writing_leaves_the_old_file_and_the_next_start_cleans_up(tmp_path):
    path = write(tmp_path, 1)

    def half(file):
        file.write(b'half')
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(lambda: write_whole(path, half)) == -signal.SIGKILL
    assert verify_file(path)['meta'] == {'iter': 1}
    (tmp_path / 'note.tmp').write_text("a user's")
    assert len(list(tmp_path.glob('iter_1.pth.tmp*'))) == 1
    remove_temporaries(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ['iter_1.pth', 'note.tmp']


@pytest.mark.parametrize('write_it', [
    lambda path, during: write_whole(path, during),
    lambda path, during: write_whole(path, lambda file: file.write(b'content'), during),
], ids=['written', 'verified'])
def test_what_is_being_written_is_left_to_its_writer(tmp_path, write_it):
    write_it(tmp_path / 'iter_1.pth', lambda _: remove_temporaries(tmp_path))
    assert os.listdir(tmp_path) == ['iter_1.pth']


def test_other_files_of_a_run_and_links_on_their_way_are_left_to_their_writer_too(tmp_path, monkeypatch):
    replace = os.replace

    def late(source, target):
        remove_temporaries(tmp_path)
        replace(source, target)

    monkeypatch.setattr(os, 'replace', late)
    write_bytes(tmp_path / 'config.json', b'{}')
    point_to(tmp_path / 'latest.pth', 'iter_1.pth')
    dead = tmp_path / f'latest.pth.tmp{2 ** 22 + 1}'  # beyond the kernel's last process number
    dead.symlink_to('iter_1.pth')
    os.mkfifo(tmp_path / 'pipe.tmp1')  # opening it would wait for a reader
    remove_temporaries(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ['config.json', 'latest.pth', 'pipe.tmp1']


def test_what_was_written_is_read_again_before_it_counts(tmp_path, monkeypatch):
    """A disk that does not keep what it is given."""
    path = write(tmp_path, 1)
    real = torch.save

    def forgetful(content, file):
        real(content, file)
        file.seek(file.tell() // 2)
        file.write(b'\xff' * 8)

    monkeypatch.setattr(torch, 'save', forgetful)
    with pytest.raises(UserError, match='damaged'):
        write(tmp_path, 1, BIG)
    assert float(load_file(str(path))['state_dict']['w'][0]) == 1.0
    assert os.listdir(tmp_path) == ['iter_1.pth']


def test_one_changed_bit_is_noticed(tmp_path):
    path = write(tmp_path, 3, BIG)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert not torch.equal(load_file(str(path))['state_dict']['w'], torch.full((BIG,), 3.0))
    with pytest.raises(UserError, match='iter_3.pth.*damaged'):
        verify_file(path)


def test_the_newest_checkpoint_that_can_be_read_is_found(tmp_path):
    told: list[str] = []
    assert newest_checkpoint(tmp_path, told.append) is None
    assert newest_checkpoint(tmp_path / 'nowhere', told.append) is None
    paths = [write(tmp_path, step, BIG) for step in (9, 10, 100)]
    point_to(tmp_path / 'latest.pth', 'iter_100.pth')
    assert newest_checkpoint(tmp_path, told.append) == paths[2] and told == []
    paths[2].write_bytes(paths[2].read_bytes()[:-200])
    assert newest_checkpoint(tmp_path, told.append) == paths[1]
    [line] = told
    assert 'iter_100.pth' in line and line.endswith('going on from iter_10.pth')
    for path in paths:
        path.write_bytes(b'')
    with pytest.raises(UserError, match=r'no checkpoint in .* \(3 tried\)'):
        newest_checkpoint(tmp_path, told.append)


def test_a_copy_of_the_latest_alone_can_be_gone_on_from(tmp_path):
    """Copying a folder follows its links."""
    write(tmp_path, 4).rename(tmp_path / 'latest.pth')
    assert newest_checkpoint(tmp_path, pytest.fail) == tmp_path / 'latest.pth'


def test_older_checkpoints_are_removed_and_later_ones_are_not(tmp_path):
    for step in (1, 2, 3, 10):
        write(tmp_path, step)
    remove_older(tmp_path / 'iter_3.pth', keep=2)
    assert sorted(os.listdir(tmp_path)) == ['iter_10.pth', 'iter_2.pth', 'iter_3.pth']
