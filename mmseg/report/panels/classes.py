"""IoU of each class, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ..panel import Panel, plain
from ..record import RunRecord


def classes_panel(runs: Sequence[RunRecord]) -> Panel:
    """IoU (%) by class and run, from the last evaluation in the log."""
    names = class_names(runs)
    scores = [[_percent(run.last(f'IoU.{name}')) for name in names] for run in runs]
    missing = tuple(
        f'{run.folder.name}: no IoU by class in the log'
        for run, row in zip(runs, scores)
        if not any(value is not None for value in row)
    )
    content = {'classes': names, 'scores': scores, 'shares': _shares(runs, names)} if names else {}
    return Panel(
        'classes',
        'Classes',
        'IoU of each class in percent, at the last evaluation; of a method its mean '
        'over runs. Click a heading to sort; the small number is the change against the chosen method.',
        content,
        missing,
    )


def class_names(runs: Sequence[RunRecord]) -> list[str]:
    """In the order of their ids, which an evaluation tells; that of the logs otherwise, where a class without
    pixels is missing."""
    found = (key.partition('.')[2] for run in runs for key in run.curves if key.startswith('IoU.'))
    logged = list(dict.fromkeys(found))
    ordered = [list(run.evaluation['classes']) for run in runs if run.evaluation]
    return next((names for names in ordered if {*logged} <= {*names}), logged)


def _percent(value: float | None) -> float | None:
    return None if value is None else plain(100 * value)


def _shares(runs: Sequence[RunRecord], names: Sequence[str]) -> list[float | None]:
    """Of the labelled pixels, in percent, where an evaluation has left its matrix."""
    for run in runs:
        if run.evaluation and list(run.evaluation['classes']) == list(names):
            pixels = np.asarray(run.evaluation['confusion_matrix'], float).sum(axis=1)
            return plain((100 * pixels / max(pixels.sum(), 1)).tolist())
    return [None] * len(names)


def confusion_panel(runs: Sequence[RunRecord]) -> Panel:
    """A heat map for each run that has a matrix: of the pixels of a class (row), the share that was given
    each class (column)."""
    figures = {
        number: matrix_figure(run.evaluation['confusion_matrix'], run.evaluation['classes'])
        for number, run in enumerate(runs)
        if run.evaluation.get('confusion_matrix')
    }
    missing = tuple(
        f'{run.folder.name}: no confusion matrix; a training writes it at its evaluations, and '
        'tools/test.py CONFIG CHECKPOINT does later'
        for number, run in enumerate(runs)
        if number not in figures
    )
    return Panel(
        'confusion',
        'Confusion',
        "Rows are true classes, columns predicted ones: the share of the row's pixels in percent.",
        {'figures': figures} if figures else {},
        missing,
    )


def matrix_figure(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> dict:
    """
    Args:
        matrix: pixels (C C), rows labels.
        names: of the C classes.
    """
    counts = np.asarray(matrix, float)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(100 * counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    text = [['' if not value >= 0.5 else f'{value:.0f}' for value in row] for row in shares]
    heat = go.Heatmap(
        z=plain(shares.tolist()),
        x=list(names),
        y=list(names),
        zmin=0,
        zmax=100,
        text=text,
        texttemplate='%{text}',
        colorscale='Blues',
        colorbar={'title': {'text': '%'}},
        hovertemplate='%{y} taken for %{x}: %{z:.1f} %<extra></extra>',
    )
    layout = {
        'yaxis': {'autorange': 'reversed', 'title': {'text': 'true class', 'standoff': 12}},
        'xaxis': {'title': {'text': 'predicted class'}, 'tickangle': -45},
    }
    return {'data': [heat.to_plotly_json()], 'layout': layout}
