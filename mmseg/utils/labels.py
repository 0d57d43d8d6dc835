from __future__ import annotations

import numpy as np


def present_classes(label: np.ndarray) -> tuple[int, ...]:
    """The ids in a label map (integers ≥ 0, any shape), ascending; those of ignored pixels are among them."""
    return tuple(np.flatnonzero(np.bincount(label.ravel())).tolist())
