"""The table: a line for each method, mean and deviation over its seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from mmseg.engine.hooks.text_logger_hook import is_score

from ..panel import Panel, plain
from ..record import RunRecord

MIB_OF_GIB = 1024


def table_panel(runs: Sequence[RunRecord]) -> Panel:
    """Scores of the last evaluation in percent; the mean is over the finished runs of a method, or over all
    that were evaluated if none is finished (``partial``)."""
    keys = score_keys(runs)
    rows = []
    for method in dict.fromkeys(run.method for run in runs):
        numbered = [(i, run) for i, run in enumerate(runs) if run.method == method]
        of_runs = [
            {'run': i, 'state': run.state, 'evaluated': run.evaluated, **_values(run, keys)}
            for i, run in numbered
        ]
        rows.append(
            {'method': method, 'runs': of_runs, **_over_runs([run for _, run in numbered], of_runs, keys)}
        )
    missing = [f'{run.folder.name}: not evaluated yet' for run in runs if run.evaluated is None]
    return Panel(
        'table',
        'Scores',
        'Last evaluation of each run, in percent. A line is a method: mean ± standard '
        'deviation over its finished runs. Click a heading to sort, a method to see its runs.',
        {'keys': keys, 'rows': rows},
        tuple(missing),
    )


def score_keys(runs: Sequence[RunRecord]) -> list[str]:
    """mIoU, means over other classes or domains, those over conditions, pixel and class accuracy."""
    found = {key for run in runs for key in run.curves if is_score(key)}
    means = sorted((key for key in found if key.startswith('mIoU')), key=lambda key: ('.' in key, key))
    return (means or ['mIoU']) + [key for key in ('mDice', 'mFscore', 'aAcc', 'mAcc') if key in found]


def _values(run: RunRecord, keys: Sequence[str]) -> dict[str, Any]:
    memory = run.last('memory') or run.evaluation.get('peak_memory_mib')
    scores = {key: None if (last := run.last(key)) is None else 100 * last for key in keys}
    return {
        'scores': plain(scores),
        'steps': run.steps,
        'max_steps': run.max_steps,
        'seconds': run.seconds,
        'memory_gib': plain(memory / MIB_OF_GIB) if memory else None,
    }


def _over_runs(runs: Sequence[RunRecord], values: Sequence[dict], keys: Sequence[str]) -> dict[str, Any]:
    counted = [value for run, value in zip(runs, values) if run.finished and run.evaluated is not None]
    partial = not counted
    counted = counted or [value for run, value in zip(runs, values) if run.evaluated is not None]
    scores = {}
    for key in keys:
        found = [value['scores'][key] for value in counted if value['scores'][key] is not None]
        scores[key] = {
            'mean': statistics.fmean(found) if found else None,
            'std': statistics.stdev(found) if len(found) > 1 else None,
            'n': len(found),
        }
    return {
        'scores': plain(scores),
        'partial': partial,
        'steps': max((run.steps for run in runs), default=0),
        'max_steps': runs[0].max_steps,
        'seconds': _mean(value['seconds'] for value in counted or values),
        'memory_gib': _mean(value['memory_gib'] for value in counted or values),
    }


def _mean(values: Any) -> float | None:
    found = [value for value in values if value is not None]
    return plain(statistics.fmean(found)) if found else None
