"""Results of an experiment as data, and the tables of a page made of them: docs/results/ID.json holds what
was measured, ``<!-- table: ID KIND -->`` in a page of docs/ says where its table stands."""
from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mmseg.utils import DataError, did_you_mean

from .record import RunRecord

PLACE = re.compile(r'(?P<begin><!-- table: (?P<id>\w+) (?P<kind>\w+) -->\n).*?'
                   r'(?P<end><!-- end of table -->)', re.DOTALL)
BASELINE, LOWER, UPPER = 'DAFormer', 'source only', 'target only'
CERTAINTY = {'ECE': ('calibration error (%)', 100), 'NLL': ('NLL (nats)', 1), 'entropy': ('mean H (nats)', 1),
             'wrong_certain': ('wrong, H < 0.1 (%)', 100), 'right_undecided': ('right, H ≥ 1 (%)', 100),
             'AUROC': ('AUROC of H (%)', 100)}
NAMES = {'ProDADistillation': 'ProDA'}  # of the methods whose last stage has a type of its own
Rows = dict[str, dict[int, dict]]  # label of a method → seed → run


def label_of(config: Mapping[str, Any]) -> str:
    """What a training is called in a table, from its config."""
    uda = config.get('uda')
    if not uda:
        return UPPER if 'target-only' in str(config.get('name')) else LOWER
    if uda.get('type') != 'DACS':
        return NAMES.get(str(uda.get('type')), str(uda.get('type')))
    balance = uda.get('entropy_balance')
    if balance:
        return f'EBDA, {_target(balance.get("target", 0.4))}, λ = {balance.get("loss_weight", 0.1)}'
    sampling = ((config.get('data') or {}).get('train') or {}).get('rare_class_sampling')
    return 'DACS' if sampling is None else BASELINE


def _target(target: Any) -> str:
    if isinstance(target, Mapping) and target.get('type') == 'SourceMedian':
        return 'h = median of right source pixels'
    if isinstance(target, Mapping):
        return f'running quantile (q = {target.get("quantile", 0.6)}, m = {target.get("momentum", 0.9999)})'
    return f'h = {target}'


def collect(runs: Iterable[RunRecord], experiment: int, title: str, command: str,
            before: Mapping[str, Sequence[RunRecord]] | None = None) -> dict[str, Any]:
    """What docs/results/ID.json holds, of finished runs; scores 0–1, entropies in nats. Configs that
    ``label_of`` calls the same have their names in their labels.

    Args:
        experiment: id of ``run_experiments.py``.
        command: that makes the runs.
        before: the trainings that came before a run, by its name.
    """
    runs = [run for run in runs if run.finished and run.evaluated == run.max_steps]
    methods: dict[str, set[str]] = {}
    for run in runs:
        methods.setdefault(label_of(run.config), set()).add(run.method)

    def label(run: RunRecord) -> str:
        found = label_of(run.config)
        return found if len(methods[found]) == 1 else f'{found} ({run.method})'

    entries = [dict(label=label(run), seed=run.seed, name=run.name, **_cost_of(run),
                    before=[dict(name=one.name, **_cost_of(one)) for one in (before or {}).get(run.name, [])],
                    revision=run.environment.get('git revision'), mIoU=run.last('mIoU'),
                    IoU={key.removeprefix('IoU.'): run.last(key)
                         for key in run.curves if key.startswith('IoU.')},
                    certainty=run.calibration.get('scores'))
               for run in runs]
    return dict(experiment=experiment, title=title, command=command,
                runs=sorted(entries, key=lambda run: (run['label'], run['seed'])))


def _cost_of(run: RunRecord) -> dict[str, Any]:
    return dict(steps=run.max_steps, minutes=None if run.seconds is None else round(run.seconds / 60, 1))


def with_earlier(results: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """``results``, and the runs of ``earlier`` that it does not have. An evaluation of certainty is kept
    where the same run has none now."""
    kept = {run['name']: run for run in earlier['runs']}
    for run in results['runs']:
        before = kept.get(run['name'], {})
        if run['certainty'] is None and before.get('mIoU') == run['mIoU']:
            run = {**run, 'certainty': before.get('certainty')}
        kept[run['name']] = run
    return {**results, 'runs': sorted(kept.values(), key=lambda run: (run['label'], run['seed']))}


def rows_of(results: Mapping[str, Any]) -> Rows:
    """The runs by method, in the order of their mean score."""
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


def _steps(run: Mapping[str, Any]) -> str:
    trainings = [*run.get('before', []), run]
    total = str(sum(one['steps'] for one in trainings))
    return total if len(trainings) == 1 else f'{total} in {len(trainings)} trainings'


def _minutes(run: Mapping[str, Any]) -> str:
    found = [one['minutes'] for one in [*run.get('before', []), run]]
    return '–' if None in found else f'{sum(found):.0f}'


TABLES: dict[str, Callable[[Mapping[str, Any]], str]] = dict(
    scores=scores_table, classes=classes_table, certainty=certainty_table, costs=costs_table)


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
