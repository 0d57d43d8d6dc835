"""Reading images and label maps from files."""
from __future__ import annotations

import os.path as osp

import cv2
import mmcv
import numpy as np

from mmseg.utils import UserError
from mmseg.utils.errors import BadFile
from mmseg.utils.label_files import class_ids
from mmseg.utils.reading import require_regular

from ..builder import PIPELINES
from ..loading.image_header import orientation, refuse_turned
from .decoding import decode_image


def count_values(label: np.ndarray) -> np.ndarray:
    """How many pixels hold each value: int64 (256,) for a uint8 map of any shape."""
    flat = np.ascontiguousarray(label).reshape(1, -1)
    if flat.size >= 1 << 24:  # OpenCV's float32 counts are exact below
        return np.bincount(flat[0], minlength=256)
    return cv2.calcHist([flat], [0], None, [256], [0, 256]).ravel().astype(np.int64)


def read_bytes(path: str, what: str, file_client: mmcv.FileClient | None = None) -> bytes:
    """The content of a file.

    Raises:
        BadFile: there is no such regular file, or it cannot be read.
    """
    client = file_client or mmcv.FileClient(backend='disk')
    try:
        if client.name == 'HardDiskBackend':
            require_regular(path, what)
        return client.get(path)
    except OSError as error:
        raise BadFile(f'cannot read the {what} {path}: {error.strerror or error}') from None


def read_label(path: str, backend: str = 'pillow',
               file_client: mmcv.FileClient | None = None) -> np.ndarray:
    """A label map as stored, uint8 (H W); pictures with a palette give their indices.

    Raises:
        UserError: missing or corrupt file, or one that does not give whole numbers of 0 ... 255 back as
            they were written; see :func:`mmseg.utils.label_files.class_ids`.
    """
    content = read_bytes(path, 'label', file_client)
    return class_ids(decode_image(content, path, 'unchanged', backend), content, path)


def rename_labels(label: np.ndarray, label_map: dict[int, int] | None, reduce_zero_label: bool) -> np.ndarray:
    """Replace label ids, all at once.

    Args:
        label: uint8 (H W).
        label_map: old → new id; a negative new id becomes 255 (ignored).
        reduce_zero_label: first 0 becomes 255 and every other id one less (255 stays).
    """
    if not label_map and not reduce_zero_label:
        return label
    table = np.arange(256)
    if reduce_zero_label:
        table = np.where((table == 0) | (table == 255), 255, table - 1)
    renamed = table.copy()
    for old, new in (label_map or {}).items():
        renamed[table == old] = new if new >= 0 else 255
    return renamed.astype(np.uint8)[label]


def check_label_values(label: np.ndarray, num_classes: int, ignore_index: int, path: str) -> None:
    """Refuse labels that are no class.

    Raises:
        UserError: names the value, the file and the number of classes.
    """
    strange = np.flatnonzero(count_values(label)[num_classes:]) + num_classes
    strange = strange[strange != ignore_index]
    if len(strange):
        raise UserError(f'label value {strange[0]} in {path} is outside the {num_classes} classes '
                        f'(0 ... {num_classes - 1}; ignored: {ignore_index}): name all classes in the '
                        'config, or convert the labels to their ids (tools/convert_datasets)')


@PIPELINES.register_module()
class LoadImageFromFile:
    """Reads ``img_info['filename']`` below ``img_prefix``.

    Sets img (H W 3, BGR uint8 or float32, 0 … 255), filename, ori_filename, img_shape, ori_shape,
    pad_shape, scale_factor (1.0) and img_norm_cfg (identity); and turned, the EXIF orientation, where
    that is not 1.

    Args:
        to_float32: convert to float32.
        color_type: 'color', 'grayscale' or 'unchanged'.
        file_client_args: mmcv's file client, e.g. ``dict(backend='disk')``.
        imdecode_backend: 'cv2', 'pillow', 'turbojpeg' or 'tifffile'.

    Raises (when called):
        UserError: missing or corrupt file.
    """

    deterministic = True

    def __init__(self, to_float32: bool = False, color_type: str = 'color',
                 file_client_args: dict | None = None, imdecode_backend: str = 'cv2'):
        self.to_float32, self.color_type = to_float32, color_type
        self.file_client_args = file_client_args or {'backend': 'disk'}
        self.imdecode_backend = imdecode_backend

    @property
    def turns(self) -> bool:
        """Whether pictures are turned as their EXIF data say."""
        return self.color_type in ('color', 'grayscale') and self.imdecode_backend in ('cv2', 'pillow')

    def __call__(self, results: dict) -> dict:
        name = results['img_info']['filename']
        path = osp.join(results['img_prefix'], name) if results.get('img_prefix') else name
        content = read_bytes(path, 'image', mmcv.FileClient(**self.file_client_args))
        img = decode_image(content, path, self.color_type, self.imdecode_backend)
        turned = orientation(content) if self.turns else 1
        if turned != 1:
            results['turned'] = turned
        if self.to_float32:
            img = img.astype(np.float32)
        channels = 1 if img.ndim < 3 else img.shape[2]
        results.update(
            filename=path, ori_filename=name, img=img, img_shape=img.shape, ori_shape=img.shape,
            pad_shape=img.shape, scale_factor=1.0,
            img_norm_cfg=dict(mean=np.zeros(channels, np.float32), std=np.ones(channels, np.float32),
                              to_rgb=False))
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(to_float32={self.to_float32}, '
                f"color_type='{self.color_type}', imdecode_backend='{self.imdecode_backend}')")


@PIPELINES.register_module()
class LoadAnnotations:
    """Reads ``ann_info['seg_map']`` below ``seg_prefix`` into gt_semantic_seg, uint8 (H W).

    ``results['resize_label']`` gives a label of another size that of the image (nearest).
    ``results['label_map']`` renames ids; where ``num_classes`` and ``ignore_index`` are given,
    values outside the classes are refused here, on the host, where the file is still known.

    Args:
        reduce_zero_label: 0 becomes 255 (ignored) and every other id one less.
        file_client_args: mmcv's file client.
        imdecode_backend: 'pillow' keeps the indices of pictures with a palette.

    Raises (when called):
        UserError: missing or corrupt file, size other than the image's, a value outside the
            classes, a photo that its EXIF data turn.
    """

    deterministic = True

    def __init__(self, reduce_zero_label: bool = False, file_client_args: dict | None = None,
                 imdecode_backend: str = 'pillow'):
        self.reduce_zero_label = reduce_zero_label
        self.file_client_args = file_client_args or {'backend': 'disk'}
        self.imdecode_backend = imdecode_backend

    def __call__(self, results: dict) -> dict:
        name = results['ann_info']['seg_map']
        path = osp.join(results['seg_prefix'], name) if results.get('seg_prefix') else name
        label = read_label(path, self.imdecode_backend, mmcv.FileClient(**self.file_client_args))
        if 'turned' in results:
            refuse_turned(results['filename'], results['turned'], results['ori_shape'][:2], path, label.shape)
        if 'ori_shape' in results and label.shape != tuple(results['ori_shape'][:2]):
            (h, w), (label_h, label_w) = results['ori_shape'][:2], label.shape
            if results.get('resize_label'):
                label = mmcv.imresize(label, (w, h), interpolation='nearest')
            else:
                raise UserError(f"the image {results['filename']} is {w}x{h} but its label {path} is "
                                f'{label_w}x{label_h}: they must have the same size')
        label = rename_labels(label, results.get('label_map'), self.reduce_zero_label)
        if results.get('num_classes') is not None:
            check_label_values(label, results['num_classes'], results['ignore_index'], path)
        results['gt_semantic_seg'] = label
        results.setdefault('seg_fields', []).append('gt_semantic_seg')
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(reduce_zero_label={self.reduce_zero_label}, '
                f"imdecode_backend='{self.imdecode_backend}')")
