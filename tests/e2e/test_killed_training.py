"""Trainings that are killed (SIGKILL) at random moments, and go on as if they had not been.

Five kills by default; the environment variable MMSEG_KILLS sets their number, and MMSEG_KILL_SEED (0 by
default) the moments.
"""
from __future__ import annotations

import math
import os
import random
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest
import torch
from programs import forget_loggers
from tqdm import tqdm

from mmseg.checkpoint.files import checkpoints_of, verify_file
from mmseg.checkpoint.weights import load_file
from tools import train  # here, so that the children need not import it

KILLS = int(os.environ.get('MMSEG_KILLS', '5'))
SEED = int(os.environ.get('MMSEG_KILL_SEED', '0'))
STEPS = 8
pytestmark = pytest.mark.timeout(120 * KILLS)


@pytest.fixture
def config(tiny) -> Path:
    """A few milliseconds of training, and a checkpoint at almost every step."""
    return tiny(**{
        'runner.max_iters': STEPS, 'checkpoint_config.interval': 1, 'checkpoint_config.max_keep_ckpts': 2,
        'evaluation.interval': 3, 'evaluation.save_best': 'mIoU', 'log_config.interval': 3,
        'uda.entropy_balance.target': dict(type='RunningQuantile', quantile=0.6, momentum=0.9)})


def begin(config: Path, folder: Path, workers: int) -> int:
    """Start ``tools/train.py --resume auto`` in a child of this process, which has everything imported."""
    child = os.fork()
    if child:
        return child
    output = os.open(folder.with_suffix('.txt'), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = sys.stderr = os.fdopen(2, 'w', buffering=1)
    forget_loggers()
    # tqdm's own is a semaphore shared with the test, taken for ever if the kill comes while a bar moves
    tqdm.set_lock(threading.RLock())
    code = 70
    try:
        train.main([str(config), '--work-dir', str(folder), '--resume', 'auto', '--device', 'cpu',
                    '--options', f'data.workers_per_gpu={workers}'])
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def finish(config: Path, folder: Path, workers: int = 0) -> float:
    """Train to the end; the processor seconds that it took."""
    _, status, usage = os.wait4(begin(config, folder, workers), 0)
    assert os.waitstatus_to_exitcode(status) == 0, folder.with_suffix('.txt').read_text()
    return usage.ru_utime + usage.ru_stime


def kill(config: Path, folder: Path, moment: float, workers: int) -> bool:
    """Kill a training that has used ``moment`` seconds of a processor (a clock would count the other
    programs of a busy machine); False if it ended before."""
    child = begin(config, folder, workers)
    while processor_seconds(child) < moment:
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def processor_seconds(child: int) -> float:
    """Of a process; infinite once it has ended."""
    state, *numbers = Path(f'/proc/{child}/stat').read_text().rpartition(')')[2].split()
    return math.inf if state == 'Z' else sum(map(int, numbers[10:12])) / os.sysconf('SC_CLK_TCK')


def assert_same_end(one: Path, other: Path) -> None:
    first, second = (load_file(str(folder / f'iter_{STEPS}.pth')) for folder in (one, other))
    assert list(first['state_dict']) == list(second['state_dict'])
    for name, weight in first['state_dict'].items():
        assert torch.equal(weight, second['state_dict'][name]), name
    for number, state in first['optimizer']['state'].items():
        for name, value in state.items():
            assert torch.equal(value, second['optimizer']['state'][number][name]), (number, name)
    assert str(first['training']) == str(second['training'])
    best = [checkpoint['meta']['hook_msgs'] for checkpoint in (first, second)]
    assert best[0]['best_score'] == best[1]['best_score'] > 0
    assert [sorted(path.name for path in folder.glob('*.pth')) for folder in (one, other)] == 2 * [
        sorted(['latest.pth', *(f'iter_{step}.pth' for step in (STEPS - 1, STEPS)),
                Path(best[0]['best_ckpt']).name])]


def test_killed_trainings_end_as_the_undisturbed_one(config, tmp_path):
    """At any moment from the start of the program to its end, with the samples loaded by the training's own
    process or by another."""
    whole, draw = tmp_path / 'whole', random.Random(SEED)
    duration = finish(config, whole)
    killed = []
    while len(killed) < KILLS:
        folder, workers = tmp_path / f'run{len(killed)}', len(killed) % 2
        moment = draw.uniform(0, duration)
        if not kill(config, folder, moment, workers):
            shutil.rmtree(folder)
            continue
        found = checkpoints_of(folder)
        killed.append((round(moment, 2), max(found, default=0)))
        for path in found.values():
            verify_file(path)
        finish(config, folder, 1 - workers)
        assert_same_end(whole, folder)
        assert not list(folder.glob('*.tmp*'))
    (tmp_path / 'killed.txt').write_text('moment (s), steps done\n' + '\n'.join(map(str, killed)))
