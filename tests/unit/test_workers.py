"""The processes that load samples end with their loader and with their program, however that ends."""
from __future__ import annotations

import gc
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import torch
from mmcv.parallel import DataContainer
from torch.utils.data import Dataset

from mmseg.datasets.loading import workers
from mmseg.datasets.loading.loader import build_dataloader, build_train_loader, translate_worker_errors
from mmseg.utils import UserError

SECONDS = 10_000  # that a process may take to end, in ms


class Slow(Dataset):
    """The first item is a batch; whoever takes another one waits for a signal that it hears."""

    def __len__(self):
        return 20

    def __getitem__(self, index):
        while index:
            signal.pause()
        return torch.zeros(1)


class Deadly(Dataset):
    """Whoever takes an item is killed."""

    def __len__(self):
        return 20

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)


class Lost:
    """Arrives as a batch whose worker has closed its connections, and dies a moment later if it ``dies``."""

    def __init__(self, dies: bool):
        self.dies = dies

    def __reduce__(self):
        return lose, (os.getpid() if self.dies else None,)


def lose(process: int | None) -> None:
    if process:
        threading.Timer(0.2, os.kill, (process, signal.SIGKILL)).start()
    raise EOFError('a connection was closed')


class Losing(Dataset):
    def __init__(self, dies: bool):
        self.dies = dies

    def __len__(self):
        return 20

    def __getitem__(self, index):
        return DataContainer(Lost(self.dies), cpu_only=True)


class Counted(Dataset):
    """More batches than workers fetch ahead."""

    def __len__(self):
        return 50

    def __getitem__(self, index):
        return torch.full((1,), float(index))


class Endless(Dataset):
    """Far more than a pipe holds."""

    def __len__(self):
        return 10_000

    def __getitem__(self, index):
        return {'text': DataContainer('x' * 200_000, cpu_only=True)}


def loader(dataset, workers=2):
    return build_dataloader(dataset, 1, workers, dist=False, shuffle=False)


def started(batches) -> list[int]:
    """The workers' ids, once the first batch is there."""
    next(batches)
    return [worker.pid for worker in batches.gi_frame.f_locals['batches']._workers]


def ended(*pids: int) -> bool:
    """Whether all these processes end soon."""
    for pid in pids:
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        poll = select.poll()
        poll.register(process, select.POLLIN)
        found = poll.poll(SECONDS)
        os.close(process)
        if not found:
            os.kill(pid, signal.SIGKILL)
            return False
    return True


def test_a_closed_loader_has_no_workers_and_can_be_used_again():
    with closing(loader(Slow())) as one:
        pids = started(iter(one))
        for pid in pids:
            os.kill(pid, signal.SIGTERM)  # which they do not hear
        assert not any(Path(f'/proc/{pid}/stat').read_text().split()[2] == 'Z' for pid in pids)
    assert not any(Path(f'/proc/{pid}').exists() for pid in pids)
    again = started(iter(one))
    one.close()
    assert len(again) == 2 and not {*again} & {*pids}
    one.close()


def test_a_loader_without_workers_can_be_closed():
    with closing(loader(Endless(), 0)) as one:
        assert len(next(iter(one))['text'].data[0][0]) == 200_000


@pytest.mark.parametrize('dataset', [Slow, Endless])
def test_workers_end_when_their_parent_was_killed(dataset):
    """One that waits for its sample, and one that waits for somebody to take it."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        pids = started(iter(loader(dataset())))
        os.write(there, ' '.join(map(str, pids)).encode())
        signal.pause()
    pids = [int(word) for word in os.read(here, 100).split()]
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(pids) == 2 and ended(*pids)


PROGRAM = """
import os, sys
from multiprocessing.process import BaseProcess
folder, here, *ways = sys.argv[1:]
sys.path[:0] = [here]
from test_workers import Slow, loader, started
from mmseg.utils import UserError, one_line_errors

def interrupted(process, start=BaseProcess.start):
    start(process)
    print(process.pid, flush=True)
    raise KeyboardInterrupt

@one_line_errors
def main(how):
    if how == 'interrupted start':
        BaseProcess.start = interrupted
    batches = iter(loader(Slow()))
    print(*started(batches), flush=True)
    if how == 'error':
        raise UserError('a mistake')
    if how == 'bug':
        raise ValueError('a bug')

for how in ways:
    child = os.fork()
    if not child:
        for stream in (1, 2):
            os.dup2(os.open(f'{folder}/{how}.{stream}', os.O_CREAT | os.O_WRONLY), stream)
        sys.exit(main(how))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_a_program_ends_with_its_workers(tmp_path):
    """They are at work on samples that take for ever. One process imports for all four programs."""
    codes = {'return': 0, 'error': 1, 'bug': 1, 'interrupted start': 130}
    done = subprocess.run([sys.executable, '-c', PROGRAM, tmp_path, Path(__file__).parent, *codes],
                          text=True, stdout=subprocess.PIPE, timeout=240, check=True)
    assert [int(line) for line in done.stdout.split()] == list(codes.values())
    for how in codes:
        workers, complaint = ((tmp_path / f'{how}.{stream}').read_text() for stream in (1, 2))
        assert workers and ended(*map(int, workers.split())), how
        assert ('Traceback' in complaint) == (how == 'bug')


def test_a_mistake_ends_the_workers_of_the_block():
    with pytest.raises(UserError), closing(loader(Slow())) as one:
        pids = started(iter(one))
        raise UserError('a mistake')
    assert not any(Path(f'/proc/{pid}').exists() for pid in pids)


def fork_and_drop(end: str) -> None:
    """Fork while a loader has workers, drop the loader in the child, and go on loading here."""
    loader = build_dataloader(Counted(), 1, 2, dist=False, shuffle=False)
    batches = iter(loader)
    next(batches)
    workers = loader._iterator._workers
    child = os.fork()
    if not child:
        try:
            if end == 'close':
                loader.close()
            del loader, batches  # the iterator of torch goes with them
            gc.collect()
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(list(batches)) == 49  # a worker that ended would be an error here
    assert all(worker.is_alive() for worker in workers)
    loader.close()
    assert not any(worker.is_alive() for worker in workers)


@pytest.mark.parametrize('end', ['close', 'free'])
def test_a_forked_process_leaves_the_workers_of_its_parent_alone(end):
    """As a worker of another loader, which inherits this one and whose garbage collector frees it. Not in
    this process, whose garbage holds what other tests left: a child that frees some of it waits for ever."""
    from two_processes import CLEAN  # the programs of this file do not have it

    process = CLEAN.Process(target=fork_and_drop, args=(end,))
    process.start()
    process.join()
    assert process.exitcode == 0


def tell_workers(pipe) -> None:
    loader = build_dataloader(Slow(), 1, 2, dist=False, shuffle=False)
    iter(loader).__next__()
    pipe.send([worker.pid for worker in loader._iterator._workers])
    signal.pause()


def test_workers_of_a_fork_server_end_with_the_process_that_uses_them():
    """Python 3.14 starts them so: their parent in the system is the server, which goes on."""
    from two_processes import CLEAN

    here, there = CLEAN.Pipe(duplex=False)
    process = CLEAN.Process(target=tell_workers, args=(there,))
    process.start()
    pids = here.recv()
    process.kill()
    process.join()
    deadline = time.monotonic() + 15
    while any(Path(f'/proc/{pid}').exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f'/proc/{pid}').exists() for pid in pids)


def test_a_killed_worker_is_told_in_one_line():
    loader = build_train_loader(Deadly(), 1, 1, seed=0, max_steps=4)
    with pytest.raises(UserError, match='a process that loads samples died.*workers_per_gpu'), \
            translate_worker_errors():
        list(loader)


def test_a_worker_killed_while_it_hands_a_batch_over_is_told_in_one_line():
    """Its connections are closed before the system tells torch of its death."""
    with closing(build_train_loader(Losing(True), 1, 1, seed=0, max_steps=4)) as loader, \
            pytest.raises(UserError, match='a process that loads samples died.*workers_per_gpu'), \
            translate_worker_errors():
        list(loader)


def test_without_a_death_an_error_stays_what_it_is(monkeypatch):
    monkeypatch.setattr(workers, 'DEATH_SECONDS', 0.1)
    with closing(build_train_loader(Losing(False), 1, 1, seed=0, max_steps=4)) as loader, \
            pytest.raises(EOFError, match='a connection was closed'), translate_worker_errors():
        list(loader)
