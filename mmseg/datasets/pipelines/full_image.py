"""The whole image beside its training crop, and how the crop was made from it (ProDA)."""
from __future__ import annotations

from collections.abc import Sequence

from mmseg.utils import ConfigError

from ..builder import PIPELINES
from .formatting import FULL, META_KEYS

CROP_KEYS = ('crop_from', 'crop_bbox')  # meta data: what RandomCrop notes
READING = ('LoadImageFromFile', 'LoadAnnotations', 'LoadPseudoLabels')
# what may change an image between the whole and the crop, so that maps of the one can be cut like the other
FOLLOWED = ('Resize', 'RandomCrop', 'RandomFlip', 'Normalize', 'Pad', 'DefaultFormatBundle', 'Collect')


@PIPELINES.register_module()
class KeepFullImage:
    """Keeps the image as it is now as full_img, which is normalised and formatted as img is."""

    deterministic = keeps_labels = True

    def __call__(self, results: dict) -> dict:
        results[FULL] = results['img'].copy()
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def with_full_images(pipeline: Sequence[dict]) -> list[dict]:
    """A config's pipeline that keeps the image before the first step that draws, and collects it.

    Raises:
        ConfigError: no crop, several ones, or a step whose effect on maps of the image is not known.
    """
    first = next((k for k, t in enumerate(pipeline) if not _same_for_all(t)), len(pipeline))
    kinds = [t.get('type') for t in pipeline[first:]]
    strange = [kind for kind in kinds if kind not in FOLLOWED]
    resizes, crops = kinds.count('Resize'), kinds.count('RandomCrop')
    if strange or crops != 1 or resizes > 1:
        what = strange[0] if strange else f'{resizes} Resize that draw and {crops} RandomCrop'
        raise ConfigError('full_images: a crop can be followed through one Resize that draws, one RandomCrop '
                          f'and RandomFlip, and the pipeline has {what}')
    adapted = []
    for transform in pipeline[first:]:
        if transform['type'] == 'Collect':
            transform = {**transform, 'keys': [*transform['keys'], FULL],
                         'meta_keys': [*transform.get('meta_keys', META_KEYS), *CROP_KEYS]}
        adapted.append(transform)
    return [*pipeline[:first], {'type': 'KeepFullImage'}, *adapted]


def _same_for_all(transform: dict) -> bool:
    if transform.get('type') == 'Resize':
        scale = transform.get('img_scale')
        several = bool(scale) and isinstance(scale[0], list | tuple) and len(scale) > 1
        return transform.get('ratio_range') is None and not several
    return transform.get('type') in READING
