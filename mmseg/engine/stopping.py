"""Ending a training between two steps because somebody asked for it."""
from __future__ import annotations

import signal
import threading
from types import FrameType

import torch
from torch import distributed

# What schedulers send before they take the machine back, and what a keyboard sends.
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class TrainingInterrupted(SystemExit):
    """A training was ended by a signal after a whole step, with a checkpoint written. Left uncaught it ends
    the program without a traceback, with the exit code that shells use for that signal: 128 + its number
    (SIGTERM 143, SIGUSR1 138, Ctrl-C 130), so that nobody takes the training for finished."""

    def __init__(self, number: int):
        super().__init__(128 + number)


class StopRequest:
    """Inside the block, a signal asks the training to end; ``should_stop`` tells it when.

    Several processes agree on the step through an exchange of one number, on the CPU (gloo), which is
    started after one step and read after the next: neither the device nor a process waits for it. So
    they end one step after the first of them was asked to.

    A second Ctrl-C ends the program at once. Outside the main thread, where Python takes no signals, only
    the other processes' are heard.

    Args:
        group: of the processes of the training, with the gloo backend; None for a single process.
    """

    def __init__(self, group: distributed.ProcessGroup | None = None):
        self.number: int | None = None
        self._group, self._exchange = group, None

    def __enter__(self) -> StopRequest:
        main = threading.current_thread() is threading.main_thread()
        self._before = {number: signal.signal(number, self._ask) for number in SIGNALS} if main else {}
        return self

    def __exit__(self, *exception) -> None:
        if exception[0] is None:
            self._read()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.number is not None:
            raise KeyboardInterrupt
        self.number = self.number or number

    def should_stop(self) -> int | None:
        """The number of the signal if all processes end now, which is the same in all. Called once after
        every step."""
        if self._group is None:
            return self.number
        heard = self._read()
        asked = torch.tensor(self.number or 0)
        work = distributed.all_reduce(asked, distributed.ReduceOp.MAX, self._group, async_op=True)
        self._exchange = (asked, work)
        return heard or None

    def _read(self) -> int:
        """What the exchange that was started last brought."""
        if self._exchange is None:
            return 0
        asked, work = self._exchange
        self._exchange = None
        work.wait()
        return int(asked)
