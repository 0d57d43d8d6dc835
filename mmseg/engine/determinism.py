from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mmseg.utils import UserError

REFUSED = ' does not have a deterministic implementation'


@contextlib.contextmanager
def determinism_guard() -> Iterator[None]:
    """Inside the block, an operation that cannot give the same bits each time becomes a UserError; torch
    refuses it after ``set_random_seed(…, deterministic=True)``."""
    try:
        yield
    except RuntimeError as error:
        operation, refused, _ = str(error).partition(REFUSED)
        if not refused:
            raise
        raise UserError(f'--deterministic: {operation} cannot give the same bits each time on this device: '
                        'leave --deterministic out, or choose other parts of network and losses') from None
