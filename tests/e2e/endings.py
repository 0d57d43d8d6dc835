"""Trainings that fail at the start or in the middle, in many ways: do all end, with the documented code?

    python tests/e2e/endings.py --streets STREETS --count 200 --jobs 2 --seed 0 --out endings.md

STREETS is made by tools/make_synthetic_streets.py (--train 60 --size 256x128) and its converter. Each case
trains the small network of configs/toy in a process group of its own; a failure is measured from its line, or
from the signal, to the end of the last of its processes. A case fails if that takes longer than SECONDS, if
the exit code is another than docs/running.md says, or if a process is left; what it printed is then kept
beside the table. `test_endings.py` runs a few of them in CI.
"""
from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 15
PATIENCE = 240  # seconds until a case must have told its line
MARK = 'MMSEG_ENDING'
CODES = {signal.SIGTERM: 143, signal.SIGUSR1: 138, signal.SIGINT: 130}
LAUNCHED = 'middle: signal to the launcher'
CONFIG = ROOT / 'configs/toy/streets_ebda_mitb0_s0.py'


@dataclass
class Case:
    """One training and what is done to it."""

    kind: str
    workers: int
    ranks: int
    seed: int
    streets: Path
    more: tuple[str, ...] = ()  # further options
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix='ending_')))
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def console(self) -> Path:
        return self.folder / 'console'

    def text(self) -> str:
        return self.console.read_text(errors='replace') if self.console.exists() else ''

    def options(self) -> list[str]:
        own = self.folder / 'streets'
        start = ROOT / 'demo/streets_start_mitb0-47aba2bc.pth'
        return [f'load_from={start}', f'data.workers_per_gpu={self.workers}', 'data.samples_per_gpu=1',
                'runner.max_iters=60', 'log_config.interval=1', 'evaluation.interval=4',
                'checkpoint_config.interval=4', 'uda.debug_img_interval=1000',
                f'data.train.source.data_root={own}/cityscapes/', f'data.train.target.data_root={own}/acdc/',
                f'data.val.data_root={own}/acdc/', *self.more]

    def command(self) -> list[str]:
        if self.kind == LAUNCHED:
            return [sys.executable, str(ROOT / 'run_experiments.py'), '--config', str(CONFIG), '--work-dirs',
                    str(self.folder), '--options', *self.options()]
        start = [sys.executable]
        if self.ranks > 1:
            start += ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={self.ranks}']
        checks = [] if self.kind.startswith('start') else ['--no-checks']
        more = {'start: misspelt key': ['uda.alhpa=0.9'], 'start: no data': ['data.val.data_root=/nowhere'],
                'start: no checkpoint': ['load_from=gone.pth']}.get(self.kind, [])
        return [*start, str(ROOT / 'tools/train.py'), str(CONFIG), *checks, '--work-dir',
                str(self.folder / 'run'), '--device', 'cpu', '--options', *self.options(), *more]


# ------------------------------------------------------------------------ what is done to a training

def images_of(case: Case, part: str) -> list[Path]:
    return sorted((case.folder / 'streets/acdc/rgb_anon').rglob(f'{part}/**/*.png'))


def break_data(case: Case) -> None:
    """Before the start: what the kind of case breaks in its copy of the data."""
    if case.kind == 'middle: bad file':
        images = images_of(case, 'train')
        for path in images[2:-2:3]:
            path.write_bytes(b'x')
    elif case.kind == 'middle: bad validation image':
        images = images_of(case, 'val')
        images[len(images) // 2].write_bytes(b'x')
    elif case.kind == 'start: bad image':
        images_of(case, 'train')[0].write_bytes(b'x')


def hear_signals() -> None:
    """In the new process: what a shell starts in the background ignores Ctrl-C, and hands that on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def little_disk() -> None:
    hear_signals()
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 << 20, 5 << 20))


def processes_of(case: Case) -> list[int]:
    """All processes with the mark of the case in their environment."""
    found = []
    for path in Path('/proc').glob('[0-9]*'):
        try:
            if f'{MARK}={case.mark}'.encode() in (path / 'environ').read_bytes():
                state = (path / 'stat').read_text().rpartition(')')[2].split()[0]
                if state != 'Z':
                    found.append(int(path.name))
        except OSError:
            continue
    return found


def children(pid: int) -> list[int]:
    try:
        return [int(child) for task in Path(f'/proc/{pid}/task').iterdir()
                for child in (task / 'children').read_text().split()]
    except OSError:
        return []


def trainings(case: Case, process: subprocess.Popen) -> list[int]:
    """The processes that train: the ranks, or the program itself."""
    return children(process.pid) if case.ranks > 1 else [process.pid]


def strike(case: Case, process: subprocess.Popen, draw: random.Random) -> set[int]:
    """Do to a running training what its kind says; the exit codes with which it may end."""
    if case.kind.startswith('middle: signal'):
        number = draw.choice(list(CODES))
        time.sleep(draw.uniform(0, 8))
        if case.ranks > 1:
            number = signal.SIGTERM  # torchrun knows no other, and its own code for it is 1
        os.killpg(process.pid, number) if number != signal.SIGINT else os.kill(process.pid, number)
        return {CODES[number], 1} if case.ranks > 1 else {CODES[number]}
    if case.kind in ('middle: killed worker', 'middle: killed rank'):
        while 'Iter [' not in case.text() and process.poll() is None:
            time.sleep(0.1)
        ranks = trainings(case, process)
        workers = [pid for rank in ranks for pid in children(rank)]
        victims = ranks if case.kind == 'middle: killed rank' else workers
        if victims:
            os.kill(draw.choice(victims), signal.SIGKILL)
    return {1}


def seconds_to_the_end(case: Case, process: subprocess.Popen) -> float:
    """From the case's line, or the signal, to the end of its last process."""
    began = time.monotonic()
    told = began if case.kind.startswith('middle: signal') else None
    while (process.poll() is None or processes_of(case)) and time.monotonic() - began < PATIENCE:
        if told is None and '\nerror:' in '\n' + case.text():
            told = time.monotonic()
        if told is not None and time.monotonic() - told > SECONDS + 30:
            break
        time.sleep(0.1)
    return time.monotonic() - (told or began)


def run(case: Case, logs: Path) -> tuple[bool, str]:
    """Whether the case ended as it should, and a row of the table."""
    draw = random.Random(case.seed)
    shutil.copytree(case.streets, case.folder / 'streets')
    break_data(case)
    limit = little_disk if case.kind == 'middle: full disk' else hear_signals
    environment = {**os.environ, MARK: case.mark, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    with case.console.open('w') as console:
        process = subprocess.Popen(case.command(), stdout=console, stderr=console, cwd=case.folder,
                                   env=environment, start_new_session=True, preexec_fn=limit)
    codes = strike(case, process, draw)
    seconds, left = seconds_to_the_end(case, process), processes_of(case)
    for pid in left:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    code = process.wait(timeout=SECONDS)
    code = 128 - code if code < 0 else code  # as a shell counts a signal that comes before any handler
    line = next((line for line in case.text().splitlines() if line.startswith('error:')), 'no line')
    good = not left and seconds <= SECONDS and code in codes
    if not good:
        (logs / f'ending_{case.seed}.log').write_text(case.text())
    shutil.rmtree(case.folder, ignore_errors=True)
    return good, (f'| {case.kind} | {case.workers} | {case.ranks} | {case.seed} | {seconds:.1f} | {code} | '
                  f'{len(left)} | {"ok" if good else "FAIL"} | {line[:70]} |')


STARTS = ('start: misspelt key', 'start: no data', 'start: no checkpoint', 'start: bad image')
MIDDLES = ('middle: bad file', 'middle: full disk', 'middle: killed worker', 'middle: killed rank',
           'middle: bad validation image', 'middle: signal', LAUNCHED)


def cases(count: int, seed: int, streets: Path) -> list[Case]:
    """Half of them fail at the start; kinds, workers and processes in turn and drawn."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        kinds = STARTS if number % 2 else MIDDLES
        kind = kinds[number // 2 % len(kinds)]
        workers, ranks = draw.choice((0, 1, 3)), draw.choice((1, 2))
        if kind == 'middle: killed worker':
            workers = max(workers, 1)
        if kind == 'middle: killed rank':
            ranks = 2
        if kind == LAUNCHED:
            ranks = 1  # it starts as many as there are GPUs
        found.append(Case(kind, workers, ranks, seed * 10_000 + number, streets))
    return found


HEAD = ('| kind | workers | processes | seed | seconds to the end | exit code | left | | line |\n'
        '| --- | --- | --- | --- | --- | --- | --- | --- | --- |')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--streets', type=Path, required=True)
    parser.add_argument('--count', type=int, default=200)
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, default=Path('endings.md'))
    args = parser.parse_args()
    bad = 0
    with args.out.open('w') as table, ThreadPoolExecutor(args.jobs) as executor:
        table.write(HEAD + '\n')
        for good, row in executor.map(
                lambda case: run(case, args.out.resolve().parent),
                cases(args.count, args.seed, args.streets.resolve())):
            bad += not good
            table.write(row + '\n')
            table.flush()
            sys.stdout.write(row + '\n')
            sys.stdout.flush()
    sys.stdout.write(f'{args.count - bad} of {args.count} ended as documented\n')
    return int(bad > 0)


if __name__ == '__main__':
    sys.exit(main())
