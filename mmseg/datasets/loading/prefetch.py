"""Batches that are on the device before their step begins."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from .loader import unwrap_batch


def on_device_ahead(batches: Iterable, device: torch.device) -> Iterator[Any]:
    """The batches of a loader, on a GPU as ``unwrap_batch`` moves them there: the next one is copied, on a
    stream of its own, while the step before it computes. Elsewhere as they are.

    Args:
        batches: in pinned memory, or the copies wait.
    """
    if device.type != 'cuda':
        yield from batches
        return
    stream, waiting = torch.cuda.Stream(device), None
    for batch in batches:
        with torch.cuda.stream(stream):
            moved = unwrap_batch(batch, device)
        if waiting is not None:
            yield _handed_over(waiting, stream, device)
        waiting = moved
    if waiting is not None:
        yield _handed_over(waiting, stream, device)


def _handed_over(batch: Any, stream: torch.cuda.Stream, device: torch.device) -> Any:
    """A batch that the step's stream may use, and whose memory is not given to another copy before that is
    done."""
    current = torch.cuda.current_stream(device)
    current.wait_stream(stream)
    for value in tree_leaves(batch):
        if isinstance(value, torch.Tensor):
            value.record_stream(current)
    return batch
