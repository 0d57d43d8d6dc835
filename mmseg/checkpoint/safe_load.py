"""Reading pickled checkpoints as data: nothing in them is ever executed."""
from __future__ import annotations

import pickle
import re
import struct
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mmseg.utils.errors import UserError

_multiarray = (getattr(np, '_core', None) or np.core).multiarray


def _under_name(function: Callable, module: str) -> Callable:
    """``function`` as a pickle names it that another version of its library wrote."""

    def alias(*args: Any) -> Any:
        return function(*args)

    alias.__module__, alias.__name__, alias.__qualname__ = module, function.__name__, function.__name__
    return alias


# numpy's scalars and arrays stand in the meta data of public checkpoints. numpy 2 moved the functions that
# make them; both names are known, so that either's files can be read by either.
SAFE_TYPES = [
    np.ndarray, np.dtype, OrderedDict,
    *{type(np.dtype(code)) for code in np.typecodes['AllInteger'] + 'efd?US'},
    *(_under_name(function, f'{package}.multiarray') for package in ('numpy.core', 'numpy._core')
      for function in (_multiarray.scalar, _multiarray._reconstruct))]


def read_pickled(path: str, map_location: str = 'cpu', mmap: bool = False) -> Any:
    """What ``torch.save`` wrote to ``path``, of tensors, numpy values and Python's plain types.

    Args:
        mmap: leave the tensors' values in the file until they are used (not for the oldest format).

    Raises:
        UserError: the file holds anything else (says how to convert it), is cut off, or is no checkpoint.
    """
    try:
        with torch.serialization.safe_globals(SAFE_TYPES), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # on pickles of other programs, which are refused anyway
            return torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise UserError(_refusal(path, str(error))) from error
    except (RuntimeError, EOFError, ValueError, OSError, LookupError, TypeError, struct.error) as error:
        reason = str(error).splitlines()[0].split('. ')[0] if str(error) else type(error).__name__
        raise UserError(f"checkpoint '{path}' is damaged or incomplete ({reason}): "
                        'copy or download it again') from error


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
