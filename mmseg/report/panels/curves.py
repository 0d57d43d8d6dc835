"""Everything that was logged, over the steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from mmseg.engine.hooks.text_logger_hook import is_score

from ..logs import Curve
from ..panel import Panel, plain
from ..record import RunRecord

MOST_POINTS = 400
FIRST = 'mIoU'


def curves_panel(runs: Sequence[RunRecord]) -> Panel:
    """A trace for each key and run; the page shows one key at a time."""
    traces = [
        trace(key, number, curve)
        for number, run in enumerate(runs)
        for key, curve in sorted(run.curves.items())
        if curve
    ]
    keys = sorted({one['meta']['key'] for one in traces}, key=_order)
    thinned = any(len(curve) > MOST_POINTS for run in runs for curve in run.curves.values())
    about = 'Any logged value over the steps. Runs are switched on and off at the top of the page.'
    if thinned:
        about += f' Long curves are means over up to {MOST_POINTS} stretches.'
    missing = tuple(f'{run.folder.name}: no log' for run in runs if not run.curves)
    return Panel('curves', 'Curves', about, {'keys': keys, 'traces': traces} if traces else {}, missing)


def trace(key: str, number: int, curve: Curve) -> dict:
    """A Plotly line of run ``number``, scores in percent."""
    steps, values = thin(curve)
    factor = 100 if is_score(key) else 1
    line = go.Scatter(
        x=steps,
        y=plain([factor * value for value in values]),
        mode='lines+markers' if len(steps) < 40 else 'lines',
        meta={'key': key, 'run': number, 'unit': '%' if is_score(key) else ''},
    )
    return line.to_plotly_json()


def thin(curve: Curve) -> tuple[list[int], list[float]]:
    """(steps, values) in order, at most MOST_POINTS: each the mean of a stretch, at its last step."""
    steps = sorted(curve)
    size = math.ceil(len(steps) / MOST_POINTS) or 1
    stretches = [steps[i : i + size] for i in range(0, len(steps), size)]
    return (
        [stretch[-1] for stretch in stretches],
        [sum(curve[step] for step in stretch) / len(stretch) for stretch in stretches],
    )


def _order(key: str) -> tuple:
    """Means first, then what training logs, then single classes."""
    single_class = is_score(key) and '.' in key and not key.startswith('m')
    return key != FIRST, single_class, not is_score(key), key
