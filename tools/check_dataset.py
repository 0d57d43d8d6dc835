"""Look at all data of a config before a GPU is booked.

    python tools/check_dataset.py CONFIG [--quick] [--plot FILE.png] [--nproc N]

For every split: how many images and labels, their sizes, label values and class frequencies, missing or
corrupt files, statistics older than the labels, pictures that are both in training and in validation; and the
probabilities of rare class sampling. The exit code is 1 if training would fail.
"""
from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.datasets import build_dataset
from mmseg.datasets.builder import leaf_configs
from mmseg.datasets.preparation.inspection import (
    Findings,
    class_sampling,
    duplicates,
    inspect,
    splits_of,
    training_errors,
)
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.config import Config, load_config, parse_options
from mmseg.utils.errors import positive
from mmseg.utils.files import write_bytes

SHOWN = 20      # faults of one data set that are printed


def print_findings(found: Findings, classes: Sequence[str]) -> None:
    """One paragraph on a data set."""
    sizes = ', '.join(f'{w}x{h} ({count})' for (w, h), count in sorted(found.sizes.items()))
    print(f'\n{found.title}: {found.images} images, {found.labels} labels; sizes: {sizes or "unknown"}')
    total = found.values[:len(classes)].sum()
    if found.values.any():
        present = np.flatnonzero(found.values).tolist()
        print(f'  label values: {", ".join(map(str, present))}')
        for number, name in enumerate(classes):
            print(f'  {name:<16} {100 * found.values[number] / max(1, total):8.4f} % of the pixels')
        absent = [name for number, name in enumerate(classes) if not found.values[number]]
        if absent:
            print(f'  warning: no pixel of {", ".join(absent)}')
    for kind, lines in (('error', found.errors), ('warning', found.warnings)):
        for line in lines[:SHOWN]:
            print(f'  {kind}: {line}')
        if len(lines) > SHOWN:
            print(f'  {kind}: ... and {len(lines) - SHOWN} more')


def print_sampling(cfg: Config, classes: Sequence[str], plot: str | None) -> None:
    """Probabilities of rare class sampling, as lines and as a plot."""
    sampling = class_sampling(cfg)
    if sampling is None:
        if plot:
            print('\nno plot: this config has no rare class sampling')
        return
    ids, probabilities = sampling
    names = [classes[number] for number in ids]
    print('\nrare class sampling, from the rarest class:')
    for name, probability in zip(names, probabilities):
        print(f'  {name:<16} {100 * probability:7.3f} %  {"#" * round(60 * probability)}')
    if plot:
        write_bytes(plot, draw(names, probabilities))
        print(f'plot written to {plot}')


def draw(names: Sequence[str], probabilities: np.ndarray) -> bytes:
    """A bar chart as PNG."""
    import io

    from matplotlib.figure import Figure
    figure = Figure(figsize=(8, 4), layout='constrained')
    axes = figure.add_subplot()
    axes.bar(names, probabilities)
    axes.set_ylabel('probability of being drawn')
    axes.tick_params('x', rotation=90)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png')
    return buffer.getvalue()


def class_names(cfg: Config) -> Sequence[str]:
    """Of the first data set that can be built."""
    for leaf in leaf_configs(cfg.data.train):
        try:
            return build_dataset({**leaf, 'test_mode': True}).CLASSES or ()
        except UserError:
            continue
    return ()


def refuse_used(plot: str | None) -> None:
    if plot and not plot.endswith('.png'):
        raise UserError(f"--plot '{plot}' must end in .png")
    if plot and Path(plot).exists():
        raise UserError(f"--plot '{plot}' exists: name another file")


@one_line_errors
def main(argv: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='config file of a training')
    parser.add_argument('--quick', action='store_true', help='open only a few files of each data set')
    parser.add_argument('--plot', metavar='FILE.png', help='draw the probabilities of the rare classes')
    parser.add_argument('--nproc', type=positive, default=4, help='processes (default: %(default)s)')
    parser.add_argument('--options', '--cfg-options', nargs='+', action='extend', metavar='KEY=VALUE',
                        dest='options',
                        help='change the config, e.g. data.train.data_root=/data/mine')
    args = parser.parse_args(argv)
    refuse_used(args.plot)
    cfg = load_config(args.config, parse_options(args.options))
    if not (cfg.get('data') or {}).get('train'):
        raise UserError(f"the config '{args.config}' has no data.train")
    classes = class_names(cfg)
    findings = [inspect(part, title, args.quick, args.nproc) for title, part in splits_of(cfg)]
    for found in findings:
        print_findings(found, classes)
    for line in duplicates(findings):
        print(f'warning: {line}')
    whole = training_errors(cfg)
    for line in whole:
        print(f'error: {line}')
    if not whole:
        print_sampling(cfg, classes, args.plot)
    count = len(whole) + sum(len(found.errors) for found in findings)
    print(f'\n{count} error{"s" * (count > 1)}: training would fail' if count else '\nready for training')
    if count:
        raise UserError(f"the data of '{args.config}' has {count} fault{'s' * (count > 1)}, told above")


if __name__ == '__main__':
    main()
