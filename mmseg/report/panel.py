"""What a panel of the page is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Panel:
    """One section of the page.

    Args:
        id: of the section and of the script that draws it.
        title: heading.
        about: what one sees, a sentence or two.
        content: what the script draws, for json; empty if no run has anything for it.
        missing: what runs lack, a line each.
    """

    id: str
    title: str
    about: str
    content: dict[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def plain(value: Any) -> Any:
    """``value`` for json: numbers of five digits, None for what is none, e.g. NaN."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f'{value:.5g}') if math.isfinite(value) else None
    return value
