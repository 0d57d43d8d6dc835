"""Figures of a page made of the results of experiments: ``![…](results/ID_KIND.svg)`` in it says which; ID
is one, or several joined by '_'."""
from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from mmseg.utils import DataError, did_you_mean

from .results import Rows, grid_of, rows_of

PLACE = re.compile(r'!\[[^\]]*\]\(results/(?P<id>\d+(?:_\d+)*)_(?P<kind>\w+)\.svg\)')
SIZE = (7.0, 3.6)  # inches


def grid_figure(results: Mapping[str, Any]) -> Figure:
    """mIoU by h and λ of the entropy balance as a heat map, in percent, mean over the seeds."""
    cells = grid_of(results)
    targets, weights = (sorted({place[axis] for place in cells}) for axis in (0, 1))
    values = np.array([[cells.get((h, weight), np.nan) for weight in weights] for h in targets])
    figure = Figure(figsize=(4.6, 3.6), layout='constrained')
    axes = figure.subplots()
    shown = axes.imshow(values, cmap='viridis', aspect='auto', origin='lower')
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for row, column in np.argwhere(~np.isnan(values)):
        value = values[row, column]
        axes.text(column, row, f'{value:.2f}', ha='center', va='center',
                  color='black' if value > middle else 'white')
    axes.set(xticks=range(len(weights)), xticklabels=[f'{x:g}' for x in weights], xlabel='weight λ',
             yticks=range(len(targets)), yticklabels=[f'{x:g}' for x in targets], ylabel='target h (nats)')
    figure.colorbar(shown, label='mIoU (%)')
    return figure


def scores_figure(results: Mapping[str, Any]) -> Figure:
    """mIoU on the target over the steps: a line of each method's mean, the range of its seeds behind it."""
    return _curves(results, 'mIoU (%)', lambda run: run.get('curve'))


def pseudo_labels_figure(results: Mapping[str, Any]) -> Figure:
    """The share of right pseudo-labels over the steps, by method."""
    def curve(run: Mapping[str, Any]) -> list | None:
        found = run.get('pseudo_labels')
        return found and [*zip(found['steps'], found['right'])]

    return _curves(results, 'right pseudo-labels (%)', curve)


def _curves(results: Mapping[str, Any], name: str,
            curve_of: Callable[[Mapping[str, Any]], Sequence | None]) -> Figure:
    figure = Figure(figsize=SIZE, layout='constrained')
    axes = figure.subplots()
    for label, runs in rows_of(results).items():
        curves = [dict(curve) for run in runs.values() if (curve := curve_of(run))]
        if not curves:
            continue
        steps = sorted(set.intersection(*(set(curve) for curve in curves)))
        values = 100 * np.array([[curve[step] for step in steps] for curve in curves])
        line, = axes.plot(steps, values.mean(axis=0), label=label)
        axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=line.get_color(), alpha=0.2)
    axes.set(xlabel='step', ylabel=name)
    figure.legend(loc='outside lower center', ncols=2, fontsize='small')
    return figure


def entropies_figure(results: Mapping[str, Any]) -> Figure:
    """Shares of the test pixels by entropy, right ones and wrong ones, by method: mean over the seeds; a
    target h that is a number is marked."""
    rows: Rows = {label: {seed: run for seed, run in runs.items() if run.get('entropies')}
                  for label, runs in rows_of(results).items()}
    figure = Figure(figsize=SIZE, layout='constrained')
    panels = dict(zip(('right', 'wrong'), figure.subplots(1, 2)))
    for label, runs in ((label, [*runs.values()]) for label, runs in rows.items() if runs):
        largest = runs[0]['entropies']['largest']
        for name, axes in panels.items():
            shares = 100 * np.mean([run['entropies'][name] for run in runs], axis=0)
            axes.stairs(shares, np.linspace(0, largest, len(shares) + 1),
                        label=label if name == 'right' else None)
    for target in _targets(rows):
        for axes in panels.values():
            axes.axvline(target, color='grey', linestyle='--', linewidth=1)
            axes.annotate(f'h = {target:g}', (target, 0.98), xycoords=('data', 'axes fraction'), va='top',
                          xytext=(3, 0), textcoords='offset points', fontsize='small')
    for name, axes in panels.items():
        axes.set(title=f'{name} pixels', xlabel='entropy H (nats)', yscale='log')
    panels['right'].set(ylabel='share of all pixels (%)')
    figure.legend(loc='outside lower center', ncols=2, fontsize='small')
    return figure


def mixed_entropies_figure(results: Mapping[str, Any]) -> Figure:
    """The median of H over the mixed images and the middle half of the pixels, over the steps of a training;
    mean over the seeds."""
    figure = Figure(figsize=SIZE, layout='constrained')
    axes = figure.subplots()
    for label, runs in rows_of(results).items():
        found = [run['mixed_entropies'] for run in runs.values() if run.get('mixed_entropies')]
        if found:
            steps = sorted(set.intersection(*(set(one['steps']) for one in found)))
            low, median, high = (np.mean([[one[key][one['steps'].index(step)] for step in steps]
                                          for one in found], axis=0) for key in ('q25', 'q50', 'q75'))
            line, = axes.plot(steps, median, label=label)
            axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.15)
    for target in _targets(rows_of(results)):
        axes.axhline(target, color='grey', linestyle='--', linewidth=1, label=f'h = {target:g}')
    axes.set(xlabel='step', ylabel='H on mixed images (nats)')
    figure.legend(loc='outside lower center', ncols=2, fontsize='small')
    return figure


def _targets(rows: Rows) -> list[float]:
    """Each target h that is a number."""
    return sorted({run['balance']['target'] for runs in rows.values() for run in runs.values()
                   if run.get('balance')})


FIGURES: dict[str, Callable[[Mapping[str, Any]], Figure]] = dict(
    grid=grid_figure, scores=scores_figure, pseudo_labels=pseudo_labels_figure, entropies=entropies_figure,
    mixed_entropies=mixed_entropies_figure)


def figures_of(page: str) -> dict[str, tuple[str, str]]:
    """File name → (ID, kind) of each figure that ``page`` shows, in docs/results/ID.json's folder.

    Raises:
        DataError: a kind of figure that is not known.
    """
    places = [(place['id'], place['kind']) for place in PLACE.finditer(page)]
    for _, kind in places:
        if kind not in FIGURES:
            raise DataError(f"figure of kind '{kind}': {did_you_mean(kind, FIGURES)}")
    return {f'{name}_{kind}.svg': (name, kind) for name, kind in places}


def draw(kind: str, results: Mapping[str, Any]) -> bytes:
    """SVG of a figure, on a white ground, so that it can be read on a dark page. Its description is the
    digest of its data."""
    figure, buffer = FIGURES[kind](results), io.BytesIO()
    with matplotlib.rc_context({'svg.hashsalt': 'ebda'}):  # the same bytes for the same figure
        figure.savefig(buffer, format='svg', metadata={'Date': None, 'Description': digest(results)})
    return buffer.getvalue()


def digest(results: Mapping[str, Any]) -> str:
    """Which data a figure shows."""
    return hashlib.sha256(json.dumps(results, sort_keys=True).encode()).hexdigest()[:16]
