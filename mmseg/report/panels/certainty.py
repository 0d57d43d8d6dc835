"""What ``tools/test.py --eval calibration entropy`` measured: entropies of right and wrong pixels, and
reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..panel import Panel, plain
from ..record import RunRecord

SCORES = {
    'ECE': 'calibration error (%)',
    'wrong_certain': 'wrong and nearly certain (%)',
    'right_undecided': 'right and undecided (%)',
    'AUROC': 'AUROC of H for errors (%)',
    'entropy': 'mean entropy (nats)',
    'NLL': 'negative log-likelihood (nats)',
}
COLOURS = {'right': '#1F7FC4', 'wrong': '#D55E00'}
IN_PERCENT = ('ECE', 'wrong_certain', 'right_undecided', 'AUROC')


def certainty_panel(runs: Sequence[RunRecord]) -> Panel:
    """A histogram for each run, the reliability curves of all in one diagram, and the scores."""
    measured = {number: run for number, run in enumerate(runs) if run.calibration}
    missing = tuple(
        f'{run.folder.name}: not measured; tools/test.py CONFIG CHECKPOINT --eval mIoU calibration '
        'entropy does it'
        for run in runs
        if not run.calibration
    )
    if not measured:
        return Panel('certainty', 'Certainty', ABOUT, {}, missing)
    content = {
        'histograms': {
            number: histogram(run.calibration['entropy_histogram'], target(run.config))
            for number, run in measured.items()
        },
        'reliability': [
            reliability(number, run.calibration['reliability']) for number, run in measured.items()
        ],
        'scores': {number: _scores(run.calibration['scores']) for number, run in measured.items()},
        'names': SCORES,
    }
    return Panel('certainty', 'Certainty', ABOUT, content, missing)


ABOUT = (
    'Left: how undecided the network is about pixels that it has right and wrong; h is the entropy that the '
    'entropy balance aims at. Right: how often it is right at each confidence; on the diagonal it is '
    'calibrated.'
)


def target(config: Mapping[str, Any]) -> float | None:
    """h of the entropy balance, nats; None without one, or if it follows the training."""
    found = ((config.get('uda') or {}).get('entropy_balance') or {}).get('target')
    return float(found) if isinstance(found, (int, float)) else None


def histogram(bins: Mapping[str, Sequence[float]], h: float | None) -> dict:
    """Shares of all pixels (%) by entropy (nats), with ``h`` marked.

    Args:
        bins: 'edges' (n + 1), 'right' and 'wrong' pixels (n each).
    """
    edges = np.asarray(bins['edges'], float)
    counts = {name: np.asarray(bins[name], float) for name in COLOURS}
    total = max(sum(values.sum() for values in counts.values()), 1)
    bars = [
        go.Bar(
            x=plain(((edges[:-1] + edges[1:]) / 2).tolist()),
            y=plain((100 * values / total).tolist()),
            width=plain(np.diff(edges).tolist()),
            name=f'{name} pixels',
            marker={'color': COLOURS[name], 'line': {'width': 0}},
            opacity=0.7,
            hovertemplate='H = %{x:.2f}: %{y:.2f} %',
        ).to_plotly_json()
        for name, values in counts.items()
    ]
    layout = {
        'barmode': 'overlay',
        'bargap': 0,
        'xaxis': {'title': {'text': 'entropy H (nats)'}, 'range': [0, float(edges[-1])]},
        'yaxis': {'title': {'text': 'pixels (%), log'}, 'type': 'log'},
    }
    return {'data': bars, 'layout': layout if h is None else {**layout, **mark(h)}}


def mark(h: float) -> dict[str, Any]:
    """A line at the entropy ``h``, for a layout."""
    line = {'type': 'line', 'x0': h, 'x1': h, 'yref': 'paper', 'y0': 0, 'y1': 1}
    note = {'x': h, 'yref': 'paper', 'y': 1, 'text': f'h = {h:g}', 'showarrow': False}
    return {
        'shapes': [{**line, 'line': {'dash': 'dash', 'width': 2}}],
        'annotations': [{**note, 'xanchor': 'left', 'yanchor': 'top', 'xshift': 5}],
    }


def reliability(number: int, curve: Mapping[str, Sequence[Any]]) -> dict:
    """Accuracy over confidence of run ``number``; bins without pixels are left out."""
    points = [
        (x, y, share)
        for x, y, share in zip(curve['confidence'], curve['accuracy'], curve['share'])
        if x is not None and y is not None
    ]
    line = go.Scatter(
        x=plain([x for x, _, _ in points]),
        y=plain([y for _, y, _ in points]),
        mode='lines+markers',
        customdata=plain([100 * share for _, _, share in points]),
        meta={'run': number},
        hovertemplate='confidence %{x:.2f}: right %{y:.2f}, %{customdata:.1f} % of the pixels',
    )
    return line.to_plotly_json()


def _scores(scores: Mapping[str, float | None]) -> dict[str, float | None]:
    return {
        name: plain(value * 100 if name in IN_PERCENT and value is not None else value)
        for name, value in scores.items()
        if name in SCORES
    }
