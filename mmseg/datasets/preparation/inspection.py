"""What a data set on disk holds, and whether training on it would fail."""
from __future__ import annotations

import hashlib
import os
import os.path as osp
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from mmcv import Config
from PIL import Image

from mmseg.utils import UserError

from ..builder import build_dataset, leaf_configs
from ..custom import CustomDataset
from ..loading.image_header import orientation, refuse_turned
from ..pipelines.loading import (
    LoadImageFromFile,
    check_label_values,
    count_values,
    decode_image,
    read_bytes,
    read_label,
    rename_labels,
)
from ..rare_class_sampling import get_rcs_class_probs
from .class_stats import STATS_FILE
from .labels import run_all

QUICK_SAMPLES = 2       # the quick check opens so many of the first and of the last files


@dataclass
class Findings:
    """Of one data set: what it holds, and what is wrong.

    Attributes:
        sizes: (width, height) → number of images.
        values: pixels of each label value as training sees it, int64 (256,).
        errors: faults on which training or testing would fail. warnings: others.
        contents: hash of an image's file → its path.
    """
    title: str
    images: int = 0
    labels: int = 0
    sizes: Counter = field(default_factory=Counter)
    values: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    contents: dict[bytes, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """One image with its label, and how the label's values are understood. With ``resize_label`` the two may
    differ in size."""
    image: str
    label: str | None
    label_map: dict[int, int]
    reduce_zero_label: bool
    num_classes: int
    ignore_index: int
    load: LoadImageFromFile
    resize_label: bool = False


@dataclass(frozen=True)
class Look:
    """What one item holds."""
    size: tuple[int, int] | None
    values: np.ndarray | None
    digest: bytes
    error: str | None


def look_at(item: Item) -> Look:
    """Decode an image and its label; a fault is told in the result, not raised."""
    size, values, digest = None, None, b''
    try:
        content = read_bytes(item.image, 'image')
        digest = hashlib.blake2b(content, digest_size=16).digest()
        image = decode_image(content, item.image, item.load.color_type, item.load.imdecode_backend)
        size = image.shape[1::-1]
        if item.label:
            label = rename_labels(read_label(item.label), item.label_map, item.reduce_zero_label)
            values = count_values(label)
            if item.load.turns:
                refuse_turned(item.image, orientation(content), size[::-1], item.label, label.shape)
            if label.shape[::-1] != tuple(size) and not item.resize_label:
                raise UserError(f'the image {item.image} is {size[0]}x{size[1]} but its label '
                                f'{item.label} is {label.shape[1]}x{label.shape[0]}')
            check_label_values(label, item.num_classes, item.ignore_index, item.label)
    except UserError as error:
        return Look(size, values, digest, str(error))
    return Look(size, values, digest, None)


def header_error(item: Item) -> str | None:
    """What the headers of an image and its label say against testing on them; the pixels are not read."""
    sizes = {}
    for path in filter(None, (item.image, item.label)):
        try:
            with Image.open(path) as file:
                sizes[path] = file.size
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            return f'cannot read the image {path}: {error}'
    if len(set(sizes.values())) > 1:
        (width, height), (other_width, other_height) = sizes.values()
        return (f'the image {item.image} is {width}x{height} but its label {item.label} is '
                f'{other_width}x{other_height}')
    return None


def inspect(cfg: dict, title: str, quick: bool, nproc: int = 1) -> Findings:
    """Look at the single data set of a config.

    Args:
        cfg: of one data set, see :func:`leaf_configs`.
        title: of the findings.
        quick: open only the first and the last files, look for the others in the file system.
        nproc: processes.
    """
    found = Findings(title)
    try:
        dataset = build_dataset(cfg)
    except UserError as error:
        found.errors.append(str(error))
        return found
    items = items_of(dataset)
    found.images, found.labels = len(items), sum(item.label is not None for item in items)
    # those of training were just found in the file system, where the data set looked for them
    missing = [path for item in items if not quick or dataset.test_mode or dataset.split
               for path in (item.image, item.label) if path and not osp.isfile(path)]
    found.errors += [f'{path} is missing' for path in missing]
    items = [item for item in items if not {item.image, item.label} & {*missing}]
    if quick and dataset.test_mode:  # a fault there would be met after thousands of steps
        found.warnings += filter(None, map(header_error, items))
    if quick:
        items = items if len(items) <= 2 * QUICK_SAMPLES else items[:QUICK_SAMPLES] + items[-QUICK_SAMPLES:]
    looks = [look_at(item) for item in items] if quick else run_all(look_at, items, nproc, title)
    for item, look in zip(items, looks):
        if look.error:
            found.errors.append(look.error)
        if look.size:
            found.sizes[tuple(look.size)] += 1
        if look.values is not None:
            found.values += look.values
        found.contents[look.digest] = item.image
    found.warnings += [] if quick else stale_statistics(dataset)
    return found


def items_of(dataset: CustomDataset) -> list[Item]:
    """Images and, unless they are not used, labels of a data set."""
    with_labels = dataset.ann_dir is not None and dataset.use_labels and osp.isdir(dataset.ann_dir)
    loads = [t for t in dataset.pipeline.transforms if isinstance(t, LoadImageFromFile)]
    make = partial(Item, label_map=dataset.label_map, reduce_zero_label=dataset.reduce_zero_label,
                   num_classes=len(dataset.CLASSES or range(255)), ignore_index=dataset.ignore_index,
                   load=(loads or [LoadImageFromFile()])[0], resize_label=dataset.translated is not None)
    return [make(image=osp.join(dataset.img_dir, info['filename']),
                 label=osp.join(dataset.ann_dir, info['ann']['seg_map']) if with_labels else None)
            for info in dataset.img_infos]


def stale_statistics(dataset: CustomDataset) -> list[str]:
    """A line if label maps are newer than the class statistics that were made from them."""
    path = osp.join(dataset.data_root or '.', STATS_FILE)
    if not osp.isfile(path) or dataset.ann_dir is None or not osp.isdir(dataset.ann_dir):
        return []
    time = os.stat(path).st_mtime
    newer = [info['ann']['seg_map'] for info in dataset.img_infos
             if osp.isfile(label := osp.join(dataset.ann_dir, info['ann']['seg_map']))
             and os.stat(label).st_mtime > time]
    if not newer:
        return []
    return [f'{path} is older than {len(newer)} label maps, such as {newer[0]}: it may be stale; run python '
            f'{dataset.statistics_command}']


def splits_of(cfg: Config) -> list[tuple[str, dict]]:
    """(title, config) of every data set in ``cfg.data``, each once; the target of an adaptation is
    looked at without its labels."""
    data, found = cfg.get('data') or {}, []
    for split in ('train', 'val', 'test'):
        part = data.get(split) or []
        adapts = split == 'train' and isinstance(part, dict) and part.get('type') == 'UDADataset'
        domains = {'source': part.get('source'), 'target': part.get('target'),
                   **(part.get('domains') or {})} if adapts else {'': part}
        for role, inner in domains.items():
            for leaf in leaf_configs(inner):
                title = ' '.join(filter(None, (split, role, leaf.get('type'))))
                leaf = {key: value for key, value in leaf.items() if key != 'paired_with'}
                if role == 'target' or (role not in ('', 'source') and 'use_labels' not in leaf):
                    leaf['use_labels'] = False
                if leaf not in [seen for _, seen in found]:
                    found.append((title, leaf))
    return [(title, leaf if title.startswith('train') else {**leaf, 'test_mode': True})
            for title, leaf in found]


def training_errors(cfg: Config) -> list[str]:
    """What building the training set as a whole refuses: classes, statistics, missing labels."""
    try:
        build_dataset(cfg.data.train)
    except UserError as error:
        return [str(error)]
    return []


def class_sampling(cfg: Config) -> tuple[list[int], np.ndarray] | None:
    """Classes and probabilities of rare class sampling; None without it."""
    train = cfg.data.train
    rcs = train.get('rare_class_sampling') if train.get('type') == 'UDADataset' else None
    if not rcs:
        return None
    folder = rcs.get('stats_dir') or train['source'].get('data_root') or '.'
    return get_rcs_class_probs(folder, rcs['class_temp'])


def duplicates(findings: Iterable[Findings]) -> list[str]:
    """A line for each image of a validation or test set that is in a training set too."""
    seen, lines = {}, []
    for found in findings:
        for digest, path in found.contents.items():
            if found.title.startswith('train'):
                seen.setdefault(digest, path)
            elif digest in seen and digest:
                lines.append(f'{path} ({found.title}) is the same picture as {seen[digest]} of training')
    return lines


def validation_faults(cfg: Config) -> list[str]:
    """What the headers of all validation files say against an evaluation, a line each."""
    lines = [line for title, part in splits_of(cfg) if title.startswith('val')
             for line in inspect(part, title, quick=True).warnings]
    return list(dict.fromkeys(lines))


def quick_errors(cfg: Config) -> list[str]:
    """The faults that take no more than a look at names and a few files; for programs about to train."""
    if not (cfg.get('data') or {}).get('train'):
        return []
    errors = [error for title, part in splits_of(cfg) for error in inspect(part, title, quick=True).errors]
    return list(dict.fromkeys([*errors, *training_errors(cfg)]))

