"""Mistakes of a user, told in one line.

``UserError`` is for what the person at the keyboard can mend (a path, a key, a file); everything
else is a programming error and keeps its traceback.
"""
from __future__ import annotations

import errno
import functools
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches

EXIT_CODE = 1
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UserError(Exception):
    """What is wrong, where, and what to do about it, as one line of text."""

    def __init__(self, message: str):
        super().__init__(' '.join(str(message).split()))


class BadFile(UserError):
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


def one_line_errors(main: Callable[..., int | None]) -> Callable[..., None]:
    """Decorate a program's main function: a UserError, or a full disk, ends it with one line and exit
    code 1."""

    @functools.wraps(main)
    def wrapper(*args, **kwargs) -> None:
        try:
            code = main(*args, **kwargs)
        except UserError as error:
            sys.stderr.write(f'error: {error}\n')
            sys.exit(EXIT_CODE)
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
            what = f" '{error.filename}'" if error.filename else ''
            sys.stderr.write(f'error: cannot write{what}: {error.strerror}; make room, then go on\n')
            sys.exit(EXIT_CODE)
        except KeyboardInterrupt:
            sys.stderr.write('interrupted\n')
            sys.exit(130)
        sys.exit(code or 0)

    return wrapper
