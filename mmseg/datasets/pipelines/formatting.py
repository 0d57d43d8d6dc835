"""From numpy arrays to tensors and mmcv's DataContainers."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.parallel import DataContainer

from mmseg.utils import UserError

from ..builder import PIPELINES
from ..pseudo_labels import FIELD, VALID

META_KEYS = ('filename', 'ori_filename', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip',
             'flip_direction', 'img_norm_cfg')
FULL = 'full_img'  # the image that img is a crop of, see KeepFullImage
# What these are where no transform has set them.
META_DEFAULTS = {'flip': False, 'flip_direction': None}


def to_tensor(data: torch.Tensor | np.ndarray | Sequence | int | float) -> torch.Tensor:
    """A tensor of ``data``; arrays share their memory."""
    if isinstance(data, torch.Tensor):
        return data
    if isinstance(data, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(data))
    if isinstance(data, str) or not isinstance(data, Sequence | int | float):
        raise TypeError(f'{type(data).__name__} cannot become a tensor')
    return torch.tensor(data)


def image_to_tensor(img: np.ndarray) -> torch.Tensor:
    """(H W C) or (H W) → contiguous (C H W)."""
    return to_tensor(np.atleast_3d(img).transpose(2, 0, 1))


@PIPELINES.register_module()
class ToTensor:
    """Turns ``keys`` into tensors."""

    deterministic = True

    def __init__(self, keys: Sequence[str]):
        self.keys = keys

    def __call__(self, results: dict) -> dict:
        results.update({key: to_tensor(results[key]) for key in self.keys})
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(keys={self.keys})'


@PIPELINES.register_module()
class ImageToTensor:
    """Turns the images ``keys`` from (H W C) to tensors (C H W)."""

    deterministic = True

    def __init__(self, keys: Sequence[str]):
        self.keys = keys

    def __call__(self, results: dict) -> dict:
        results.update({key: image_to_tensor(results[key]) for key in self.keys})
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(keys={self.keys})'


@PIPELINES.register_module()
class Transpose:
    """Transposes ``keys`` to the axis order ``order``."""

    deterministic = True

    def __init__(self, keys: Sequence[str], order: Sequence[int]):
        self.keys, self.order = keys, tuple(order)

    def __call__(self, results: dict) -> dict:
        results.update({key: results[key].transpose(self.order) for key in self.keys})
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(keys={self.keys}, order={self.order})'


@PIPELINES.register_module()
class ToDataContainer:
    """Puts ``fields`` (dicts with ``key`` and arguments of DataContainer) into DataContainers."""

    deterministic = True

    def __init__(self, fields: Sequence[dict] = (dict(key='img', stack=True),
                                                 dict(key='gt_semantic_seg'))):
        self.fields = fields

    def __call__(self, results: dict) -> dict:
        for field in self.fields:
            options = {name: value for name, value in field.items() if name != 'key'}
            results[field['key']] = DataContainer(results[field['key']], **options)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(fields={self.fields})'


@PIPELINES.register_module()
class DefaultFormatBundle:
    """img, full_img → float or uint8 tensor (C H W), gt_semantic_seg and pseudo_semantic_seg → int64 (1 H W),
    valid_pseudo_mask → uint8 (1 H W), all to be stacked."""

    deterministic = keeps_labels = True

    def __call__(self, results: dict) -> dict:
        for key in [key for key in ('img', FULL) if key in results]:
            results[key] = DataContainer(image_to_tensor(results[key]), stack=True)
        for key, dtype in (('gt_semantic_seg', np.int64), (FIELD, np.int64), (VALID, np.uint8)):
            if key in results:
                label = to_tensor(results[key][None].astype(dtype))
                results[key] = DataContainer(label, stack=True)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@PIPELINES.register_module()
class Collect:
    """Keeps ``keys`` and puts ``meta_keys`` together as img_metas, which stays on the CPU.

    Raises (when called):
        UserError: a key that no transform before this one has set.
    """

    deterministic = keeps_labels = True

    def __init__(self, keys: Sequence[str], meta_keys: Sequence[str] = META_KEYS):
        self.keys, self.meta_keys = keys, meta_keys

    def __call__(self, results: dict) -> dict:
        known = {**META_DEFAULTS, **results}
        for key in (*self.keys, *self.meta_keys):
            if key not in known:
                raise UserError(f"Collect: '{key}' is missing; no transform of the pipeline sets "
                                "it")
        metas = {key: known[key] for key in self.meta_keys}
        return {'img_metas': DataContainer(metas, cpu_only=True),
                **{key: results[key] for key in self.keys}}

    def __repr__(self) -> str:
        return f'{type(self).__name__}(keys={self.keys}, meta_keys={self.meta_keys})'


@PIPELINES.register_module()
class WrapFieldsToLists:
    """Puts every field into a list of one, the shape that test-time augmentation gives."""

    deterministic = True

    def __call__(self, results: dict) -> dict:
        return {key: [value] for key, value in results.items()}

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
