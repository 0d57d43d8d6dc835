"""Class statistics of CamVid, for rare class sampling. The labels themselves are used as they are.

    python tools/convert_datasets/camvid.py data/camvid

It counts the classes of the source's labels (day/labels, or trainannot in the SegNet tutorial's layout) and
writes the three statistics files to the data root, or with -o to another folder, which the config then names
in rare_class_sampling.stats_dir.
"""
from __future__ import annotations

import os.path as osp
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmseg.datasets.camvid import CamVidDataset
from mmseg.datasets.files import find_files, require_dir
from mmseg.datasets.pipelines.loading import check_label_values, read_label, rename_labels
from mmseg.datasets.preparation.class_stats import ClassIds, label_stats
from mmseg.datasets.preparation.labels import run_all, save_stats
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.errors import positive

LABEL_DIRS = ('day/labels', 'trainannot')


def stats_of_label(path: str, root: str) -> dict:
    """The statistics of one label map, ``path`` relative to ``root``."""
    ignored = dict.fromkeys(CamVidDataset.IGNORED_IDS, 255)
    label = rename_labels(read_label(osp.join(root, path)), ignored, False)
    check_label_values(label, len(CamVidDataset.CLASSES), 255, path)
    return label_stats(label, path)


def find_label_dir(root: str, wanted: str | None) -> str:
    """The folder of the source's labels, relative to ``root``."""
    require_dir(root, 'data root')
    for folder in [wanted] if wanted else LABEL_DIRS:
        if osp.isdir(osp.join(root, folder)):
            return folder
    raise UserError(f"no {wanted or ' and no '.join(LABEL_DIRS)} in {root}: name the folder of the "
                    'source labels with --label-dir')


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('camvid_path', help='the data root')
    parser.add_argument('--label-dir', help=f'folder of the labels (default: {" or ".join(LABEL_DIRS)})')
    parser.add_argument('-o', '--out-dir', help='folder of the statistics (default: the data root)')
    parser.add_argument('--nproc', type=positive, default=4, help='processes (default: %(default)s)')
    args = parser.parse_args(argv)
    root, folder = args.camvid_path, find_label_dir(args.camvid_path, args.label_dir)
    paths = [osp.join(folder, name) for name in find_files(osp.join(root, folder), '.png', 'label')]
    stats = run_all(partial(stats_of_label, root=root), paths, args.nproc, 'label maps')
    out_dir, ids = args.out_dir or root, ClassIds(tuple(CamVidDataset.CLASSES))
    print(f'class statistics of {save_stats(out_dir, stats, ids)} labels in {out_dir}')


if __name__ == '__main__':
    main()
