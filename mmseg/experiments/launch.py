"""Training several runs side by side, one process each, on the devices of this machine."""
from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

from mmseg.utils.errors import EXIT_CODE, UserError
from mmseg.utils.project import PROJECT

from .runs import CONSOLE, Run

# From a signal to the end of a training: the step is finished and a checkpoint of gigabytes written.
SECONDS_TO_SAVE = 180
STOPPED = 'stopped by {}; the same command goes on'
ENDING = (signal.SIGTERM, signal.SIGUSR1)  # ask a training to write a checkpoint and end
Devices = tuple[str, ...]  # as CUDA_VISIBLE_DEVICES names them; empty on a CPU


class Failure(NamedTuple):
    """Why a run is not finished, in one line, and the exit code that says so; as shells count signals."""

    reason: str
    code: int = EXIT_CODE

    @classmethod
    def by_signal(cls, number: int, reason: str) -> Failure:
        """``reason`` may name the signal as {}."""
        return cls(reason.format(signal.Signals(number).name), 128 + number)


Train = Callable[[Run], 'Failure | None']  # None: the run is finished


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES takes."""
    named = os.environ.get('CUDA_VISIBLE_DEVICES')
    if named is not None:
        return [name.strip() for name in named.split(',') if name.strip() not in ('', '-1')]
    import torch
    return [str(number) for number in range(torch.cuda.device_count())]


def device_groups(runs: Sequence[Run], jobs: int | None = None,
                  gpus: Sequence[str] | None = None) -> list[Devices]:
    """The devices of each place in which a run can be trained at a time.

    Without ``jobs``: as many as there are groups of GPUs of the size that the configs ask for (``n_gpus``),
    one on a CPU.

    Raises:
        UserError: a config asks for more GPUs than there are.
    """
    gpus = visible_gpus() if gpus is None else gpus
    if not gpus:
        return [()] * (jobs or 1)
    size = max((run.devices for run in runs), default=1)
    if size > len(gpus):
        raise UserError(f'n_gpus={size}, but this machine has {len(gpus)} ({", ".join(gpus)}): '
                        f'--options n_gpus={len(gpus)}')
    groups = [tuple(gpus[i:i + size]) for i in range(0, len(gpus) - size + 1, size)]
    return [groups[i % len(groups)] for i in range(jobs or len(groups))]


def train_all(runs: Sequence[Run], places: Sequence[Devices], train: Train,
              begun: Callable[[Run], None]) -> list[Failure | None]:
    """Train each run in the next free place, after those of ``runs`` that it needs; the failures, in the
    order of ``runs``. What needs a run that failed is not begun.

    Args:
        train: what a process of its own calls for a run.
        begun: called as a run begins.
    """
    free = list(places)
    children = Children()
    quiet = len(places) > 1  # several at once would mix up their lines on the terminal
    waiting = list(range(len(runs)))
    training: dict[Future, tuple[int, Devices]] = {}
    failures: dict[int, Failure | None] = {}
    number = {run.work_dir: i for i, run in enumerate(runs)}

    def needed(i: int) -> list[int]:
        return [number[folder] for folder in runs[i].needs if folder in number]

    def one(i: int, place: Devices) -> Failure | None:
        begun(runs[i])
        return children.run(runs[i], train, place, quiet)

    with children.stopped_by_signals(), ThreadPoolExecutor(len(places)) as executor:
        while waiting or training:
            for i in [i for i in waiting if all(other in failures for other in needed(i))]:
                failed = [other for other in needed(i) if failures[other] is not None]
                if failed:
                    failures[i] = _not_begun(runs[failed[0]], failures[failed[0]])
                elif free:
                    place = free.pop(0)
                    training[executor.submit(one, i, place)] = i, place
                else:
                    break
                waiting.remove(i)
            for ended in wait(training, return_when=FIRST_COMPLETED).done if training else ():
                i, place = training.pop(ended)
                failures[i] = ended.result()
                free.append(place)
    return [failures[i] for i in range(len(runs))]


def _not_begun(run: Run, failure: Failure) -> Failure:
    return Failure(f'not begun: {run.work_dir}, which it needs, is not finished', failure.code)


class Children:
    """The processes that train; a signal that asks this process to end is handed on to them, so that each can
    write a checkpoint."""

    method = 'spawn'  # what torch has begun in this process, forked ones could not use

    def __init__(self):
        self.processes: set[multiprocessing.process.BaseProcess] = set()
        self.ended_by: int | None = None
        self.context = multiprocessing.get_context(self.method)

    def run(self, run: Run, train: Train, devices: Devices, quiet: bool) -> Failure | None:
        if self.ended_by is not None:
            return Failure.by_signal(self.ended_by, 'not started: {} ended the launch')
        here, there = self.context.Pipe(duplex=False)
        process = self.context.Process(target=_train_and_report, args=(train, run, devices, quiet, there))
        process.start()
        self.processes.add(process)
        there.close()
        try:
            failure = here.recv()
        except EOFError:
            failure = (Failure('its process ended without a report (killed, or out of memory)')
                       if self.ended_by is None else Failure.by_signal(self.ended_by, STOPPED))
        process.join()
        self.processes.discard(process)
        return failure

    @contextlib.contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # where Python takes no signals
            return
        with handled(dict.fromkeys(ENDING, self._hand_on)):
            yield

    def _hand_on(self, number: int, frame) -> None:
        self.ended_by = number
        for process in list(self.processes):
            with contextlib.suppress(OSError):
                os.kill(process.pid, number)


@contextlib.contextmanager
def handled(handlers: Mapping[int, Any]) -> Iterator[None]:
    """Inside the block these signals have these handlers."""
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _train_and_report(train: Train, run: Run, devices: Devices, quiet: bool, connection) -> None:
    threading.Thread(target=_end_with_the_launch, args=(run.devices,), daemon=True).start()
    # torch counts devices when it first uses one, which is later
    if devices:
        os.environ['CUDA_VISIBLE_DEVICES'] = ','.join(devices)
    if quiet:
        _speak_to(run.work_dir / CONSOLE)
    try:
        failure = train(run)
    except KeyboardInterrupt:  # a second one, which the training does not wait for
        failure = Failure.by_signal(signal.SIGINT, STOPPED)
    connection.send(failure)
    connection.close()


def _end_with_the_launch(devices: int) -> None:
    """If the launching process is killed, nobody waits for this one, and the same command would find its
    folder in use. Several processes are asked to end, since they are not children of this one alone."""
    launch = multiprocessing.parent_process()
    if launch is not None:
        launch.join()
        os.kill(os.getpid(), signal.SIGKILL if devices == 1 else signal.SIGTERM)


def _speak_to(path: Path) -> None:
    """Let what this process prints go to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(file, stream.fileno())
    os.close(file)


def training_command(config: Path, devices: int) -> list[str]:
    """The command line that trains the run of a kept config in the folder where that lies, from its latest
    checkpoint on if there is one; with torchrun for several devices."""
    program = str(PROJECT / 'tools' / 'train.py')
    command = [program, str(config), '--resume', 'auto', '--work-dir', str(config.parent)]
    if devices == 1:
        return [sys.executable, *command]
    return [sys.executable, '-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={devices}',
            *command, '--launcher', 'pytorch']


def start(command: Sequence[str], **settings) -> subprocess.Popen:
    """A training. When it is asked to end, torchrun leaves its processes the time to write a checkpoint; that
    of torch 2.5 does not know the variable and gives them 30 seconds."""
    environment = {'TORCH_ELASTIC_SHUTDOWN_TIMEOUT': str(SECONDS_TO_SAVE), **os.environ}
    return subprocess.Popen(command, env=environment, **settings)


def run_to_the_end(command: Sequence[str]) -> int:
    """Run a training in the main thread and hand on what asks this process to end; torchrun knows SIGTERM
    only. Ctrl-C reaches it from the terminal.

    Returns:
        its exit code, or 128 and the number of the signal that ended it.
    """
    process: subprocess.Popen | None = None
    asked: list[int] = []

    def hand_on(number: int, frame) -> None:
        asked.append(number)
        if process is not None:
            process.terminate()

    def remember(number: int, frame) -> None:
        asked.append(number)

    with handled({**dict.fromkeys(ENDING, hand_on), signal.SIGINT: remember}):
        process = start(command)
        if asked:
            process.terminate()
        code = process.wait()
    return 128 + asked[0] if code and asked else code
