"""Labels that a network has given to an image: reading them, and where they do not count."""
from __future__ import annotations

from collections.abc import Sequence

import mmcv
import numpy as np

from mmseg.utils import ConfigError, DataError

from ..builder import PIPELINES
from ..pseudo_labels import FIELD, PROGRAM, VALID
from .loading import read_label

STARTS = ('LoadImageFromFile', 'LoadAnnotations', 'LoadPseudoLabels', 'Resize')


@PIPELINES.register_module()
class LoadPseudoLabels:
    """Reads ``results['pseudo_label']`` into pseudo_semantic_seg, train ids, uint8 (H W).

    Data sets with ``pseudo_labels`` put it after the steps that read files.

    Raises (when called):
        DataError: missing or damaged file, or one of another size than the image.
    """

    deterministic = True

    def __call__(self, results: dict) -> dict:
        path = results['pseudo_label']
        label = read_label(path)
        if label.shape != tuple(results['ori_shape'][:2]):
            (h, w), (label_h, label_w) = results['ori_shape'][:2], label.shape
            raise DataError(f"the image {results['filename']} is {w}x{h} but its pseudo-label {path} is "
                            f'{label_w}x{label_h}: make the pseudo-labels again with {PROGRAM}')
        results[FIELD] = label
        results.setdefault('seg_fields', []).append(FIELD)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def with_pseudo_labels(pipeline: Sequence[dict]) -> list[dict]:
    """A config's pipeline with the reading of pseudo-labels after its own reading, and collecting them."""
    adapted: list[dict] = []
    loads = [k for k, t in enumerate(pipeline) if t.get('type') in ('LoadImageFromFile', 'LoadAnnotations')]
    for k, transform in enumerate(pipeline):
        if transform.get('type') == 'Collect':
            transform = {**transform, 'keys': [*transform['keys'], FIELD]}
        adapted.append(transform)
        if loads and k == loads[-1]:
            adapted.append({'type': 'LoadPseudoLabels'})
    return adapted


@PIPELINES.register_module()
class PseudoLabelMargins:
    """Sets valid_pseudo_mask, uint8 (H W): 0 where pseudo-labels of the image do not count, else 1. What
    moves label maps moves it too; where there is no image, it is 0.

    Data sets with ``crop_pseudo_margins`` put it after the steps that read and resize.

    Args:
        margins: top, bottom, left, right, in pixels of the image's file, whatever its size.

    Raises:
        ConfigError: no four numbers ≥ 0.
        DataError: (when called) nothing of the image remains.
    """

    deterministic = True

    def __init__(self, margins: Sequence[int]):
        if len(margins) != 4 or not all(isinstance(m, int) and m >= 0 for m in margins):
            raise ConfigError(f'crop_pseudo_margins is {margins!r}, expected four numbers of pixels from 0 '
                              'on: top, bottom, left, right')
        self.margins = tuple(margins)

    def __call__(self, results: dict) -> dict:
        height, width = results['ori_shape'][:2]
        top, bottom, left, right = self.margins
        if top + bottom >= height or left + right >= width:
            raise DataError(f"crop_pseudo_margins {self.margins} leave nothing of {results['filename']}, "
                            f'which is {width}x{height}')
        valid = np.zeros((height, width), np.uint8)
        valid[top:height - bottom, left:width - right] = 1
        size = results['img'].shape[1::-1]
        results[VALID] = mmcv.imresize(valid, size, interpolation='nearest')
        results.setdefault('seg_fields', []).append(VALID)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(margins={self.margins})'


def with_margins(pipeline: Sequence[dict], margins: Sequence[int]) -> list[dict]:
    """A config's pipeline with ``PseudoLabelMargins`` after its first steps, which read and resize (so that a
    cache of these stays one), and collecting its mask."""
    first = next((k for k, t in enumerate(pipeline) if t.get('type') not in STARTS), len(pipeline))
    adapted = [{**t, 'keys': [*t['keys'], VALID]} if t.get('type') == 'Collect' else t for t in pipeline]
    return [*adapted[:first], {'type': 'PseudoLabelMargins', 'margins': margins}, *adapted[first:]]
