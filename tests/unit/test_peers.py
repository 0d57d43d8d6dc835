"""Two processes of a job, one of which ends in some way: the other ends too, and one line says why."""
from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path

import pytest
import torch
from torch import distributed

from mmseg.utils import UserError, one_line_errors, peers

READ, WRITE = 0, 1


def exchange() -> None:
    distributed.all_reduce(torch.zeros(1))


def exchange_of(rank: int) -> None:
    """Both are there then."""
    exchange()


def waits(rank: int) -> None:
    """For the other process, in a collective or busy with itself."""
    exchange()
    if rank == 0:
        exchange()


def killed(rank: int) -> None:
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def mistake(rank: int) -> None:
    if rank == 1:
        raise UserError('a mistake')


def both_mistaken(rank: int) -> None:
    raise UserError('a mistake of both')


def bug(rank: int) -> None:
    if rank == 1:
        raise ValueError('a bug')


def asked(rank: int) -> None:
    if rank == 1:
        raise SystemExit(143)


def busy(rank: int) -> None:
    """Without a look at the others; what only a thread can end."""
    if rank == 0:
        threading.Event().wait()


def threads() -> list[str]:
    """Names of this process's threads of gloo, as the system knows them."""
    names = [path.read_text().strip() for path in Path('/proc/self/task').glob('*/comm')]
    return [name for name in names if 'gloo' in name]


def trains(rank: int, asked: bool = False) -> None:
    """With what refers to itself and to the group."""
    network = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
    network.hook = lambda: network
    network(torch.ones(1, 2)).sum().backward()
    assert threads()
    if asked:
        raise SystemExit(143)


def trains_until_asked(rank: int) -> None:
    trains(rank, asked=True)


def program(rank: int, port: int, what: list, folder: Path) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1',
                      MASTER_PORT=str(port))
    output = os.open(folder / f'{rank}.txt', os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 2)
    sys.stderr = os.fdopen(2, 'w', buffering=1)
    peers.GRACE_SECONDS = 0.5
    code = 70
    try:
        @one_line_errors
        def main():
            with peers.joined():
                for part in what:
                    part(rank)
        main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        (folder / f'{rank}.threads').write_text(' '.join(threads()))
        os._exit(code)


def slowly(rank: int) -> None:
    """Whoever tells first takes a while to write it."""
    write = sys.stderr.write

    def late(text: str) -> None:
        threading.Event().wait(0.5)
        write(text)

    sys.stderr.write = late


def free_port() -> int:
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


@pytest.mark.parametrize('what, codes, lines', [
    ([waits, killed], [1, -9], ['error: process 1 of the 2 of this job died']),
    ([killed, busy], [1, -9], ['error: process 1 of the 2 of this job died']),
    ([mistake, waits], [1, 1], ['error: a mistake']),
    ([mistake, busy], [1, 1], ['error: a mistake']),
    ([both_mistaken], [1, 1], ['error: a mistake of both']),
    ([bug, waits], [1, 70], ['error: process 1 of the 2 of this job died']),
    ([asked], [0, 143], []),
    ([], [0, 0], []),
], ids=lambda value: '-'.join(part.__name__ for part in value) if value and callable(value[0]) else None)
def test_the_end_of_one_is_the_end_of_both(what, codes, lines, tmp_path):
    port = free_port()
    children = [os.fork() or program(rank, port, what, tmp_path) for rank in (0, 1)]
    found = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    told = ''.join((tmp_path / f'{rank}.txt').read_text() for rank in (0, 1))
    assert found == codes, told
    errors = [line for line in told.splitlines() if line.startswith('error: ')]
    assert len(errors) == len(lines) and all(map(str.startswith, errors, lines)), told
    assert ('Traceback' in told) == (bug in what)


def test_nobody_leaves_before_the_line_is_written(tmp_path):
    """torchrun, as this test, sends SIGTERM to the others once one has ended."""
    port = free_port()
    children = [os.fork() or program(rank, port, [exchange_of, slowly, both_mistaken], tmp_path)
                for rank in (0, 1)]
    ended, _ = os.wait()
    children.remove(ended)
    os.kill(children[0], signal.SIGTERM)
    os.waitpid(children[0], 0)
    told = ''.join((tmp_path / f'{rank}.txt').read_text() for rank in (0, 1))
    assert told.count('error: a mistake of both\n') == 1, told


@pytest.mark.parametrize('what, code', [(exchange_of, 0), (trains, 0), (trains_until_asked, 143)])
def test_no_thread_of_gloo_is_left_when_python_ends(what, code, tmp_path):
    """One that is still at work then aborts the process, with everything done."""
    port = free_port()
    children = [os.fork() or program(rank, port, [what], tmp_path) for rank in (0, 1)]
    found = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert found == [code, code], (tmp_path / '0.txt').read_text()
    assert [(tmp_path / f'{rank}.threads').read_text() for rank in (0, 1)] == ['', '']


def test_nothing_watches_any_more_once_a_process_has_left(monkeypatch):
    """A thread that is in C++ while Python ends aborts the process, with everything done (seen in
    tools/test.py on two processes: 'terminate called without an active exception')."""
    store = distributed.TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)
    environment = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(store.port), TORCHELASTIC_RUN_ID='1')
    for name, value in environment.items():
        monkeypatch.setenv(name, value)  # as below torchrun, whose end is watched
    watching = peers.Peers(0, 1)
    watching._watcher.join(0.2)
    assert watching._watcher.is_alive()
    watching.leave(peers.DONE)
    assert not watching._watcher.is_alive()
