"""Class statistics of a config's source, for rare class sampling on any data set.

    python tools/class_statistics.py CONFIG [--out-dir DIR] [--nproc N]

Counts the pixels of each class in the training labels of the config (of the source, where it adapts),
renumbered as
the config says (classes, reduce_zero_label), and writes the statistics to the data root, or to another
folder, which
the config then names in rare_class_sampling.stats_dir.
"""
from __future__ import annotations

import gc
import os.path as osp
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.datasets import build_dataset
from mmseg.datasets.custom import CustomDataset
from mmseg.datasets.pipelines.loading import check_label_values, read_label, rename_labels
from mmseg.datasets.preparation.class_stats import IDS_FILE, STATS_FILE, ClassIds, label_stats
from mmseg.datasets.preparation.labels import run_all, save_stats
from mmseg.utils import ArgumentParser, ConfigError, UserError, one_line_errors
from mmseg.utils.config import load_config, parse_options
from mmseg.utils.errors import positive


def source_of(train: Mapping) -> CustomDataset:
    """The labelled data set of ``data.train``.

    Raises:
        ConfigError: it is several data sets, for which rare class sampling has no statistics.
    """
    source = train.get('source', train) if isinstance(train, Mapping) else train
    dataset = build_dataset(source)
    if not isinstance(dataset, CustomDataset):
        raise ConfigError(f'class statistics are of one data set with labels, not of a '
                          f'{type(dataset).__name__}')
    return dataset


def stats_of_label(path: str, root: str, label_map: dict, reduce_zero_label: bool, num_classes: int,
                   ignore_index: int) -> dict:
    """The statistics of one label map, ``path`` relative to ``root``."""
    label = rename_labels(read_label(osp.join(root, path)), label_map, reduce_zero_label)
    check_label_values(label, num_classes, ignore_index, path)
    return label_stats(label, path, ignore_index)


def refuse_used(folder: str, overwrite: bool) -> None:
    """Statistics that another program or config wrote are not replaced unasked."""
    if osp.isfile(osp.join(folder, STATS_FILE)) and not overwrite:
        raise UserError(f"'{folder}' holds class statistics already: --overwrite replaces them, --out-dir "
                        f"names another "
                        f'folder ({IDS_FILE} there says whose classes they count)')


@one_line_errors
def main(argv: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='config file of a training')
    parser.add_argument('-o', '--out-dir', metavar='DIR', help='folder of the statistics (default: the data '
                                                               'root)')
    parser.add_argument('--overwrite', action='store_true', help='replace statistics that are there')
    parser.add_argument('--nproc', type=positive, default=4, help='processes (default: %(default)s)')
    parser.add_argument('--options', '--cfg-options', nargs='+', action='extend', metavar='KEY=VALUE',
    dest='options',
                        help='change the config, e.g. data.train.source.data_root=/data/mine')
    args = parser.parse_args(argv)
    cfg = load_config(args.config, parse_options(args.options))
    if not (cfg.get('data') or {}).get('train'):
        raise ConfigError(f"the config '{args.config}' has no data.train")
    dataset = source_of(cfg.data.train)
    root, ids = dataset.data_root or '.', ClassIds.of(dataset)
    out_dir = args.out_dir or root
    refuse_used(out_dir, args.overwrite)
    paths = [osp.relpath(osp.join(dataset.ann_dir, info['ann']['seg_map']), root) for info in
    dataset.img_infos]
    count = partial(stats_of_label, root=root, label_map=dataset.label_map,
                    reduce_zero_label=dataset.reduce_zero_label, num_classes=len(dataset.CLASSES or
                    range(255)),
                    ignore_index=dataset.ignore_index)
    number = save_stats(out_dir, run_all(count, paths, args.nproc, 'label maps'), ids)
    print(f'class statistics of {number} labels in {out_dir}')


if __name__ == '__main__':
    main()
