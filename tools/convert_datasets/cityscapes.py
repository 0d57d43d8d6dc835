"""Prepare Cityscapes: label maps in train ids, class statistics, lists of the splits.

    python tools/convert_datasets/cityscapes.py data/cityscapes --nproc 8

For every gtFine/SPLIT/CITY/*_labelIds.png (or, where that is missing, *_polygons.json) it writes
*_labelTrainIds.png beside it; from the training split the three files that rare class sampling reads; and
train.txt, val.txt, test.txt. It can be stopped and started again: what is done and sound is kept, and running
it twice changes nothing.
"""
from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import os.path as osp
import sys
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmseg.datasets.cityscapes import LABEL_IDS, NUM_LABEL_IDS, train_ids_table
from mmseg.datasets.files import find_files, write_text
from mmseg.datasets.pipelines.loading import read_label
from mmseg.datasets.preparation.class_stats import Stats, label_stats
from mmseg.datasets.preparation.labels import (
    Part,
    map_ids,
    png_size,
    require_complete,
    run_all,
    save_stats,
    valid_output,
    working_in,
    write_label,
)
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.errors import positive

SOURCES = ('_labelIds.png', '_polygons.json')
OUTPUT = '_labelTrainIds.png'
SITE = 'of https://www.cityscapes-dataset.com'
LABEL_ARCHIVE, IMAGE_ARCHIVE = f'gtFine_trainvaltest.zip {SITE}', f'leftImg8bit_trainvaltest.zip {SITE}'
IMAGES, IMAGE_SUFFIX = 'leftImg8bit', '_leftImg8bit.png'
SPLITS, LABELLED = ('train', 'val', 'test'), ('train', 'val')


def find_stems(root: str, gt_dir: str) -> list[str]:
    """Label files without their suffix, relative to ``root``, sorted.

    Raises:
        UserError: the labels, or those of some images, are missing; names their archive.
    """
    names = Part(gt_dir, '', LABEL_ARCHIVE).files(root)
    stems = {osp.join(gt_dir, name.removesuffix(suffix))
             for suffix in SOURCES for name in names if name.endswith(suffix)}
    if not stems:
        raise UserError(f'no *{SOURCES[0]} and no *{SOURCES[1]} in {osp.join(root, gt_dir)}: unpack '
                        f'{LABEL_ARCHIVE} in {root}')
    require_labels(root, gt_dir, stems)
    return sorted(stems)


def require_labels(root: str, gt_dir: str, stems: Collection[str]) -> None:
    """Raises:
        UserError: an image of training or validation has no label.
    """
    images = [name.removesuffix(IMAGE_SUFFIX)
              for name in find_files(osp.join(root, IMAGES), IMAGE_SUFFIX, None)
              if name.split('/')[0] in LABELLED]
    ending = f'_{osp.basename(gt_dir)}'
    missing = [f'{root}/{gt_dir}/{name}{ending}{SOURCES[0]}' for name in images
               if f'{gt_dir}/{name}{ending}' not in stems]
    require_complete(missing, 'the image of that name', len(images), LABEL_ARCHIVE)


def read_polygons(path: str) -> dict:
    """The content of a *_polygons.json.

    Raises:
        UserError: the file is damaged.
    """
    try:
        content = json.loads(Path(path).read_bytes())  # whatever its byte order mark
        if min(content['imgWidth'], content['imgHeight']) > 0 and 'objects' in content:
            return content
    except (ValueError, KeyError, TypeError):
        pass
    raise UserError(f'{path} is no polygon file of Cityscapes: it is damaged, fetch it again')


def draw_polygons(polygons: dict, path: str) -> np.ndarray:
    """Train ids, uint8 (H W), of the polygons, by the data set's own code.

    Raises:
        UserError: that code is not installed, or cannot draw them.
    """
    try:
        from cityscapesscripts.helpers.annotation import Annotation
        from cityscapesscripts.preparation.json2labelImg import createLabelImage
    except ImportError:
        raise UserError(f'drawing {path} needs a package: pip install cityscapesscripts') from None
    annotation, said = Annotation(), io.StringIO()
    try:
        annotation.fromJsonText(json.dumps(polygons))
        with contextlib.redirect_stdout(said):
            return np.array(createLabelImage(annotation, 'trainIds'))
    # it says that a label is unknown, and exits
    except (SystemExit, KeyError, TypeError, ValueError) as error:
        raise UserError(f'the polygons of {path} cannot be drawn ({said.getvalue().strip() or error}): '
                        'fetch the file again') from None


def convert_one(stem: str, root: str) -> Stats | None:
    """Make sure that the label map of ``stem`` exists; the statistics of a training label."""
    ids_path, polygon_path, output = (osp.join(root, stem + end) for end in (*SOURCES, OUTPUT))
    from_ids = osp.isfile(ids_path)
    if from_ids:
        ids, size = read_label(ids_path), png_size(ids_path)
    else:
        polygons = read_polygons(polygon_path)
        size = polygons['imgWidth'], polygons['imgHeight']
    label = valid_output(output, ids_path if from_ids else polygon_path, size, len(LABEL_IDS))
    if label is None:
        label = (map_ids(ids, train_ids_table(), NUM_LABEL_IDS, ids_path) if from_ids
                 else draw_polygons(polygons, polygon_path))
        write_label(output, label)
    in_training = stem.split('/')[-3:-2] == ['train'] or '/train/' in stem
    return label_stats(label, stem + OUTPUT) if in_training else None


def write_split_lists(stems: list[str], gt_dir: str, out_dir: str) -> None:
    """train.txt, … with one CITY/NAME per line, of the splits that there are."""
    ending = f'_{osp.basename(gt_dir)}'
    for split in SPLITS:
        prefix = f'{gt_dir}/{split}/'
        names = [stem.removeprefix(prefix).removesuffix(ending) for stem in stems
                 if stem.startswith(prefix)]
        if names:
            write_text(osp.join(out_dir, f'{split}.txt'), ''.join(f'{name}\n' for name in names))


def warn_of_missing_images(root: str, gt_dir: str, stems: list[str]) -> None:
    """Tell of labels whose image is not there; labels can be converted before images are fetched."""
    images = [f'{IMAGES}/{stem.removeprefix(gt_dir + "/").removesuffix("_" + osp.basename(gt_dir))}'
              f'{IMAGE_SUFFIX}' for stem in stems]
    missing = [image for image in images if not osp.isfile(osp.join(root, image))]
    if missing:
        sys.stderr.write(f'warning: {osp.join(root, missing[0])} is missing ({len(missing)} of {len(images)} '
                         f'images are): unpack {IMAGE_ARCHIVE} in {root} before training\n')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('cityscapes_path', help='the data root, which holds gtFine')
    parser.add_argument('--gt-dir', default='gtFine', help='folder of the labels (default: %(default)s)')
    parser.add_argument('-o', '--out-dir',
                        help='folder of the statistics and split lists (default: the data root)')
    parser.add_argument('--nproc', type=positive, default=4, help='processes (default: %(default)s)')
    return parser.parse_args(argv)


@one_line_errors
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    root, gt_dir = args.cityscapes_path, osp.normpath(args.gt_dir)
    out_dir = args.out_dir or root
    stems = find_stems(root, gt_dir)
    warn_of_missing_images(root, gt_dir, stems)
    with working_in(root, out_dir):
        stats = run_all(partial(convert_one, root=root), stems, args.nproc, 'label maps')
        write_split_lists(stems, gt_dir, out_dir)
        count = save_stats(out_dir, stats)
    print(f'{len(stems)} label maps; class statistics of {count} training labels in {out_dir}')


if __name__ == '__main__':
    main()
