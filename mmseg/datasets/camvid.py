"""CamVid, the Cambridge-driving labelled video database (Brostow et al. 2009): 11 classes."""
from __future__ import annotations

import os.path as osp

from mmseg.core.evaluation import get_classes, get_palette
from mmseg.utils.reading import is_folder

from .builder import DATASETS
from .custom import CustomDataset
from .files import join_root, names_in

IMAGE_SUFFIXES = ('.jpg', '.png')


@DATASETS.register_module()
class CamVidDataset(CustomDataset):
    """CamVid with its native 11 classes; the label id 11 (unlabelled) is ignored.

    Two layouts: a folder with images/NAME.jpg and labels/NAME.png (``img_dir='day'``, or
    ``img_dir='day/images'`` and ``ann_dir='day/labels'``), and the SegNet tutorial's folders of PNG
    images train, val, test beside trainannot, valannot, testannot (``img_dir='train'``).

    Args:
        img_dir: see above.
        ann_dir: None finds the labels that belong to ``img_dir``.
        img_suffix: None takes '.jpg' or '.png', whichever is in the folder.
        data_root: where relative folders start.
        **kwargs: as for :class:`CustomDataset`.
    """

    CLASSES = tuple(get_classes('camvid'))
    PALETTE = get_palette('camvid')
    IGNORED_IDS = (11,)
    CONVERTER = 'tools/convert_datasets/camvid.py'

    def __init__(self, img_dir: str, ann_dir: str | None = None, img_suffix: str | None = None,
                 data_root: str | None = None, **kwargs):
        img_dir, found = _folders(data_root, img_dir)
        super().__init__(img_dir=img_dir, ann_dir=ann_dir or found, data_root=data_root,
                         img_suffix=img_suffix or _suffix(join_root(data_root, img_dir)), **kwargs)


def _folders(data_root: str | None, img_dir: str) -> tuple[str, str | None]:
    """(folder of the images, folder of the labels or None), relative as ``img_dir`` is."""
    img_dir = img_dir.rstrip('/')
    if is_folder(join_root(data_root, osp.join(img_dir, 'images'))):
        img_dir = osp.join(img_dir, 'images')
    parent, name = osp.split(img_dir)
    label_dir = osp.join(parent, 'labels') if name == 'images' else f'{img_dir}annot'
    return img_dir, label_dir if is_folder(join_root(data_root, label_dir)) else None


def _suffix(folder: str) -> str:
    names = names_in(folder) if is_folder(folder) else []
    return next((suffix for suffix in IMAGE_SUFFIXES
                 if any(name.endswith(suffix) for name in names)), IMAGE_SUFFIXES[0])
