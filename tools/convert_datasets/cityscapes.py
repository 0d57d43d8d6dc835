"""Prepare Cityscapes: label maps in train ids, class statistics, lists of the splits.

    python tools/convert_datasets/cityscapes.py data/cityscapes --nproc 8

For every gtFine/SPLIT/CITY/*_labelIds.png (or, where that is missing, *_polygons.json) it writes
*_labelTrainIds.png beside it; from the training split the three files that rare class sampling reads; and
train.txt, val.txt, test.txt. It can be stopped and started again: what is done and sound is kept, and running
it twice changes nothing.
"""
from __future__ import annotations

import argparse
import json
import os.path as osp
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmseg.datasets.cityscapes import LABEL_IDS, NUM_LABEL_IDS, train_ids_table
from mmseg.datasets.class_stats import Stats, label_stats
from mmseg.datasets.files import find_files, require_dir, write_text
from mmseg.datasets.pipelines.loading import read_label
from mmseg.datasets.preparation import (
    map_ids,
    png_size,
    run_all,
    save_stats,
    valid_output,
    working_in,
    write_label,
)
from mmseg.utils import UserError, one_line_errors

SOURCES = ('_labelIds.png', '_polygons.json')
OUTPUT = '_labelTrainIds.png'
IMAGES, ARCHIVE = 'leftImg8bit', 'leftImg8bit_trainvaltest.zip of https://www.cityscapes-dataset.com'
SPLITS = ('train', 'val', 'test')


def find_stems(root: str, gt_dir: str) -> list[str]:
    """Label files without their suffix, relative to ``root``, sorted."""
    folder = osp.join(root, gt_dir)
    require_dir(root, 'data root')
    require_dir(folder, 'label folder')
    stems = {osp.join(gt_dir, name.removesuffix(suffix))
             for suffix in SOURCES for name in find_files(folder, suffix, None)}
    if not stems:
        raise UserError(f'no *{SOURCES[0]} and no *{SOURCES[1]} in {folder}: unpack gtFine_trainvaltest.zip '
                        'there')
    return sorted(stems)


def read_polygons(path: str) -> dict:
    """The content of a *_polygons.json.

    Raises:
        UserError: the file is damaged.
    """
    try:
        with open(path) as file:
            content = json.load(file)
        if min(content['imgWidth'], content['imgHeight']) > 0 and 'objects' in content:
            return content
    except (ValueError, KeyError, TypeError):
        pass
    raise UserError(f'{path} is no polygon file of Cityscapes: it is damaged, fetch it again')


def draw_polygons(polygons: dict, path: str) -> np.ndarray:
    """Train ids, uint8 (H W), of the polygons, by the data set's own code."""
    try:
        from cityscapesscripts.helpers.annotation import Annotation
        from cityscapesscripts.preparation.json2labelImg import createLabelImage
    except ImportError:
        raise UserError(f'drawing {path} needs a package: pip install cityscapesscripts') from None
    annotation = Annotation()
    annotation.fromJsonText(json.dumps(polygons))
    return np.array(createLabelImage(annotation, 'trainIds'))


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
              '_leftImg8bit.png' for stem in stems]
    missing = [image for image in images if not osp.isfile(osp.join(root, image))]
    if missing:
        sys.stderr.write(f'warning: {osp.join(root, missing[0])} is missing ({len(missing)} of {len(images)} '
                         f'images are): unpack {ARCHIVE} in {root} before training\n')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('cityscapes_path', help='the data root, which holds gtFine')
    parser.add_argument('--gt-dir', default='gtFine', help='folder of the labels (default: %(default)s)')
    parser.add_argument('-o', '--out-dir',
                        help='folder of the statistics and split lists (default: the data root)')
    parser.add_argument('--nproc', type=int, default=4, help='processes (default: %(default)s)')
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
