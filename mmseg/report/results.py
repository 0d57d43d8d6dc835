"""Tables of a page made of the results of experiments: ``<!-- table: ID KIND -->`` in a page of docs/ says
where the table of docs/results/ID.json stands; ID is one, or several joined by '_'."""
from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mmseg.utils import DataError, did_you_mean

from .collected import BASELINE, LOWER, SHARES, UPPER

PLACE = re.compile(r'(?P<begin><!-- table: (?P<id>\w+) (?P<kind>\w+) -->\n).*?'
                   r'(?P<end><!-- end of table -->)', re.DOTALL)
CERTAINTY = {'ECE': ('calibration error (%)', 100), 'NLL': ('NLL (nats)', 1), 'entropy': ('mean H (nats)', 1),
             'wrong_certain': ('wrong, H < 0.1 (%)', 100), 'right_undecided': ('right, H ≥ 1 (%)', 100),
             'AUROC': ('AUROC of H (%)', 100)}
Rows = dict[str, dict[int, dict]]  # label of a method → seed → run


def rows_of(results: Mapping[str, Any]) -> Rows:
    """The runs by method, in the order of their mean score.

    Raises:
        DataError: there are none.
    """
    if not results['runs']:
        raise DataError(f"experiment {results['experiment']}: its data have no finished run")
    rows: Rows = {}
    for run in results['runs']:
        rows.setdefault(run['label'], {})[run['seed']] = run
    mean = {label: statistics.fmean(run['mIoU'] for run in runs.values()) for label, runs in rows.items()}
    return {label: rows[label] for label in sorted(rows, key=mean.__getitem__)}


def scores_table(results: Mapping[str, Any]) -> str:
    """mIoU by seed, mean and deviation, difference to DAFormer of the same seed, share of the gap closed."""
    rows = rows_of(results)
    seeds = sorted({seed for runs in rows.values() for seed in runs})
    percent = {label: {seed: 100 * run['mIoU'] for seed, run in runs.items()} for label, runs in rows.items()}
    base, low, high = (percent.get(label, {}) for label in (BASELINE, LOWER, UPPER))
    body = []
    for label, scores in percent.items():
        differences = [score - base[seed] for seed, score in scores.items() if seed in base]
        closed = [100 * (score - low[seed]) / (high[seed] - low[seed])
                  for seed, score in scores.items() if seed in low and seed in high]
        ends = label in (LOWER, UPPER)
        body.append([label, *(f'{scores[seed]:.2f}' if seed in scores else 'not measured' for seed in seeds),
                     _spread([*scores.values()]),
                     '' if label == BASELINE or ends else _signed(differences),
                     '' if ends else ', '.join(f'{value:.0f}'.replace('-', '−') for value in closed)])
    head = ['method', *(f'seed {seed}' for seed in seeds), 'mean ± std', f'− {BASELINE}, by seed',
            'gap closed (%)']
    return _markdown(head, body)


def classes_table(results: Mapping[str, Any]) -> str:
    """IoU of each class, mean over the seeds, in percent."""
    rows = rows_of(results)
    classes = [*next(iter(next(iter(rows.values())).values()))['IoU']]
    body = []
    for name in classes:
        values = [[run['IoU'][name] for run in runs.values() if run['IoU'].get(name) is not None]
                  for runs in rows.values()]
        body.append([name, *(f'{100 * statistics.fmean(found):.1f}' if found else '–' for found in values)])
    return _markdown(['class', *rows], body)


def certainty_table(results: Mapping[str, Any]) -> str:
    """What ``--eval calibration entropy`` measured, mean ± deviation over the seeds."""
    body = []
    for label, runs in rows_of(results).items():
        found = [run['certainty'] for run in runs.values() if run.get('certainty')]
        if found:
            values = {key: [scale * one[key] for one in found] for key, (_, scale) in CERTAINTY.items()}
            body.append([label, str(len(found)), *(_spread(values[key], 3 if scale == 1 else 2)
                                                   for key, (_, scale) in CERTAINTY.items())])
    return _markdown(['method', 'seeds', *(title for title, _ in CERTAINTY.values())], body)


def costs_table(results: Mapping[str, Any]) -> str:
    """Steps and minutes of the trainings, those before the last with it, and the revisions that trained."""
    body = [[label, _steps(next(iter(runs.values()))), ', '.join(map(_minutes, runs.values())),
             ', '.join(sorted({str(run['revision'])[:7] for run in runs.values()}))]
            for label, runs in rows_of(results).items()]
    return _markdown(['method', 'steps', 'minutes, by seed', 'revision'], body)


def grid_table(results: Mapping[str, Any]) -> str:
    """mIoU of the entropy balance by its target h and its weight λ, mean over the seeds, in percent."""
    cells = grid_of(results)
    weights = sorted({weight for _, weight in cells})
    body = [[f'h = {target:g}', *(f'{cells[target, weight]:.2f}' if (target, weight) in cells
                                  else 'not measured' for weight in weights)]
            for target in sorted({target for target, _ in cells})]
    return _markdown(['', *(f'λ = {weight:g}' for weight in weights)], body)


def grid_of(results: Mapping[str, Any]) -> dict[tuple[float, float], float]:
    """(h, λ) → mIoU in percent, mean over the seeds.

    Raises:
        DataError: there is no run of an entropy balance whose target is a number.
    """
    found: dict[tuple[float, float], list[float]] = {}
    for run in results['runs']:
        if balance := run.get('balance'):
            found.setdefault((balance['target'], balance['loss_weight']), []).append(100 * run['mIoU'])
    if not found:
        raise DataError(f"experiment {results['experiment']}: its data have no run of an entropy balance "
                        'with a number as its target')
    return {place: statistics.fmean(scores) for place, scores in found.items()}


def pseudo_labels_table(results: Mapping[str, Any]) -> str:
    """Which share of the teacher's pseudo-labels is right and which is confident, at four steps of the
    training; mean over the seeds, in percent."""
    body, steps = [], []
    for label, runs in rows_of(results).items():
        found = [run['pseudo_labels'] for run in runs.values() if run.get('pseudo_labels')]
        if found:
            steps = found[0]['class_steps']
            places = [found[0]['steps'].index(step) for step in steps]
            body.append([label, str(len(found)), *(
                ' → '.join(f'{100 * statistics.fmean(one[key][n] for one in found):.1f}' for n in places)
                for key in SHARES)])
    at = f'at steps {", ".join(map(str, steps))}'
    return _markdown(['method', 'seeds', f'right {at}', 'confident', 'right of the confident'], body)


def pseudo_classes_table(results: Mapping[str, Any]) -> str:
    """Recall of each class by the last pseudo-labels, and how many of its confident ones are right; mean over
    the seeds, in percent."""
    columns = {label: found for label, runs in rows_of(results).items()
               if (found := [run['pseudo_labels'] for run in runs.values() if run.get('pseudo_labels')])}
    classes = [*next(iter(columns.values()))[0]['classes']] if columns else []

    def mean(found: list[dict], name: str, key: str) -> str:
        values = [one['classes'][name][key][-1] for one in found]
        known = [100 * value for value in values if value is not None]
        return f'{statistics.fmean(known):.1f}' if known else '–'

    body = [[name, *(f'{mean(found, name, "recall")} / {mean(found, name, "right_if_confident")}'
                     for found in columns.values())] for name in classes]
    return _markdown(['class', *columns], body)


def _steps(run: Mapping[str, Any]) -> str:
    trainings = [*run.get('before', []), run]
    total = str(sum(one['steps'] for one in trainings))
    return total if len(trainings) == 1 else f'{total} in {len(trainings)} trainings'


def _minutes(run: Mapping[str, Any]) -> str:
    found = [one['minutes'] for one in [*run.get('before', []), run]]
    return '–' if None in found else f'{sum(found):.0f}'


TABLES: dict[str, Callable[[Mapping[str, Any]], str]] = dict(
    scores=scores_table, classes=classes_table, certainty=certainty_table, costs=costs_table, grid=grid_table,
    pseudo_labels=pseudo_labels_table, pseudo_classes=pseudo_classes_table)


def with_tables(page: str, results: Callable[[str], Mapping[str, Any]]) -> str:
    """A page with each of its tables made anew.

    Args:
        results: the content of docs/results/ID.json, by ID.

    Raises:
        DataError: a kind of table that is not known.
    """
    def table(place: re.Match) -> str:
        if place['kind'] not in TABLES:
            raise DataError(f"table of kind '{place['kind']}': {did_you_mean(place['kind'], TABLES)}")
        return f"{place['begin']}\n{TABLES[place['kind']](results(place['id']))}\n{place['end']}"

    return PLACE.sub(table, page)


def _spread(values: Sequence[float], digits: int = 2) -> str:
    mean = f'{statistics.fmean(values):.{digits}f}'
    return mean if len(values) < 2 else f'{mean} ± {statistics.stdev(values):.{digits}f}'


def _signed(differences: Sequence[float]) -> str:
    if not differences:
        return ''
    up = sum(value > 0 for value in differences)
    values = ', '.join(f'{value:+.2f}'.replace('-', '−') for value in differences)
    spread = f'; mean {statistics.fmean(differences):+.2f}'.replace('-', '−') if len(differences) > 1 else ''
    return f'{values} ({up} of {len(differences)} up{spread})'


def _markdown(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [f'| {" | ".join(cells)} |' for cells in [head, ['---', *['---:'] * (len(head) - 1)], *body]]
    return '\n'.join(lines) + '\n'
