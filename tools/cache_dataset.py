"""Decode and resize the training images of a config once, for all its runs.

    python tools/cache_dataset.py CONFIG [--out DIR] [--nproc N]
    python tools/train.py CONFIG --options data.cache_dir=DIR

Images and labels lie below DIR as uint8, 4 bytes a pixel: 2 MB for each 1024x512 image of Cityscapes,
6.2 GB for all 2975. A run that was cut off goes on where it stopped; images that changed since are decoded
again, and only those. Training refuses a cache whose settings or source files have changed.
"""
from __future__ import annotations

import copy
import gc
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == '__main__':
    gc.disable()  # main switches it on again

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.datasets import build_dataset
from mmseg.datasets.loading.image_cache import CachedImages
from mmseg.datasets.preparation.labels import run_all, working_in
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.config import load_config, parse_options

DEFAULT_FOLDER = 'data/cache'
LEFT_FREE = 1 << 26     # bytes on the disk that the cache does not take
PROBES = 5              # images that the size of all is estimated from


def without_samplers(cfg: Any) -> Any:
    """A data-set config that only lists its images: no cache, no sampling, no images left out."""
    if isinstance(cfg, dict):
        dropped = {'cache', 'rare_class_sampling', 'cfg', 'exclude_paired_source'}
        return {key: without_samplers(value) if key != 'pipeline' else value
                for key, value in cfg.items() if key not in dropped}
    return [without_samplers(part) for part in cfg] if isinstance(cfg, list | tuple) else cfg


def leaves(dataset: Any) -> Iterator[Any]:
    """The single data sets inside one."""
    inner = [*getattr(dataset, 'datasets', ()), *getattr(dataset, 'domains', {}).values()]
    inner += [dataset.dataset] if hasattr(dataset, 'dataset') else []
    if not inner:
        yield dataset
    for part in inner:
        yield from leaves(part)


def require_space(start: CachedImages, todo: Sequence[dict], folder: str) -> None:
    """Estimate what is still to be written, and say it.

    Raises:
        UserError: the disk has no room for it.
    """
    probes = todo[::max(1, len(todo) // PROBES)][:PROBES]
    sizes = [sum(value.nbytes for key, value in start.transforms(copy.deepcopy(given)).items()
                 if key in ('img', 'gt_semantic_seg')) for given in probes]
    needed = (max(sizes) + 4096) * len(todo)
    free = shutil.disk_usage(folder).free - LEFT_FREE
    print(f'{folder}: {len(todo)} images to write, about {needed / 1e9:.2f} GB; {free / 1e9:.2f} GB are free',
          flush=True)
    if needed > free:
        raise UserError(f'the cache needs about {needed / 1e9:.2f} GB but {folder} has only {free / 1e9:.2f} '
                        'GB left: free some, or name a folder on another disk with --out')


def written(given: dict, start: CachedImages) -> int:
    """Cache one image; the bytes written."""
    return start.write(given)


def fill(dataset: Any, out: str, nproc: int) -> None:
    """Bring a data set's part of the cache up to date."""
    if not hasattr(dataset, 'cached_start'):
        raise UserError(f'{type(dataset).__name__} cannot be cached: it is no CustomDataset')
    start = dataset.cached_start(out)
    with working_in(start.folder):
        items = [dataset._raw(index) for index in range(len(dataset))]
        todo = [given for given in items if not start.is_fresh(given)]
        if todo:
            require_space(start, todo, start.folder)
        total = sum(run_all(partial(written, start=start), todo, nproc, Path(start.folder).name))
        start.finish()
    print(f'{start.folder}: {len(items)} images, {len(todo)} of them new ({total / 1e9:.2f} GB)')


@one_line_errors
def main(argv: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='config file of a training')
    parser.add_argument('--out', metavar='DIR',
                        help=f"where to (default: the config's data.cache_dir, or {DEFAULT_FOLDER})")
    parser.add_argument('--nproc', type=int, default=os.cpu_count() or 1,
                        help='processes (default: one for each core, %(default)s)')
    parser.add_argument('--options', '--cfg-options', nargs='+', action='extend', metavar='KEY=VALUE',
                        dest='options',
                        help='change the config, e.g. data.train.source.data_root=/data/mine')
    args = parser.parse_args(argv)
    cfg = load_config(args.config, parse_options(args.options))
    if not (cfg.get('data') or {}).get('train'):
        raise UserError(f"the config '{args.config}' has no data.train")
    out = args.out or cfg.data.get('cache_dir') or DEFAULT_FOLDER
    for dataset in leaves(build_dataset(without_samplers(cfg.data.train))):
        fill(dataset, out['dir'] if isinstance(out, dict) else out, args.nproc)
    print(f'train with it: --options data.cache_dir={out}')


if __name__ == '__main__':
    main()
