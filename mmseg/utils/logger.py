from __future__ import annotations

import logging
import sys

from mmcv.utils import get_logger

from .errors import FULL_DISK


def get_root_logger(log_file: str | None = None, log_level: int = logging.INFO) -> logging.Logger:
    """The logger ``mmseg``; with ``log_file`` it also writes there (rank 0 only). A disk that is full ends
    the program with the OSError; Python's handlers would print a traceback for each line and go on."""
    logger = get_logger(name='mmseg', log_file=log_file, log_level=log_level)
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            setattr(handler, 'handleError', _raise_if_disk_is_full)  # noqa: B010  (mypy: a method)
    return logger


def _raise_if_disk_is_full(record: logging.LogRecord) -> None:
    error = sys.exc_info()[1]
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        raise error
    logging.Handler().handleError(record)
