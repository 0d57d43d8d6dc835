"""How often rare class sampling draws each class of the source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from mmseg.datasets import DATASETS, leaf_configs
from mmseg.datasets.rare_class_sampling import get_rcs_class_probs
from mmseg.utils import UserError

from ..panel import Panel, plain
from ..record import RunRecord

NO_SAMPLING = 'without rare class sampling'


def rare_classes_panel(runs: Sequence[RunRecord]) -> Panel:
    """Bars of P(c); runs that draw alike share them."""
    bars: dict[tuple[str, float], list[int]] = {}
    missing = []
    for number, run in enumerate(runs):
        found = sampling_of(run)
        if found is None:
            missing.append(f'{run.folder.name}: {NO_SAMPLING}')
        else:
            bars.setdefault(found, []).append(number)
    traces = []
    for (root, temperature), numbers in bars.items():
        try:
            traces.append(probability_bars(root, temperature, numbers, source_classes(runs[numbers[0]])))
        except (UserError, OSError, ValueError) as error:
            missing += [f'{runs[number].folder.name}: {error}' for number in numbers]
    layout = {
        'barmode': 'group',
        'yaxis': {'title': {'text': 'probability (%)'}},
        'xaxis': {'tickangle': -45},
    }
    return Panel(
        'rare',
        'Rare classes',
        'How often rare class sampling draws an image for each class, rarest first.',
        {'data': traces, 'layout': layout} if traces else {},
        tuple(missing),
    )


def sampling_of(run: RunRecord) -> tuple[str, float] | None:
    """(root of the source's data, temperature); None if every image is drawn alike."""
    train = (run.config.get('data') or {}).get('train') or {}
    sampling = train.get('rare_class_sampling') if isinstance(train, dict) else None
    if not sampling:
        return None
    source = leaf_configs(train.get('source') or {})[0]
    return str(source.get('data_root', '')), float(sampling.get('class_temp', 0))


def source_classes(run: RunRecord) -> Sequence[str]:
    source: dict[str, Any] = leaf_configs(run.config['data']['train']['source'])[0]
    classes = source.get('classes')
    return (
        classes
        if isinstance(classes, (list, tuple))
        else getattr(DATASETS.get(source.get('type')), 'CLASSES', None) or ()
    )


def probability_bars(root: str, temperature: float, runs: Sequence[int], names: Sequence[str]) -> dict:
    """
    Raises:
        UserError: no statistics in ``root``, or a temperature that is none.
    """
    if not Path(root).is_dir():
        raise UserError(f"the data '{root}' are not here (start the report where the run was started)")
    classes, probabilities = get_rcs_class_probs(root, temperature)
    labels = [names[c] if c < len(names) else str(c) for c in classes]
    bar = go.Bar(
        x=labels,
        y=plain((100 * probabilities.astype(float)).tolist()),
        name=f'T = {temperature:g}',
        meta={'runs': list(runs)},
        hovertemplate='%{x}: %{y:.2f} %',
    )
    return bar.to_plotly_json()
