"""Scores of a data set as a dict and as a printed table."""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from mmcv.utils import print_log
from prettytable import PrettyTable

from mmseg.core.evaluation import ConfusionMatrix, mean_over


def summarise(counts: ConfusionMatrix, classes: Sequence[str] | None, metric: str | Sequence[str],
              logger=None) -> OrderedDict[str, float]:
    """The scores of ``counts`` as fractions: aAcc, means ('mIoU'), single classes ('IoU.road').

    Args:
        counts: of all pixels.
        classes: names; None numbers them.
        metric: 'mIoU', 'mDice', 'mFscore', or several.
        logger: for the tables, as :func:`mmcv.utils.print_log` takes it; 'silent' prints nothing.

    Raises:
        UserError: unknown metric.
    """
    found = counts.metrics([metric] if isinstance(metric, str) else list(metric))
    names = classes or [str(c) for c in range(counts.num_classes)]
    per_class = {key: value for key, value in found.items() if key != 'aAcc'}
    scores = OrderedDict(aAcc=float(found['aAcc']))
    scores.update((f'm{key}', mean_over(value)) for key, value in per_class.items())
    print_log('per class results (%):\n' + str(class_table(per_class, names)), logger)
    print_log('summary (%):\n' + str(_summary_table(scores)), logger)
    scores.update((f'{key}.{name}', float(v)) for key, value in per_class.items()
                  for name, v in zip(names, value))
    return scores


def class_table(per_class: dict[str, np.ndarray], names: Sequence[str]) -> PrettyTable:
    """One line per class, scores in percent."""
    table = PrettyTable(['Class', *per_class])
    table.align['Class'] = 'l'
    for number, name in enumerate(names):
        table.add_row([name, *(f'{100 * value[number]:.2f}' for value in per_class.values())])
    return table


def _summary_table(scores: dict[str, float]) -> PrettyTable:
    table = PrettyTable(list(scores))
    table.add_row([f'{100 * value:.2f}' for value in scores.values()])
    return table
