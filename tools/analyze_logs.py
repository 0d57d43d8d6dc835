"""Plot what training logged: any keys, of several runs, over the iterations, into a PNG.

    python -m tools.analyze_logs work_dirs/local-basic/* --keys decode.loss_seg mIoU --out curves.png

A run is a folder with *.log.json files (several, if it was resumed) or one such file.
"""
from __future__ import annotations

import argparse
import gc
import io
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

import numpy as np
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.engine.hooks.text_logger_hook import is_score
from mmseg.report.logs import Curves, read_run
from mmseg.utils import ArgumentParser, UserError, did_you_mean, one_line_errors
from mmseg.utils.files import unused_path, write_bytes


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('runs', nargs='+', help='folders of runs, or .log.json files')
    parser.add_argument('--keys', nargs='+', metavar='KEY', default=['mIoU'],
                        help='what to plot, one panel each (default: mIoU); an unknown key lists all')
    parser.add_argument('--labels', nargs='+', help='names of the runs (default: their folders)')
    parser.add_argument('--smooth', type=int, default=1, metavar='N',
                        help='mean of the last N values (default: 1, as logged)')
    parser.add_argument('--title', default='')
    parser.add_argument('--out', metavar='FILE.png', help='default: a new curves.png here')
    args = parser.parse_args(argv)
    if args.labels and len(args.labels) != len(args.runs):
        raise UserError(f'--labels: {len(args.labels)} names for {len(args.runs)} runs')
    if args.smooth < 1:
        raise UserError(f'--smooth {args.smooth}: at least 1')
    if args.out and not args.out.endswith('.png'):
        raise UserError(f"--out '{args.out}' must end in .png")
    if args.out and Path(args.out).exists():
        raise UserError(f"--out '{args.out}' exists: name another file")
    return args


def check_keys(keys: Sequence[str], runs: Sequence[Curves]) -> None:
    """
    Raises:
        UserError: no run has logged one of ``keys``; lists what they have logged.
    """
    known = sorted({key for curves in runs for key in curves})
    for key in keys:
        if key not in known:
            raise UserError(f"no run has logged '{key}' ({did_you_mean(key, known)}). "
                            f'Logged: {", ".join(known)}')


def smoothed(values: Sequence[float], window: int) -> np.ndarray:
    """Mean of each value and up to ``window - 1`` before it."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def plot(runs: dict[str, Curves], keys: Sequence[str], window: int, title: str) -> Figure:
    """One panel a key, one line a run."""
    figure = Figure(figsize=(8, 3.2 * len(keys)), layout='constrained')
    axes = figure.subplots(len(keys), squeeze=False)[:, 0]
    for ax, key in zip(axes, keys):
        for label, curves in runs.items():
            curve = sorted(curves.get(key, {}).items())
            if curve:
                iterations, values = zip(*curve)
                factor = 100 if is_score(key) else 1
                ax.plot(iterations, factor * smoothed(values, window), label=label,
                        marker='o' if len(curve) < 40 else None, markersize=3)
        ax.set_ylabel(f'{key} (%)' if is_score(key) else key)
        ax.grid(alpha=0.3)
        ax.legend(fontsize='small')
    axes[-1].set_xlabel('iteration')
    if title:
        figure.suptitle(title)
    return figure


def labels_of(runs: Sequence[str]) -> list[str]:
    """A file's or folder's name, with its number where two are equal."""
    names = [Path(run).resolve().name.removesuffix('.log.json') for run in runs]
    return [f'{name} ({i + 1})' if names.count(name) > 1 else name for i, name in enumerate(names)]


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    runs = [read_run(run) for run in args.runs]
    check_keys(args.keys, runs)
    figure = plot(dict(zip(args.labels or labels_of(args.runs), runs)), args.keys, args.smooth, args.title)
    out = args.out or unused_path('curves.png')
    picture = io.BytesIO()
    figure.savefig(picture, format='png', dpi=120)
    write_bytes(out, picture.getvalue())
    print(f'{", ".join(args.keys)} of {len(runs)} runs written to {out}')


if __name__ == '__main__':
    main()
