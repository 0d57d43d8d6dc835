"""The folder of a run as the report needs it; what is missing or damaged in it is told, not raised."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmseg.engine.evaluation_record import FOLDER, SCORES_FILE
from mmseg.engine.hooks.pseudo_label_hook import PSEUDO_LABELS_FILE
from mmseg.experiments.differences import row_of, variants
from mmseg.experiments.runs import (
    FINISHED,
    NEW,
    PARTIAL,
    RUNNING,
    find_kept_config,
    plain_name,
    read,
    state_of,
)
from mmseg.utils import UserError

from .logs import Curves, read_text_logs, readable_curves

STATES = {FINISHED: 'finished', RUNNING: 'in progress', PARTIAL: 'unfinished', NEW: 'no checkpoint'}


@dataclass
class RunRecord:
    """One run. ``curves`` are its logged numbers by key and step (scores 0–1), ``evaluation`` and
    ``calibration`` the newest of what was written by its last evaluation or by tools/test.py,
    ``pseudo_labels`` the lines of its ``PseudoLabelHook``, ``faults`` what the folder lacks, a line each."""

    folder: Path
    name: str
    config: dict[str, Any] = field(default_factory=dict)
    state: str = 'unknown'
    curves: Curves = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    pseudo_labels: list[dict[str, Any]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    seconds: float | None = None
    faults: list[str] = field(default_factory=list)
    base: dict[str, Any] | None = None
    variant: str = ''

    @property
    def row(self) -> str:
        """The name without the seed."""
        return row_of(self.name)

    @property
    def method(self) -> str:
        """Runs of one method are those that differ in their seed alone."""
        return self.row + self.variant

    @property
    def seed(self) -> int | None:
        return self.config.get('seed')

    @property
    def max_steps(self) -> int | None:
        return (self.config.get('runner') or {}).get('max_iters')

    @property
    def steps(self) -> int:
        """The last step of the log, which is behind a run by less than ``log_config.interval``; of a
        finished run all of them."""
        if self.finished and self.max_steps:
            return self.max_steps
        return max((step for curve in self.curves.values() for step in curve), default=0)

    @property
    def evaluated(self) -> int | None:
        """The step of the last evaluation in the log."""
        return max(self.curves['mIoU']) if self.curves.get('mIoU') else None

    @property
    def finished(self) -> bool:
        return self.state == STATES[FINISHED]

    def last(self, key: str) -> float | None:
        """The newest value of a logged key; None if it was not logged."""
        curve = self.curves.get(key)
        return curve[max(curve)] if curve else None


def read_record(folder: Path, more_scores: Path | None = None) -> RunRecord:
    """
    Args:
        folder: of a run; nothing is written there.
        more_scores: where to look for further files eval_*.json of this run, which know their checkpoint.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder '{folder}': give the folders of runs")
    run = RunRecord(folder, plain_name(folder.resolve().name))
    tell = run.faults.append
    try:
        run.config = read(find_kept_config(folder))
        run.name = str(run.config.get('name', run.name))
        run.state = STATES[state_of(folder, run.config)]
    except (UserError, OSError, AttributeError) as error:
        tell(f'no readable config: {str(error).removeprefix("--resume: ")}')
    run.curves = readable_curves(folder, tell)
    run.seconds, run.warnings = read_text_logs(folder)
    run.environment = _environment(folder)
    if not run.environment:
        tell('no environment (*.env.txt)')
    _add_scores(run, more_scores, tell)
    run.pseudo_labels = _json_lines(folder / PSEUDO_LABELS_FILE, tell)
    return run


def _json_lines(path: Path, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """The lines of a file that a training may be writing, so its last may be cut; none without the file."""
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines() if path.is_file() else []
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(json.loads(line))
        except ValueError as error:  # in the middle: where a run was killed that then went on
            if number < len(lines):
                tell(f'{path.name}, line {number} is damaged: {error}')
    return found


def _environment(folder: Path) -> dict[str, str]:
    """'key: value' lines of the newest start."""
    files = sorted(folder.glob('*.env.txt'))
    lines = files[-1].read_text(encoding='utf-8', errors='replace').splitlines() if files else []
    pairs = (line.partition(': ') for line in lines if not line.startswith(' '))
    return {key: value for key, separator, value in pairs if separator and len(value) < 400}


def _add_scores(run: RunRecord, more_scores: Path | None, tell: Callable[[str], None]) -> None:
    for path in _score_files(run.folder, more_scores):
        found = read_json(path, tell)
        if not isinstance(found, dict):
            continue
        if more_scores and path.is_relative_to(more_scores) and not _is_of(found, run.folder):
            continue
        if found.get('confusion_matrix') and found.get('classes'):
            run.evaluation = {**run.evaluation, **found}
        run.calibration = found.get('calibration') or run.calibration


def _score_files(folder: Path, more_scores: Path | None) -> Iterator[Path]:
    """The newest last."""
    found = [folder / FOLDER / SCORES_FILE, *folder.glob('eval_*.json')]
    if more_scores:
        found += more_scores.rglob('eval_*.json')
    return iter(sorted((path for path in found if path.is_file()), key=lambda path: path.stat().st_mtime))


def _is_of(scores: dict, folder: Path) -> bool:
    return Path(str(scores.get('checkpoint'))).parent.name == folder.resolve().name


def read_json(path: Path, tell: Callable[[str], None]) -> Any:
    """The content of a json file; None if it cannot be read, which is told."""
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        tell(f'{path.name} is damaged: {error}')
        return None


def tell_apart(runs: Sequence[RunRecord]) -> None:
    """Note as ``variant`` where runs of one name have other settings."""
    known = [run for run in runs if run.config]
    for run, variant in zip(known, variants([{**run.config, 'name': run.name} for run in known])):
        run.variant = variant


def short_labels(methods: list[str]) -> dict[str, str]:
    """Each method's name without the words (between '_') that all of them begin or end with."""
    words = [method.split('_') for method in methods]
    shortest = min(map(len, words), default=1)
    start, end = _shared(words, shortest), _shared([word[::-1] for word in words], shortest)
    if len(words) < 2:
        return {method: method for method in methods}
    labels = ['_'.join(word[start : len(word) - min(end, len(word) - start - 1)]) for word in words]
    return dict(zip(methods, labels if len({*labels}) == len(labels) else methods))


def _shared(words: list[list[str]], most: int) -> int:
    """How many words at the start are the same in all lists; one less than the shortest has at most."""
    count = 0
    while count < most - 1 and len({word[count] for word in words}) == 1:
        count += 1
    return count
