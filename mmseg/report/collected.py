"""Results of an experiment as data: docs/results/ID.json holds what was measured, for the tables and figures
of docs/results.md."""
from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmseg.models.uda.parts.mixed_batch import ENTROPY_PERCENTS

from .record import RunRecord

BASELINE, LOWER, UPPER = 'DAFormer', 'source only', 'target only'
NAMES = {'ProDADistillation': 'ProDA'}  # of the methods whose last stage has a type of its own
LOG_LINES = 25
SHARES = ('right', 'confident', 'right_if_confident')  # of PseudoLabelHook


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
                    revision=run.environment.get('git revision'), balance=_balance_of(run.config),
                    mIoU=run.last('mIoU'), curve=sorted(run.curves['mIoU'].items()),
                    IoU={key.removeprefix('IoU.'): run.last(key)
                         for key in run.curves if key.startswith('IoU.')},
                    certainty=run.calibration.get('scores'),
                    entropies=_shares_of(run.calibration.get('entropy_histogram')),
                    mixed_entropies=_mixed_entropies_of(run), pseudo_labels=_pseudo_labels_of(run))
               for run in runs]
    return dict(experiment=experiment, title=title, command=command,
                runs=sorted(entries, key=lambda run: (run['label'], run['seed'])))


def _cost_of(run: RunRecord) -> dict[str, Any]:
    return dict(steps=run.max_steps, minutes=None if run.seconds is None else round(run.seconds / 60, 1))


def _balance_of(config: Mapping[str, Any]) -> dict[str, float] | None:
    """h and λ of an entropy balance whose target is a number."""
    balance = (config.get('uda') or {}).get('entropy_balance') or {}
    if not isinstance(balance.get('target'), int | float):
        return None
    return dict(target=balance['target'], loss_weight=balance.get('loss_weight', 0.1))


def _shares_of(histogram: Mapping[str, Sequence[float]] | None) -> dict[str, Any] | None:
    """Shares of all pixels, 0–1, in bins of H from 0 to ``largest`` (nats), of right and of wrong pixels."""
    if not histogram:
        return None
    total = sum(histogram['right']) + sum(histogram['wrong'])
    return dict(largest=round(histogram['edges'][-1], 4),
                **{name: [round(count / total, 6) for count in histogram[name]]
                   for name in ('right', 'wrong')})


def _mixed_entropies_of(run: RunRecord) -> dict[str, Any] | None:
    """Quantiles of H over the mixed images (nats) at no more than ``LOG_LINES`` of the log's lines."""
    curves = {percent: run.curves.get(f'mix.H.q{percent:02d}', {}) for percent in ENTROPY_PERCENTS}
    steps = sorted(curves[ENTROPY_PERCENTS[0]])
    if not steps:
        return None
    steps = sorted(steps[::-1][::math.ceil(len(steps) / LOG_LINES)])  # from the end, so that this is kept
    return dict(steps=steps, **{f'q{percent:02d}': [_rounded(curve[step]) for step in steps]
                                for percent, curve in curves.items()})


def _pseudo_labels_of(run: RunRecord) -> dict[str, Any] | None:
    """The shares of a run's ``PseudoLabelHook`` at each of its steps, and by class at four of them."""
    if not run.pseudo_labels:
        return None
    lines = {line['step']: line for line in run.pseudo_labels}  # of a step done twice the last
    steps = sorted(lines)
    few = [steps[(quarter * len(steps) + 3) // 4 - 1] for quarter in (1, 2, 3, 4)]
    classes = {name: {key: [_rounded(lines[step]['classes'][name][key]) for step in few] for key in values}
               for name, values in lines[steps[-1]]['classes'].items()}
    return dict(steps=steps, **{key: [_rounded(lines[step][key]) for step in steps] for key in SHARES},
                class_steps=few, classes=classes)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def with_earlier(results: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """``results``, and the runs of ``earlier`` that it does not have. What was measured of a run is kept
    where the same run has it not now, such as an evaluation of certainty."""
    kept = {run['name']: run for run in earlier['runs']}
    for run in results['runs']:
        before = kept.get(run['name'], {})
        if before.get('mIoU') == run['mIoU']:
            run = {**run, **{key: value for key, value in before.items() if run.get(key) is None}}
        kept[run['name']] = run
    return {**results, 'runs': sorted(kept.values(), key=lambda run: (run['label'], run['seed']))}
