"""Colours that people with any kind of colour-blindness can tell apart."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmseg.utils import UserError

# Chosen from a grid of 6 x 6 x 6 colours, each as far as can be from those before it, in CIELAB, in normal
# sight and in three kinds of colour-blindness (Machado et al., TVCG 2009). The nearest two are 18 apart in
# every sight; of Cityscapes' own colours 3 for people who do not see red.
COLOURS = ((153, 255, 102), (255, 0, 255), (51, 51, 0), (255, 204, 204), (0, 102, 102), (153, 102, 0),
           (0, 0, 255), (153, 153, 102), (102, 0, 153), (204, 204, 255), (255, 0, 153), (255, 153, 0),
           (51, 0, 51), (255, 255, 51), (0, 255, 153), (102, 102, 51), (102, 0, 204), (102, 153, 204),
           (0, 51, 102))


def accessible_palette(palette: Sequence[Sequence[int]]) -> list[list[int]]:
    """One of COLOURS for each class, as near to its own colour as there is one left.

    Args:
        palette: RGB colours (0–255) of the classes.

    Raises:
        UserError: more classes than there are colours.
    """
    if len(palette) > len(COLOURS):
        raise UserError(f'the colour-blind palette has {len(COLOURS)} colours, the data set {len(palette)} '
                        'classes')
    own, others = (np.asarray(colours, float) for colours in (palette, COLOURS))
    distance = np.linalg.norm(own[:, None] - others[None], axis=-1)
    chosen: list[list[int]] = [[] for _ in palette]
    for _ in palette:
        index, colour = np.unravel_index(distance.argmin(), distance.shape)
        chosen[index] = list(COLOURS[colour])
        distance[index], distance[:, colour] = np.inf, np.inf
    return chosen
