"""Types of arguments that several programs take."""
from __future__ import annotations

import re

from .errors import UserError


def parse_size(text: str) -> tuple[int, int]:
    """'1024x512' → (1024, 512): width and height in pixels, in that order in every program.

    Raises:
        UserError: it is no size.
    """
    found = re.fullmatch(r'([1-9]\d*)x([1-9]\d*)', text)
    if not found:
        raise UserError(f"--size must be WIDTHxHEIGHT in pixels, such as 1024x512, got '{text}'")
    return int(found[1]), int(found[2])
