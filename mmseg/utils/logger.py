from __future__ import annotations

import logging

from mmcv.utils import get_logger


def get_root_logger(log_file: str | None = None, log_level: int = logging.INFO) -> logging.Logger:
    """The logger ``mmseg``; with ``log_file`` it also writes there (rank 0 only)."""
    return get_logger(name='mmseg', log_file=log_file, log_level=log_level)
