"""The lines with which a training ends: its score, its time, and where to look further."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Sequence
from pathlib import Path

from mmseg.utils.project import IN_CHECKOUT

from .record import RunRecord, read_record, short_labels


def closing_lines(folders: Sequence[Path], report: str | None = None) -> list[str]:
    """Three lines about the runs in ``folders``; ``report`` are the arguments of tools.report (default: the
    folders)."""
    runs = [read_record(folder) for folder in folders]
    seconds = sum(run.seconds or 0 for run in runs)
    each = f' for {len(runs)} runs' if len(runs) > 1 else f' for {runs[0].steps} of {runs[0].max_steps} steps'
    arguments = report or ' '.join(shlex.quote(str(folder)) for folder in folders)
    program = 'python -m tools.report' if IN_CHECKOUT else 'ebda-report'
    checkpoints = (
        str(folders[0] / 'latest.pth') if len(runs) == 1 else f'latest.pth in the {len(runs)} folders of runs'
    )
    return [
        f'score:  {_scores(runs)}',
        f'time:   {clock(seconds)}{each}',
        f'result: {checkpoints}; report: {program} {arguments}',
    ]


def clock(seconds: float) -> str:
    """h:mm:ss"""
    whole = round(seconds)
    return f'{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}'


def _scores(runs: Sequence[RunRecord]) -> str:
    """mIoU in percent, the mean over the seeds of each method."""
    methods = list(dict.fromkeys(run.method for run in runs))
    labels, told = short_labels(methods), []
    for method in methods:
        evaluated = [run for run in runs if run.method == method and run.evaluated is not None]
        values = [100 * score for run in evaluated if (score := run.last('mIoU')) is not None]
        deviation = f' ± {statistics.stdev(values):.2f}' if len(values) > 1 else ''
        mean = f'{statistics.fmean(values):.2f} %{deviation}' if values else 'not evaluated'
        told.append(mean if len(methods) == 1 else f'{labels[method]} {mean}')
    return f'mIoU {", ".join(told)}'
