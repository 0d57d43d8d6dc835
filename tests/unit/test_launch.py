"""Earlier runs are found, left alone or gone on with; runs are spread over devices."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from mmseg.experiments import launch, runs
from mmseg.experiments.launch import Failure
from mmseg.experiments.runs import (
    FINISHED,
    NEW,
    PARTIAL,
    RUNNING,
    Run,
    find_or_create_run,
    run_lock,
    write_config,
)
from mmseg.utils import UserError

CFG = dict(name='toy[1]', runner=dict(max_iters=8), seed=0, crop=(64, 64))


def a_run(group: Path, cfg: dict = CFG) -> Run:
    run = find_or_create_run(cfg, {}, group)
    write_config(run)
    return run


def test_a_run_is_known_by_its_config(tmp_path):
    first = a_run(tmp_path)
    assert first.state == NEW and find_or_create_run(CFG, {}, tmp_path).work_dir != first.work_dir
    (first.work_dir / 'iter_4.pth').write_bytes(b'')
    again = find_or_create_run(CFG, {}, tmp_path)
    assert (again.state, again.work_dir) == (PARTIAL, first.work_dir)
    assert again.cfg['work_dir'] == str(first.work_dir)
    assert find_or_create_run({**CFG, 'seed': 1}, {}, tmp_path).state == NEW
    assert find_or_create_run(CFG, {}, tmp_path, rerun=True).state == NEW
    (first.work_dir / 'iter_8.pth').write_bytes(b'')
    assert find_or_create_run(CFG, {}, tmp_path).state == FINISHED
    assert find_or_create_run({**CFG, 'runner': dict(max_iters=16)}, {}, tmp_path).state == NEW


def test_done_is_read_from_the_checkpoint_where_only_latest_is_left(tmp_path):
    run = a_run(tmp_path)
    torch.save(dict(meta=dict(iter=8)), run.work_dir / 'latest.pth')
    assert find_or_create_run(CFG, {}, tmp_path).state == FINISHED


def test_a_done_run_is_preferred_to_a_newer_one_that_was_begun(tmp_path):
    done, begun = a_run(tmp_path), a_run(tmp_path)
    (done.work_dir / 'iter_8.pth').write_bytes(b'')
    (begun.work_dir / 'iter_4.pth').write_bytes(b'')
    assert find_or_create_run(CFG, {}, tmp_path).work_dir == done.work_dir


HOLD = 'import sys, time\nfrom pathlib import Path\nfrom mmseg.experiments.runs import run_lock\n' \
       'with run_lock(Path(sys.argv[1])):\n    print("run_lock", flush=True)\n    time.sleep(600)\n'


def test_a_folder_in_use_is_left_alone_until_its_process_has_ended(tmp_path):
    run = a_run(tmp_path)
    (run.work_dir / 'iter_4.pth').write_bytes(b'')
    kept = run.config_file.read_bytes()
    with subprocess.Popen([sys.executable, '-c', HOLD, run.work_dir], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert find_or_create_run(CFG, {}, tmp_path).state == RUNNING
        with pytest.raises(UserError, match='is in use'), run_lock(run.work_dir):
            pass
        other.kill()
    assert find_or_create_run(CFG, {}, tmp_path).state == PARTIAL
    assert run.config_file.read_bytes() == kept


def test_a_job_in_slurms_queue_is_left_alone(tmp_path, monkeypatch):
    run = a_run(tmp_path)
    (run.work_dir / runs.SLURM_JOB).write_text('17_0\n')
    squeue = tmp_path / 'bin' / 'squeue'
    squeue.parent.mkdir()
    squeue.write_text('#!/bin/sh\n[ "$3" = 17_0 ] && echo "17_0 PENDING"\n')
    squeue.chmod(0o755)
    assert find_or_create_run(CFG, {}, tmp_path).state == NEW
    monkeypatch.setenv('PATH', f'{squeue.parent}:{os.environ["PATH"]}')
    assert find_or_create_run(CFG, {}, tmp_path).state == RUNNING


def with_gpus(count: int) -> Run:
    return Run({'n_gpus': count}, {}, Path('x'))


def test_slots(monkeypatch):
    one, two = with_gpus(1), with_gpus(2)
    assert launch.device_groups([one] * 9, gpus=['0', '1', '2']) == [('0',), ('1',), ('2',)]
    assert launch.device_groups([one, two], gpus=['0', '1', '2', '3']) == [('0', '1'), ('2', '3')]
    assert launch.device_groups([one], jobs=3, gpus=['5', '7']) == [('5',), ('7',), ('5',)]
    assert launch.device_groups([one], gpus=[]) == [()]
    assert launch.device_groups([two], jobs=2, gpus=[]) == [(), ()]
    with pytest.raises(UserError, match='n_gpus=2, but this machine has 1 .*--options n_gpus=1'):
        launch.device_groups([two], gpus=['0'])
    with pytest.raises(UserError, match="n_gpus is 'many'"):
        launch.device_groups([with_gpus('many')], gpus=['0'])
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '3, GPU-abc')
    assert launch.visible_gpus() == ['3', 'GPU-abc']
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '-1')
    assert launch.visible_gpus() == []


def note_devices(run: Run) -> Failure | None:
    """In place of a training: two at a time have to meet."""
    devices = os.environ['CUDA_VISIBLE_DEVICES']
    sys.stdout.write("speaks\n")
    (run.work_dir / devices).write_text('')
    deadline = time.monotonic() + 60
    while len(list(run.work_dir.parent.glob('*/[57]'))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    return Failure('as it should') if run.cfg['fails'] else None


def test_runs_train_side_by_side_on_devices_of_their_own(tmp_path, capfd):
    folders = [tmp_path / str(number) for number in range(2)]
    for folder in folders:
        folder.mkdir()
    many = [Run({'fails': number == 1}, {}, folder) for number, folder in enumerate(folders)]
    reasons = launch.train_all(many, [('5',), ('7',)], note_devices, begun=lambda run: None)
    assert reasons == [None, ('as it should', 1)]
    assert sorted(path.name for path in tmp_path.glob('*/[57]')) == ['5', '7']
    assert all((folder / launch.CONSOLE).read_text() == 'speaks\n' for folder in folders)
    assert 'speaks' not in capfd.readouterr().out


def wait_for_signal(run: Run) -> Failure | None:
    got = []
    signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    os.kill(os.getppid(), signal.SIGTERM)  # as a scheduler tells the launching process
    deadline = time.monotonic() + 60
    while not got and time.monotonic() < deadline:
        time.sleep(0.05)
    return Failure(f'signal {int(got[0])}')


def test_a_signal_is_handed_on_and_no_further_run_begins(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    reasons = launch.train_all([Run({}, {}, tmp_path)] * 2, [()], wait_for_signal, begun=lambda run: None)
    assert reasons == [(f'signal {int(signal.SIGTERM)}', 1), ('not started: SIGTERM ended the launch', 143)]
    assert signal.getsignal(signal.SIGTERM) is before


def signal_that_meets_no_handler(run: Run) -> Failure | None:
    os.kill(os.getppid(), signal.SIGUSR1)
    signal.pause()


def test_a_signal_that_ends_a_run_before_its_training_begins_is_its_reason(tmp_path):
    one = [Run({}, {}, tmp_path)]
    found = launch.train_all(one, [()], signal_that_meets_no_handler, begun=lambda run: None)
    assert found == [('stopped by SIGUSR1; the same command goes on', 138)]


def test_a_look_at_the_lock_keeps_nobody_out(tmp_path):
    with run_lock(tmp_path):
        pass
    looking = FileLock(tmp_path / runs.LOCK, thread_local=False)
    looking.acquire()
    threading.Timer(0.3, looking.release, [True]).start()
    with run_lock(tmp_path):
        assert runs.is_held(tmp_path)
    assert not runs.is_held(tmp_path)


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path):
    with run_lock(tmp_path / 'above' / 'run'):
        assert runs.is_held(tmp_path / 'above' / 'run')
    assert not (tmp_path / 'above' / 'run').exists()
    with run_lock(tmp_path / 'run'):
        (tmp_path / 'run' / 'iter_1.pth').touch()
    with run_lock(tmp_path / 'run'):
        pass
    assert (tmp_path / 'run' / 'iter_1.pth').exists()
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='cannot write into'), run_lock(tmp_path / 'file' / 'run'):
        pass


STAND_IN = """
import os, signal, sys, time
def end(number, frame):
    # print is not to be called again while it is at work
    os.write(1, f"asked {number} {os.environ['TORCH_ELASTIC_SHUTDOWN_TIMEOUT']}\\n".encode())
    sys.exit(3)
signal.signal(signal.SIGTERM, end)
print('trains', flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
def test_signals_reach_a_training_of_several_processes(number):
    """And it is waited for, so that nobody else trains in its folder before it has ended."""
    program = ('import sys\nfrom mmseg.experiments.launch import run_to_the_end\n'
               'sys.exit(run_to_the_end([sys.executable, "-c", sys.argv[1]]))')
    launcher = subprocess.Popen([sys.executable, '-c', program, STAND_IN], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout.readline() == 'trains\n'
    launcher.send_signal(number)
    assert launcher.stdout.readline() == f'asked {signal.SIGTERM.value} {launch.SECONDS_TO_SAVE}\n'
    assert launcher.wait(60) == 128 + number
    launcher.stdout.close()


def test_the_end_of_a_training_that_nobody_asked_to_end():
    assert launch.run_to_the_end([sys.executable, '-c', 'raise SystemExit(5)']) == 5
