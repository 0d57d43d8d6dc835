from __future__ import annotations

import functools

from mmcv.utils import collect_env as environment_of_mmcv

from mmseg.version import __version__


@functools.cache
def collect_env() -> dict[str, str]:
    """Versions of Python, torch, CUDA, mmcv, … and of this package, by name."""
    return {**environment_of_mmcv(), 'mmseg': __version__}
