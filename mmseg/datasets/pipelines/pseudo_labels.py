"""Reading the labels that a network has given to an image."""
from __future__ import annotations

from collections.abc import Sequence

from mmseg.utils import DataError

from ..builder import PIPELINES
from ..pseudo_labels import FIELD, PROGRAM
from .loading import read_label


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
