"""Steps of a long demonstration: programs run once each, remembered, their output in logs."""
from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from pathlib import Path

from mmseg.utils import UserError
from mmseg.utils.config import Config
from mmseg.utils.files import write_json

OUT = Path('work_dirs/demo')
# time, logger and level of a log's line, which would fill the width that the news need
LOG_PREFIX = re.compile(r'^[\d-]+ [\d:,]+ - \w+ - \w+ - ')


@dataclass(frozen=True)
class Step:
    """One program of the project.

    Args:
        name: of its files.
        command: as typed, from the repository's root.
        result: pattern of what it makes; if all of it was removed, the step is to be done again.
        resume_command: used instead if this very step was begun before and did not finish.
        threads: of the libraries that compute, in its process; None leaves it to them.
    """
    name: str
    command: list[str]
    result: str
    resume_command: list[str] | None = None
    threads: int | None = None

    @property
    def log(self) -> Path:
        return OUT / 'logs' / f'{self.name}.log'

    @property
    def record_file(self) -> Path:
        return OUT / 'steps' / f'{self.name}.json'

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the command and with the configs that it names."""
        configs = [argument for argument in self.command if argument.startswith('configs/')]
        texts = [Config.fromfile(path).pretty_text for path in configs]
        return hashlib.sha256('\0'.join(self.command + texts).encode()).hexdigest()

    def record(self) -> dict | None:
        """What is known of this very step: ``finished`` and ``seconds``; None if not begun."""
        try:
            record = json.loads(self.record_file.read_text(encoding='utf-8'))
        except FileNotFoundError:
            return None
        lost = record['finished'] and not any(Path().glob(self.result))
        return None if lost or record['fingerprint'] != self.fingerprint else record

    def remember(self, finished: bool, seconds: float) -> None:
        write_json(self.record_file, dict(command=self.command, fingerprint=self.fingerprint,
                                          finished=finished, seconds=seconds))

    def seconds_before(self, record: dict) -> float:
        """Seconds that unfinished attempts took; the log's last change tells how long the last did."""
        if not self.log.is_file():
            return record['seconds']
        last = self.log.stat().st_mtime - self.record_file.stat().st_mtime
        return record['seconds'] + max(0.0, last)


class StatusLine:
    """Shows the newest line of a program's output: in place on a terminal, now and then in a log."""

    def __init__(self, seconds_between_lines: float = 30):
        self.terminal = sys.stdout.isatty()
        self.pause = 0.2 if self.terminal else seconds_between_lines
        self.shown = time.monotonic()

    def show(self, text: str) -> None:
        if not text or time.monotonic() - self.shown < self.pause:
            return
        self.shown = time.monotonic()
        line = '      ' + text[:shutil.get_terminal_size().columns - 8]
        print(f'\r\033[K{line}' if self.terminal else line, end='' if self.terminal else '\n',
              flush=True)

    def clear(self) -> None:
        if self.terminal:
            print('\r\033[K', end='', flush=True)


def run(step: Step, number: int, total: int) -> float:
    """Run a step unless it is finished.

    Returns: seconds that it took, interrupted attempts included.

    Raises:
        UserError: the program failed; names its last line and its log.
    """
    record = step.record()
    resumes = record is not None and not record['finished'] and step.resume_command is not None
    command = step.resume_command if resumes else step.command
    shown = ['python' if argument == sys.executable else argument for argument in command]
    print(f'[{number}/{total}] {shlex.join(shown)}', flush=True)
    if record and record['finished']:
        print(f'      finished earlier, in {record["seconds"]:.0f} s', flush=True)
        return record['seconds']
    before = step.seconds_before(record) if record else 0.0
    step.remember(finished=False, seconds=before)
    start = time.monotonic()
    code = follow(command, step.log, step.threads)
    seconds = before + time.monotonic() - start
    if code:
        raise UserError(f'{step.name} failed: {last_line(step.log)} (all it said: {step.log})')
    step.remember(finished=True, seconds=seconds)
    print(f'      {step.name} done in {seconds:.0f} s', flush=True)
    return seconds


def run_together(steps: list[Step], number: int, total: int) -> list[float]:
    """:func:`run` all of them at the same time, the first of them as ``number``.

    Raises:
        UserError: one of the programs failed; the others have ended by then.
    """
    for step in steps:
        step.fingerprint  # noqa: B018  kept from here on: mmcv's reader of configs is not made for threads
    with ThreadPoolExecutor(len(steps)) as executor:
        return list(executor.map(run, steps, range(number, number + len(steps)), repeat(total)))


def follow(command: list[str], log_file: Path, threads: int | None = None) -> int:
    """Run a command, append its output to the log and show its newest line; returns its exit code."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    status = StatusLine()
    # test.sh takes PYTHON, which the caller of make may have set to the one that made .venv
    env = dict(os.environ, PYTHONUNBUFFERED='1', PYTHON=sys.executable)
    if threads is not None:
        env['OMP_NUM_THREADS'] = str(threads)
    with open(log_file, 'ab') as log, subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=env) as process:
        try:
            while chunk := os.read(process.stdout.fileno(), 65536):
                log.write(chunk)
                log.flush()
                lines = re.split(r'[\r\n]+', chunk.decode(errors='replace').strip())
                status.show(f'{log_file.stem}: {LOG_PREFIX.sub("", lines[-1].strip())}')
        except BaseException:
            process.terminate()
            raise
        finally:
            status.clear()
    return process.returncode


def last_line(log_file: Path) -> str:
    text = log_file.read_text(encoding='utf-8', errors='replace')
    lines = [line.strip() for line in re.split(r'[\r\n]+', text) if line.strip()]
    return lines[-1] if lines else 'it said nothing'
