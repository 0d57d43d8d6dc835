"""Where the configs and the programs are: in the checkout, or in the installed package ebda."""
from __future__ import annotations

import os
from pathlib import Path

_ABOVE = Path(__file__).resolve().parents[2]
IN_CHECKOUT = (_ABOVE / 'run_experiments.py').is_file()
PROJECT = _ABOVE if IN_CHECKOUT else _ABOVE / 'ebda'
"""The folder that holds ``configs/``, ``tools/``, ``demo/`` and ``run_experiments.py``."""


def shipped(path: str | os.PathLike) -> str:
    """``path``, or the project's file of that name where the current folder has none: a command runs
    ``configs/…`` and starts from ``demo/….pth`` wherever it is called."""
    own = PROJECT / str(path)
    return str(own) if not os.path.exists(path) and own.is_file() else str(path)
