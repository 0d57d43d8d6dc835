"""What a run was: its config against its base, environment, warnings, the commands that repeat it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from mmseg.experiments.differences import differences

from ..panel import Panel
from ..record import RunRecord

ENVIRONMENT = (
    'git revision',
    'mmseg',
    'Python',
    'PyTorch',
    'TorchVision',
    'MMCV',
    'OpenCV',
    'CUDA available',
    'GPU 0',
    'sys.platform',
    'command',
)
MOST_WARNINGS = 50
# names and places, which compute nothing
LEFT_OUT = ('work_dir', 'resume_from', 'exp')


def records_panel(runs: Sequence[RunRecord]) -> Panel:
    content = {'runs': {number: record_of(run, runs[0]) for number, run in enumerate(runs)}} if runs else {}
    missing = tuple(f'{run.folder.name}: {fault}' for run in runs for fault in run.faults)
    return Panel(
        'records',
        'Records',
        "What a run was made of: its config's difference from its base files and from the "
        'first run, its environment, what it warned of, and the commands that repeat it.',
        content,
        missing,
    )


def record_of(run: RunRecord, first: RunRecord) -> dict[str, Any]:
    return {
        'folder': str(run.folder),
        'name': run.name,
        'from_base': None if run.base is None else differences(_compared(run.base), _compared(run.config)),
        'from_first': None if run is first else differences(_compared(first.config), _compared(run.config)),
        'environment': {key: run.environment[key] for key in ENVIRONMENT if key in run.environment},
        'warnings': run.warnings[:MOST_WARNINGS],
        'further_warnings': max(len(run.warnings) - MOST_WARNINGS, 0),
        'commands': commands(run),
    }


def _compared(config: dict) -> dict:
    """As its json file has it, where tuples are lists."""
    kept = {key: value for key, value in config.items() if key not in LEFT_OUT and not key.startswith('name')}
    return json.loads(json.dumps(kept, default=str))


def commands(run: RunRecord) -> list[str]:
    """Lines for a shell in the project's folder."""
    kept = shlex.quote(str(run.folder / f'{run.folder.resolve().name}.json'))
    latest = shlex.quote(str(run.folder / 'latest.pth'))
    revision = run.environment.get('git revision', 'unknown')
    lines = []
    if revision != 'unknown':
        further = '  # and there were further changes' if revision.endswith('+') else ''
        lines.append(f'git checkout {revision.rstrip("+")}{further}')
    if command := run.environment.get('command'):
        lines.append(f'python {command}  # as it was started')
    return [
        *lines,
        f'python run_experiments.py --config {kept} --rerun',
        f'python -m tools.test {kept} {latest} --eval mIoU calibration entropy',
        f'python -m tools.report {shlex.quote(str(run.folder))}',
    ]
