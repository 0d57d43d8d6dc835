"""What a training logged: numbers by key and step, warnings, how long it took."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mmseg.utils import UserError

Curve = dict[int, float]  # step -> value
Curves = dict[str, Curve]
NO_VALUES = ('mode', 'epoch', 'iter', 'step')
LINE = re.compile(r'(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ - \w+ - (\w+) - (.*)')
TOLD = ('WARNING', 'ERROR', 'CRITICAL')


def read_run(run: str) -> Curves:
    """All numbers that a run logged, by key and iteration; of a repeated iteration the last is kept.

    Args:
        run: a folder with *.log.json files, or one such file.

    Raises:
        UserError: no log is there, or it cannot be read.
    """
    path = Path(run)
    files = [path] if path.is_file() else sorted(path.glob('*.log.json'))
    if not files:
        raise UserError(f"'{run}' is no .log.json file and no folder that holds one")
    curves: Curves = {}
    for file in files:
        read_log(file, curves)
    if not curves:
        raise UserError(f"'{run}' has logged nothing yet")
    return curves


def read_log(file: Path, curves: Curves) -> None:
    """Add the numbers of one .log.json file to ``curves``.

    Raises:
        UserError: it cannot be read, or a line before its last is no JSON; ``curves`` has the lines before.
    """
    try:
        lines = file.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"'{file}' cannot be read as a log: {error}") from error
    trained = 0
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                continue  # the line being written, or where a run was killed
            raise UserError(f"'{file}', line {number}: no JSON, so this is no .log.json") from error
        if not isinstance(record, dict) or 'mode' not in record:
            continue  # the head, with the environment
        if record['mode'] == 'train':
            trained = int(record['iter'])
        # mmcv writes the number of validation images there as 'iter'; in logs of the reference
        # implementation the evaluation follows the record of the last logged iteration before it
        iteration = int(record.get('step') or trained or record.get('iter', 0))
        for key, value in record.items():
            if key not in NO_VALUES and isinstance(value, (int, float)) and math.isfinite(value):
                curves.setdefault(key, {})[iteration] = float(value)


def readable_curves(folder: Path, tell: Callable[[str], None]) -> Curves:
    """As :func:`read_run`, with what can be read; ``tell`` hears of the rest."""
    curves: Curves = {}
    files = sorted(folder.glob('*.log.json'))
    for file in files:
        try:
            read_log(file, curves)
        except (UserError, KeyError, TypeError, ValueError) as error:
            tell(f'{file.name} is damaged: {error}')
    if not curves:
        tell('nothing is logged yet' if files else 'no log (*.log.json)')
    return curves


def read_text_logs(folder: Path) -> tuple[float | None, list[str]]:
    """(seconds from the first to the last line, summed over the starts; warnings and errors) of ``*.log``."""
    seconds, warnings = 0.0, []
    for file in sorted(folder.glob('*.log')):
        text = file.read_text(encoding='utf-8', errors='replace')
        lines = [match for match in map(LINE.match, text.splitlines()) if match]
        times = [datetime.fromisoformat(match[1]) for match in lines]
        if times:
            seconds += (times[-1] - times[0]).total_seconds()
        warnings += [f'{match[2].lower()}: {match[3]}' for match in lines if match[2] in TOLD]
    return seconds or None, warnings
