"""The processes that load samples: they hear no signal of their job, and outlive neither their loader nor the
program that started them, however it ends."""
from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from functools import cache
from multiprocessing.util import Finalize
from typing import Any
from weakref import WeakSet

import cv2
import numpy as np
import torch
from torch.utils.data._utils import signal_handling

from mmseg.utils import derive_seed

# Sent to all processes of a job. The training ends by itself then, and its workers with it.
UNHEARD = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
LOOK_SECONDS = 1.0
DEATH_SECONDS = 2.0  # until the system tells of a death that a closed connection has shown
PINNING_SECONDS = 2.0  # for the thread that copies into page-locked memory


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Inside the block, where workers start, signals wait: else one would meet a worker that does not ignore
    it yet."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, UNHEARD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def init_worker(worker: int, seed: int) -> None:
    """What a worker does first."""
    for number in UNHEARD:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, UNHEARD)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(0)  # the workers are the parallelism
    worker_seed = derive_seed(seed, worker)
    random.seed(worker_seed)
    np.random.seed(worker_seed)
    torch.manual_seed(worker_seed)


def _end_with_parent() -> None:
    """torch looks for the parent too, but its worker then waits for somebody to take the batch it has."""
    parent, own = multiprocessing.parent_process(), os.getppid()
    # A fork server (the default of Python 3.14) stands between the two, and does not end with the parent.
    direct = own == parent.pid
    while os.getppid() == own and (direct or _exists(parent.pid)):
        # Told at once, unless another process has the pipe's other end as well.
        parent.join(LOOK_SECONDS)
        if not direct and not parent.is_alive():
            break
    os._exit(1)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


_STARTED: WeakSet = WeakSet()


def remember(iterator: Any) -> None:
    """Know a loader's iterator with workers, so that processes that are forked later leave them alone."""
    _STARTED.add(iterator)


def _disown() -> None:
    """In a process that was just forked: the iterators that it inherits have workers of its parent. Freeing
    one would end them, by torch's own code too."""
    for iterator in list(_STARTED):
        iterator._shutdown = True


os.register_at_fork(after_in_child=_disown)


def wait_for_a_death(iterator: Any) -> int | None:
    """The id of a worker of a loader's iterator that has died, or does so within DEATH_SECONDS; else None.

    Raises:
        RuntimeError: torch was told of it first, and says so.
    """
    end = time.monotonic() + DEATH_SECONDS
    while time.monotonic() < end:
        for worker in iterator._workers:
            if not worker.is_alive():
                return worker.pid
        time.sleep(0.01)
    return None


def end_workers(iterator: Any) -> None:
    """End the workers of a loader's iterator at once, whatever they are doing. torch asks them, waits for
    each and sends SIGTERM then, which they do not hear."""
    workers = getattr(iterator, '_workers', ())
    if not workers or iterator._shutdown:
        return
    iterator._shutdown = True
    if iterator._worker_pids_set:  # else their end is an error, wherever the program happens to be
        signal_handling._remove_worker_pids(id(iterator))
        iterator._worker_pids_set = False
    iterator._workers_done_event.set()
    _end_pinning(iterator)
    _kill(workers)
    for queue in (*iterator._index_queues, iterator._worker_result_queue):
        queue.cancel_join_thread()
        queue.close()


def _end_pinning(iterator: Any) -> None:
    """A daemon: if it does not end, because a killed worker left half a message, it ends with the program."""
    thread = getattr(iterator, '_pin_memory_thread', None)
    if thread is not None:
        iterator._pin_memory_thread_done_event.set()
        iterator._worker_result_queue.put((None, None))
        thread.join(PINNING_SECONDS)


def _kill(processes: Any) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.join()


@cache
def end_workers_at_exit(process: int) -> None:
    """See that process number ``process``, the one that calls this, leaves no worker behind. multiprocessing
    would send them SIGTERM at the exit and wait for ever."""
    Finalize(None, _end_all, exitpriority=0)


def _end_all() -> None:
    """Loaders that were closed have none; those whose start was interrupted are known to nobody else."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where torch tells of dead workers
    _kill([child for child in multiprocessing.active_children() if child.daemon])
