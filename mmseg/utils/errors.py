"""Mistakes of a user, told in one line.

``UserError`` is for what the person at the keyboard can mend (a path, a key, a file); everything
else is a programming error and keeps its traceback. Library code raises one of its kinds, programs format
them.
"""
from __future__ import annotations

import argparse
import contextlib
import errno
import functools
import gc
import os
import select
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, ClassVar, NoReturn

from tqdm import tqdm

EXIT_CODE = 1
TRACEBACK = 'MMSEG_TRACEBACK'
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UserError(Exception):
    """What is wrong, where, and what to do about it, as one line of text."""

    def __init__(self, message: str):
        super().__init__(' '.join(str(message).split()))


class ConfigError(UserError):
    """A key or a value of a config, or settings that do not fit together."""


class DataError(UserError):
    """A file, a folder or a label of a data set."""


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged, of another network, or not data alone."""


class BadFile(DataError):
    """A single image or label that is missing, damaged or absurdly large: training can be told to take
    another sample instead (``data.bad_image='skip'``)."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint naming the known word nearest to ``word``, or all of them if none is near."""
    words = sorted(map(str, known))
    by_lower = {w.lower(): w for w in words}
    close = get_close_matches(str(word).lower(), by_lower, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{by_lower[close[0]]}'?"
    return f'known: {", ".join(words) or "none"}'


def write_error(text: str) -> None:
    """Write an error on a line of its own: below the bars of whatever it has interrupted."""
    for bar in list(getattr(tqdm, '_instances', ())):
        bar.close()
    sys.stderr.write(f'error: {text}\n')


def one_line_errors(main: Callable[..., int | None]) -> Callable[..., None]:
    """Decorate a program's main function: a UserError, or a file that the system refuses, ends it with one
    line and exit code 1. With MMSEG_TRACEBACK=1 in the environment it ends with the traceback."""

    @functools.wraps(main)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        _all_is_imported()
        try:
            code = _written(main, *args, **kwargs)
        except UserError as error:
            if os.environ.get(TRACEBACK):
                raise
            write_error(str(error))
            sys.exit(EXIT_CODE)
        except OSError as error:
            if isinstance(error, BrokenPipeError) and _nobody_reads():
                sys.exit(EXIT_CODE)
            line = refused_file(error)
            if line is None or os.environ.get(TRACEBACK):
                raise
            write_error(line)
            sys.exit(EXIT_CODE)
        except KeyboardInterrupt:
            sys.stderr.write('interrupted\n')
            sys.exit(130)
        sys.exit(code or 0)

    return wrapper


def _all_is_imported() -> None:
    """Programs switch the collection of garbage off while they import: there is hardly any, and looking for
    it takes a fifth of the time. What is imported stays: no later collection looks through it, nor copies
    memory that a loader's processes share."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _written(main: Callable[..., int | None], *args: Any, **kwargs: Any) -> Any:
    """The exit code of ``main``, once all that it printed is written: later no error could be answered."""
    code: Any
    try:
        code = main(*args, **kwargs)
    except SystemExit as end:
        code = end.code
    with contextlib.suppress(AttributeError, ValueError):  # there may be no output, or a closed one
        sys.stdout.flush()
    return code


def _nobody_reads() -> bool:
    """Whether the program that read the output, e.g. head, has ended; then the rest of it goes nowhere."""
    with contextlib.suppress(OSError, ValueError):  # it may have no descriptor
        output, poll = sys.stdout.fileno(), select.poll()
        poll.register(output, 0)
        if any(event & select.POLLERR for _, event in poll.poll(0)):
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)
            return True
    return False


def refused_file(error: OSError) -> str | None:
    """The system's refusal of a file in one line; None if it is about no file."""
    name = f" '{error.filename}'" if error.filename else ''
    if error.errno in FULL_DISK:
        return f'cannot write{name}: {error.strerror}; make room, then go on'
    return f'cannot use{name}: {error.strerror}' if name else None


def positive(text: str) -> int:
    """Type of an argument: a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 1 on")
    return int(text)


class ArgumentParser(argparse.ArgumentParser):
    """Tells a mistake on the command line in one line, too; exit code 2. Its help names every default, and
    the program as it was called."""

    commands: ClassVar[dict[str, str]] = {}
    """Console command of a program's file, where it was started by one."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.prog = self.commands.get(self.prog, self.prog)

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        action = super().add_argument(*args, **kwargs)
        named = 'default' in (action.help or '')
        if not named and action.default not in (None, False, [], argparse.SUPPRESS):
            action.help = ' '.join(filter(None, (action.help, '(default: %(default)s)')))
        return action

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'error: {message} (--help explains the arguments)\n')
