"""A folder of images and a folder of label maps."""
from __future__ import annotations

import copy
import os.path as osp
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from mmseg.core.evaluation import generated_palette
from mmseg.utils import UserError, did_you_mean
from mmseg.utils.files import output_names
from mmseg.utils.reading import read_lines, without_repeats

from .builder import DATASETS
from .files import find_files, join_root, require_dir, require_inside, write_label_picture
from .loading.image_cache import CachedImages, StaleCache, cached_length, folder_of
from .loading.image_header import refuse_turned, turned_file
from .pipelines import Compose
from .pipelines.full_image import with_full_images
from .pipelines.loading import read_label, rename_labels
from .pipelines.pseudo_labels import with_margins, with_pseudo_labels
from .preparation.class_stats import FALLBACK, ClassIds
from .pseudo_labels import LABELS, picture_name, require_pseudo_labels
from .seg_evaluator import SegEvaluator
from .translated import SUFFIX, require_translated, translated_name


@DATASETS.register_module()
class CustomDataset(SegEvaluator, Dataset):
    """Images below ``img_dir`` and, with the same relative names but another suffix, labels below
    ``ann_dir``.

    Args:
        pipeline: transforms; for training they end in Collect(keys=['img', 'gt_semantic_seg']).
        img_dir: folder of the images, searched recursively.
        img_suffix: what image names end with.
        ann_dir: folder of the label maps (uint8, 0 … C−1 and ``ignore_index``).
        seg_map_suffix: what label names end with.
        split: text file with one image name without suffix per line; None takes every image.
        data_root: where relative ``img_dir``, ``ann_dir`` and ``split`` start.
        test_mode: items hold no label.
        ignore_index: label of pixels that do not count.
        reduce_zero_label: 0 becomes 255 and every other label one less.
        classes: names of the classes used, a subset of CLASSES in any order, or a text file with
            one per line; labels are renumbered accordingly and other classes ignored.
        palette: RGB colours of the classes; None makes some where the data set has none.
        use_labels: False leaves the labels unopened in training too (an adaptation target).
        cache: folder that tools/cache_dataset.py filled; images and labels come from there, decoded and
            resized. Or dict(dir=..., missing='decode'): read the source files where the cache has
            nothing for them, or something older. None for no cache.
        pseudo_labels: folder that tools/make_pseudo_labels.py filled; training samples then hold its labels
            as ``pseudo_semantic_seg``, resized, cropped and mirrored as the image is. None for none.
        translated: folder of translated images, of tools/translate.py or of others, which training reads in
            the place of those in ``img_dir``; labels take the size of their translations. None for none.
        crop_pseudo_margins: pixels of an image at its top, bottom, left and right where pseudo-labels do not
            count; training samples then hold ``valid_pseudo_mask``. None for none.
        full_images: training samples also hold ``full_img``, the image before what the pipeline draws, and in
            their meta data how the crop was made from it (ProDA).

    Raises:
        UserError: missing folder, no image, an image without label, pseudo-label or translation (in
            training), unknown class, a cache that is missing or stale.
    """

    CLASSES: Sequence[str] | None = None
    PALETTE: Sequence[Sequence[int]] | None = None
    # ids of label files that stand for "ignore"
    IGNORED_IDS: tuple[int, ...] = ()
    CONVERTER: str | None = None    # the program that makes its labels and class statistics
    DOWNLOAD: str | None = None     # the archives that the files come from, for errors
    # name → class ids of further mean IoUs, for a source that lacks some of the classes
    CLASS_SUBSETS: Mapping[str, Sequence[int]] = MappingProxyType({})

    def __init__(self, pipeline: Sequence[dict], img_dir: str, img_suffix: str = '.jpg',
                 ann_dir: str | None = None, seg_map_suffix: str = '.png', split: str | None = None,
                 data_root: str | None = None, test_mode: bool = False, ignore_index: int = 255,
                 reduce_zero_label: bool = False, classes: Sequence[str] | str | None = None,
                 palette: Sequence | None = None, use_labels: bool = True,
                 cache: str | dict | None = None, pseudo_labels: str | None = None,
                 translated: str | None = None, crop_pseudo_margins: Sequence[int] | None = None,
                 full_images: bool = False):
        if data_root is not None:
            require_dir(data_root, 'data root', self.DOWNLOAD)
        self.data_root = data_root
        self.img_dir, self.ann_dir = join_root(data_root, img_dir), join_root(data_root, ann_dir)
        self.split = join_root(data_root, split)
        self.img_suffix, self.seg_map_suffix = img_suffix, seg_map_suffix
        self.test_mode, self.use_labels = test_mode, use_labels
        self.ignore_index, self.reduce_zero_label = ignore_index, reduce_zero_label
        self.pseudo_labels, self.translated, self.crop_pseudo_margins = (
            None if test_mode else x for x in (pseudo_labels, translated, crop_pseudo_margins))
        self.full_images = full_images and not test_mode
        self._choose_classes(classes, palette)
        self.pipeline = Compose(self._adapt(pipeline))
        self._turns = any(getattr(transform, 'turns', False) for transform in self.pipeline.transforms)
        self.img_infos = self.load_annotations()
        if not test_mode and use_labels and self._opens_labels(pipeline):
            self._require_labels()
        if self.pseudo_labels is not None:
            require_pseudo_labels(self.pseudo_labels, map(self._pseudo_label, self.img_infos), self.CLASSES)
        if self.translated is not None:
            self._use_translated(self.translated)
        if cache:
            self._use_cache(**({'dir': cache} if isinstance(cache, str) else cache))

    # ---- what there is ----

    def load_annotations(self) -> list[dict]:
        """One dict per image, sorted: ``filename`` relative to img_dir and, with an ann_dir,
        ``ann=dict(seg_map=...)`` relative to ann_dir."""
        require_dir(self.img_dir, 'image folder', self.DOWNLOAD)
        return [self._info(name) for name in self._image_names()]

    def _image_names(self) -> list[str]:
        if self.split is None:
            return find_files(self.img_dir, self.img_suffix, 'image')
        lines = without_repeats(read_lines(self.split, 'split file'), f'the split file {self.split}')
        if not lines:
            raise UserError(f'the split file {self.split} names no image')
        names = [line + self.img_suffix for line in lines]
        for folder in filter(None, (self.img_dir, self.ann_dir)):
            for name in names:
                require_inside(osp.join(folder, name), (folder, self.data_root or folder), self.split)
        return sorted(names)

    def _info(self, name: str) -> dict:
        info: dict[str, Any] = {'filename': name}
        if self.ann_dir is not None:
            info['ann'] = {'seg_map': name.removesuffix(self.img_suffix) + self.seg_map_suffix}
        return info

    def _require_labels(self) -> None:
        if self.ann_dir is None:
            raise UserError(f'ann_dir is missing for the training images {self.img_dir}')
        require_dir(self.ann_dir, 'label folder', self.DOWNLOAD)
        known = {osp.normpath(name) for name in find_files(self.ann_dir, self.seg_map_suffix, None)}
        for info in self.img_infos:
            if osp.normpath(info['ann']['seg_map']) not in known:
                convert = (f'; if the data set has not been converted yet, run python {self.CONVERTER} '
                           f'{self.data_root or "DATA_ROOT"}') if self.CONVERTER else ''
                raise UserError(
                    f"the training image {osp.join(self.img_dir, info['filename'])} has no label: "
                    f"{osp.join(self.ann_dir, info['ann']['seg_map'])} does not exist{convert}")

    def _use_translated(self, folder: str) -> None:
        """Read the images of ``folder``; labels and pseudo-labels keep their names."""
        names = [translated_name(info['filename']) for info in self.img_infos]
        require_translated(folder, names)
        self.img_infos = [{**info, 'filename': name} for info, name in zip(self.img_infos, names)]
        self.img_dir, self.img_suffix = folder, self.img_suffix.rpartition('.')[0] + SUFFIX

    @property
    def statistics_command(self) -> str:
        """What writes the class statistics of this data set, for errors: its converter, if it has one and the
        config keeps its ids."""
        if self.CONVERTER and ClassIds.of(self).are_of_the_files:
            return f'{self.CONVERTER} {self.data_root or "DATA_ROOT"}'
        return FALLBACK

    @staticmethod
    def _opens_labels(pipeline: Sequence[dict]) -> bool:
        return any(isinstance(t, dict) and t.get('type') == 'LoadAnnotations' for t in pipeline)

    def _adapt(self, pipeline: Sequence[dict]) -> list:
        """The pipeline without the steps on labels where labels are not used; where they are, they
        are read as :meth:`get_gt_seg_map` does. With steps for pseudo-labels and margins, if any."""
        if self.full_images:
            pipeline = with_full_images(pipeline)
        if self.pseudo_labels is not None:
            pipeline = with_pseudo_labels(pipeline)
        if self.crop_pseudo_margins is not None:
            pipeline = with_margins(pipeline, self.crop_pseudo_margins)
        if self.use_labels or self.test_mode:
            return [{**transform, 'reduce_zero_label': True} if self.reduce_zero_label
                    and isinstance(transform, dict) and transform.get('type') == 'LoadAnnotations'
                    else transform for transform in pipeline]
        kept = []
        for transform in pipeline:
            if isinstance(transform, dict) and transform.get('type') == 'LoadAnnotations':
                continue
            if isinstance(transform, dict) and transform.get('type') == 'Collect':
                keys = [key for key in transform['keys'] if key != 'gt_semantic_seg']
                transform = {**transform, 'keys': keys}
            kept.append(transform)
        return kept

    def _choose_classes(self, classes: Sequence[str] | str | None, palette: Sequence | None) -> None:
        self.label_map: dict[int, int] = dict.fromkeys(self.IGNORED_IDS, 255)
        known, colours = type(self).CLASSES, palette or type(self).PALETTE
        if classes is None:
            self.CLASSES, self.PALETTE = known, colours or (generated_palette(len(known)) if known else None)
            return
        if isinstance(classes, str):
            classes = read_lines(classes, 'file of class names')
        twice = [name for name, count in Counter(classes).items() if count > 1]
        if twice:
            raise UserError(f"the class '{twice[0]}' is named twice: each class has one number")
        if palette is not None and len(palette) < len(classes):
            raise UserError(f'palette has {len(palette)} colours for {len(classes)} classes')
        if known:
            for name in classes:
                if name not in known:
                    raise UserError(f"unknown class '{name}': {did_you_mean(name, known)}")
            self.label_map.update({old: classes.index(name) if name in classes else -1
                                   for old, name in enumerate(known)})
            if palette is None and colours:
                colours = [colours[known.index(name)] for name in classes]
        self.CLASSES, self.PALETTE = tuple(classes), colours or generated_palette(len(classes))

    # ---- items ----

    def __len__(self) -> int:
        return len(self.img_infos)

    def __getitem__(self, index: int) -> dict:
        """The pipeline's output for image ``index``."""
        return self.pipeline(self._raw(index))

    # Several crops of one image: complete(draw(prepare(i))) is the item i. prepare decodes and resizes,
    # once for all of them; a crop that is drawn and not wanted is never completed.

    def prepare(self, index: int) -> dict:
        """The result of the leading transforms that draw nothing (decoding, fixed resizing)."""
        return self.pipeline.split_deterministic()[0](self._raw(index))

    def draw(self, prepared: dict) -> dict:
        """The transforms after :meth:`prepare` up to the last one that draws (cropping, mirroring);
        ``prepared`` is left as it is. The label map has the pixels of each class that the complete
        sample's has."""
        arrays = [value for value in prepared.values() if isinstance(value, np.ndarray)]
        drawing = self._rest()[0]
        shared = {id(array): array for array in arrays} if drawing.copies_input else {}
        return drawing(copy.deepcopy(prepared, shared))

    def complete(self, drawn: dict) -> dict:
        """The transforms after :meth:`draw` (normalising, padding, formatting)."""
        return self._rest()[1](drawn)

    def _rest(self) -> tuple[Compose, Compose]:
        return self.pipeline.split_deterministic()[1].split_drawing()

    def cached_start(self, dir: str, missing: str = 'error') -> CachedImages:
        """What a cache below ``dir`` puts in the place of the first transforms."""
        count = cached_length(self.pipeline)
        start, rest = (Compose(part) for part in (self.pipeline.transforms[:count],
                                                  self.pipeline.transforms[count:]))
        img_dir = self.img_dir if self.data_root is None else osp.relpath(self.img_dir, self.data_root)
        given = self._raw(0)
        folder = folder_of(dir, type(self).__name__, img_dir, start, 'ann_info' in given)
        return CachedImages(folder, start, given, missing, lend=rest.copies_input)

    def _use_cache(self, dir: str, missing: str = 'error') -> None:
        start = self.cached_start(dir, missing)
        try:
            start.check(info['filename'] for info in self.img_infos)
        except StaleCache as reason:
            start.give_up(reason)
        else:
            self.pipeline.transforms[:len(start.transforms.transforms)] = [start]

    def _raw(self, index: int) -> dict:
        info = self.img_infos[index]
        results = {'img_info': info, 'seg_fields': [], 'img_prefix': self.img_dir}
        if not self.test_mode and self.use_labels:
            results.update(ann_info=info.get('ann'), seg_prefix=self.ann_dir,
                           label_map=self.label_map or None,
                           num_classes=len(self.CLASSES) if self.CLASSES else None,
                           ignore_index=self.ignore_index, resize_label=self.translated is not None)
        if self.pseudo_labels is not None:
            results['pseudo_label'] = osp.join(self.pseudo_labels, LABELS, self._pseudo_label(info))
        return results

    def _pseudo_label(self, info: dict) -> str:
        return picture_name(info['filename'], self.img_suffix)

    def with_images(self, img_infos: Sequence[dict]) -> CustomDataset:
        """This data set with these of its ``img_infos`` alone, as one of its own; this one stays as it is."""
        part = copy.copy(self)
        part.__dict__.pop('prediction_names', None)  # which are kept for all images
        part.img_infos = list(img_infos)
        return part

    def get_ann_info(self, index: int) -> dict:
        return self.img_infos[index]['ann']

    # ---- evaluation ----

    def get_gt_seg_map(self, index: int) -> np.ndarray:
        """The label map of image ``index`` in train ids, uint8 (H W), read now.

        Raises:
            UserError: the data set has no labels, the file is missing or corrupt, or its photo is one that
                EXIF data turn.
        """
        if self.ann_dir is None:
            raise UserError(f'the images in {self.img_dir} have no labels (ann_dir is not set): they can '
                            'be predicted (--format-only) but not evaluated')
        path = osp.join(self.ann_dir, self.img_infos[index]['ann']['seg_map'])
        label = read_label(path)
        image = osp.join(self.img_dir, self.img_infos[index]['filename'])
        turned = turned_file(image) if self._turns else None
        if turned:
            refuse_turned(image, *turned, path, label.shape)
        return rename_labels(label, self.label_map, self.reduce_zero_label)

    @property
    def has_labels(self) -> bool:
        return self.ann_dir is not None

    def group_of(self, index: int) -> str | None:
        """The name of the group (a weather condition, …) that image ``index`` also counts for."""
        return self.img_infos[index].get('condition')

    # ---- submission ----

    @cached_property
    def prediction_names(self) -> list[str]:
        """The file of each image's prediction; no two images have the same."""
        return output_names([info['filename'] for info in self.img_infos], '.png', flat=True)

    def format_results(self, results: Iterable[np.ndarray], imgfile_prefix: str, to_label_id: bool = True,
                       indices: Iterable[int] | None = None) -> list[str]:
        """Write predictions as PNG files named like their images: in one folder, as benchmark servers want
        them, or in sub-folders where two images have the same name.

        Args:
            results: predicted label maps (H W), train ids.
            imgfile_prefix: the folder; made if missing.
            to_label_id: translate train ids with :meth:`to_label_ids`.
            indices: the images that the results belong to; None is all, in order.

        Returns:
            The paths written.
        """
        paths = []
        for index, result in zip(range(len(self)) if indices is None else indices, results):
            paths.append(osp.join(imgfile_prefix, self.prediction_names[index]))
            self.write_result(np.asarray(result).astype(np.uint8), paths[-1], to_label_id)
        return paths

    def write_result(self, result: np.ndarray, path: str, to_label_id: bool) -> None:
        """Write one prediction, uint8 (H W), as a grey PNG."""
        write_label_picture(path, Image.fromarray(self.to_label_ids(result) if to_label_id else result))

    def to_label_ids(self, result: np.ndarray) -> np.ndarray:
        """Train ids → the ids of the benchmark's files; here they are the same."""
        return result
