"""Reading pickled checkpoints as data: nothing in them is ever executed."""
from __future__ import annotations

import os
import pickle
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mmseg.utils.errors import CheckpointError

# A file that grows by more than this factor when it is read, beyond a small one, is refused.
MOST_INFLATED, INFLATED_AT_LEAST = 20, 2 ** 24

_multiarray = (getattr(np, '_core', None) or np.core).multiarray


def _under_name(function: Callable, module: str) -> Callable:
    """``function`` as a pickle names it that another version of its library wrote."""

    def alias(*args: Any) -> Any:
        return function(*args)

    alias.__module__, alias.__name__, alias.__qualname__ = module, function.__name__, function.__name__
    return alias


# numpy's scalars and arrays stand in the meta data of public checkpoints. numpy 2 moved the functions that
# make them; both names are known, so that either's files can be read by either.
SAFE_TYPES: list[Any] = [
    np.ndarray, np.dtype, OrderedDict,
    *{type(np.dtype(code)) for code in np.typecodes['AllInteger'] + 'efd?US'},
    *(_under_name(function, f'{package}.multiarray') for package in ('numpy.core', 'numpy._core')
      for function in (_multiarray.scalar, _multiarray._reconstruct))]


def read_pickled(path: str, map_location: str = 'cpu', mmap: bool = False) -> Any:
    """What ``torch.save`` wrote to ``path``, of tensors, numpy values and Python's plain types.

    Args:
        mmap: leave the tensors' values in the file until they are used (not for the oldest format).

    Raises:
        CheckpointError: the file holds anything else (says how to convert it), is cut off, or is no
        checkpoint.
    """
    refuse_inflated(path)
    try:
        with torch.serialization.safe_globals(SAFE_TYPES), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # on pickles of other programs, which are refused anyway
            return torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(path, str(error))) from error
    except MemoryError as error:
        raise CheckpointError(f"checkpoint '{path}' does not fit into the memory") from error
    # the readers were not written for damaged files: whatever else they raise is about the file
    except Exception as error:
        raise damaged(path, error) from error


def refuse_inflated(path: str) -> None:
    """torch writes its archives without compression; one that would grow beyond measure is an attack.

    Raises:
        CheckpointError: the file says that it is far larger than it is.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except Exception as error:  # the reader was not written for damaged files
        raise damaged(path, error) from error
    if size > MOST_INFLATED * os.path.getsize(path) + INFLATED_AT_LEAST:
        raise CheckpointError(f"checkpoint '{path}' was refused: its {os.path.getsize(path)} bytes would "
                              f"become "
                              f'{size} when read')


def damaged(path: str, error: Exception) -> CheckpointError:
    """The one line for a file that its reader cannot make sense of."""
    reason = str(error).splitlines()[0].split('. ')[0] if str(error).strip() else type(error).__name__
    return CheckpointError(f"checkpoint '{path}' is damaged or incomplete ({reason}): copy or download it "
                           f"again")


def _refusal(path: str, reason: str) -> str:
    code = re.search(r'GLOBAL (\S+)', reason)
    if code is None:
        return (f"checkpoint '{path}' is damaged, or no file of PyTorch's (it begins with "
                f'{_beginning(path)!r}): copy or download it again')
    return (f"checkpoint '{path}' was refused: beside data it holds '{code[1]}', which would be executed. "
            'Only if you trust its origin, convert it once: python -c "import torch; '
            f"torch.save({{'state_dict': torch.load('{path}', weights_only=False)['state_dict']}}, "
            "'converted.pth')\"")


def _beginning(path: str) -> bytes:
    with open(path, 'rb') as file:
        return file.read(16)
