"""The processes of a job watch each other: if one of them dies, the others end, and one line says which."""
from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator

from torch import distributed

from .distributed import join_processes, world
from .errors import EXIT_CODE, TRACEBACK, UserError

# For the others to end by themselves once one is gone; in the middle of an evaluation they do not notice.
GRACE_SECONDS = 10.0
NOTICE_SECONDS = 5.0  # from a connection that closed to the end of the process behind it
LAST_SECONDS = 60.0  # for the others to end, of the process that keeps what they share
DONE, TOLD = b'done', b'told'


@contextlib.contextmanager
def joined(launcher: str = 'none') -> Iterator[int | None]:
    """Inside the block, which is the program, this process works with the others of its job, if it has any.

    The first of them that fails tells why; the others end with exit code 1 and without a word. One that dies
    (killed, out of memory, an error of ours) is named in one line. If torchrun itself is killed, its
    processes end as if they were sent SIGTERM.

    Args:
        launcher: see :func:`mmseg.utils.distributed.join_processes`.

    Yields:
        the number of this process on its machine, None if it is alone.
    """
    local_rank = join_processes(launcher)
    if local_rank is None:
        yield None
        return
    peers = Peers(*world())
    try:
        yield local_rank
    except UserError as error:
        if os.environ.get(TRACEBACK):
            peers.leave(TOLD)
            raise
        if not peers.explain(error):
            peers.tell(str(error))
        peers.leave(TOLD)
        raise SystemExit(EXIT_CODE) from error
    except RuntimeError as error:
        if peers.explain(error):
            raise SystemExit(EXIT_CODE) from error
        raise
    except KeyboardInterrupt:
        peers.leave(DONE)
        raise
    except SystemExit as end:  # between two exchanges, as when a signal asked for it
        peers.leave(DONE)
        traceback.clear_frames(end.__traceback__)
        _end_groups()
        raise
    peers.leave(DONE)
    _end_groups()


class Peers:
    """The other processes of the job. A thread waits for the end of those on this machine.

    Args:
        rank, size: of ``torch.distributed``, which is running.
    """

    def __init__(self, rank: int, size: int):
        self.rank, self.size = rank, size
        self._gone, self._left = threading.Event(), threading.Event()
        # a connection of its own: that of torch.distributed is taken while it waits for somebody
        store = distributed.TCPStore(os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT']),
                                     is_master=False, wait_for_workers=False)
        attempt = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')
        self._store = distributed.PrefixStore(f'mmseg/{attempt}', store)
        self._store.set(f'process/{rank}', f'{_place()} {os.getpid()}')
        self._woken, self._wake = os.pipe()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def leave(self, how: bytes) -> None:
        """Tell the others that this process ends, DONE or TOLD, and is not dead."""
        with _store_may_be_gone():
            self._store.set(f'end/{self.rank}', how.decode())
            if self.rank == 0 and 'TORCHELASTIC_USE_AGENT_STORE' not in os.environ:
                # the store ends with the process that keeps it
                self._wait_for([f'end/{rank}' for rank in range(self.size)],
                               LAST_SECONDS if how == DONE and not self._gone.is_set() else 1.0)
        self._left.set()
        os.write(self._wake, b'.')
        # a thread that is in the store while Python ends would abort the process
        self._watcher.join(NOTICE_SECONDS)

    def _wait_for(self, keys: list[str], seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._store.check(keys):
            time.sleep(0.02)

    def tell(self, line: str) -> None:
        """Write why the job ends, unless another process does. Either way it is written then: torchrun ends
        all processes once one has ended."""
        first = True
        with _store_may_be_gone():
            first = self._store.add('telling', 1) == 1
        if first:  # below the bar of another process, which this one cannot close
            sys.stderr.write(f'\nerror: {line}\n')
            sys.stderr.flush()
        with _store_may_be_gone():
            if first:
                self._store.set('told', '')
            else:
                self._wait_for(['told'], NOTICE_SECONDS)

    def explain(self, error: Exception) -> bool:
        """Whether ``error`` comes from the end of another process, which has been told then."""
        return self._gone.is_set() or (_of_a_connection(error) and self._gone.wait(NOTICE_SECONDS))

    def _watch(self) -> None:
        poll, watched = select.poll(), {}
        with _store_may_be_gone():
            for rank, process in self._processes().items():
                try:
                    watched[os.pidfd_open(process)] = rank
                except ProcessLookupError:
                    self._end_of(rank)
        for descriptor in (self._woken, *watched):
            poll.register(descriptor, select.POLLIN)
        while watched and not self._left.is_set():
            for descriptor, _ in poll.poll():
                if self._left.is_set():
                    break
                poll.unregister(descriptor)
                os.close(descriptor)
                self._end_of(watched.pop(descriptor))

    def _processes(self) -> dict[int | None, int]:
        """The system's numbers of the other processes on this machine, and of torchrun (None)."""
        found: dict[int | None, int] = {}
        if 'TORCHELASTIC_RUN_ID' in os.environ:
            found[None] = os.getppid()
        for rank in range(self.size):
            place, process = self._store.get(f'process/{rank}').decode().rsplit(' ', 1)
            if rank != self.rank and place == _place():
                found[rank] = int(process)
        return found

    def _end_of(self, rank: int | None) -> None:
        if rank is None:
            os.kill(os.getpid(), signal.SIGTERM)
            return
        how = None
        with _store_may_be_gone():
            how = self._store.get(f'end/{rank}') if self._store.check([f'end/{rank}']) else b''
        if how == DONE or (how is None and self._left.wait(NOTICE_SECONDS)):
            return
        if how != TOLD:
            self.tell(f'process {rank} of the {self.size} of this job died (killed, out of memory, or of an '
                      'error that stands above), so the others end; a training goes on with --resume auto')
        self._gone.set()
        if not self._left.wait(GRACE_SECONDS):
            os._exit(EXIT_CODE)


def _end_groups() -> None:
    """End the threads of torch.distributed: one that still frees the tensors of the last exchange while
    Python ends would abort the process. They end with the last object that refers to their group, often a
    DistributedDataParallel that nobody but its own hooks refers to."""
    gc.collect()
    distributed.destroy_process_group()


@contextlib.contextmanager
def _store_may_be_gone() -> Iterator[None]:
    """It ends with torchrun, or with the first process."""
    with contextlib.suppress(RuntimeError):
        yield


def _place() -> str:
    """Where numbers of processes mean the same."""
    with open('/proc/sys/kernel/random/boot_id') as file:
        return f'{file.read().strip()}/{os.readlink("/proc/self/ns/pid")}'


def _of_a_connection(error: BaseException) -> bool:
    """Whether gloo, NCCL or the store of torch.distributed is behind an error."""
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, distributed.DistError) or any(sign in str(chain) for sign in ('gloo', 'NCCL')):
            return True
        chain = chain.__cause__ or chain.__context__
    return False
