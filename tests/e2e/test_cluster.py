"""An experiment as an array of submitit's jobs (its local executor: no slurm is needed)."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from programs import ROOT

import run_experiments
from mmseg.checkpoint.weights import load_file
from mmseg.utils.config import load_config

STEPS, TIMED_OUT_AFTER = 4, 3
# The signal that slurm sends to a job when its time is nearly up, once, at a known step.
HOOK = """
import os, signal, time
from pathlib import Path
from mmcv.runner import HOOKS, Hook

@HOOKS.register_module()
class TimeIsUpOnce(Hook):
    def __init__(self, note):
        self.note = Path(note)

    def after_train_iter(self, runner):
        if runner.iter + 1 == {step} and not self.note.exists():
            self.note.write_text('')
            os.kill(os.getppid(), signal.SIGUSR2)
            time.sleep(2)
"""


@pytest.fixture
def experiment(tiny, tmp_path, monkeypatch):
    """--exp 900 is two runs of one method; only the time of the first runs out."""
    (tmp_path / 'time_is_up.py').write_text(HOOK.format(step=TIMED_OUT_AFTER))
    monkeypatch.setenv('PYTHONPATH', f'{ROOT}:{tmp_path}')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    shared = {'checkpoint_config.interval': 2, 'checkpoint_config.max_keep_ckpts': -1,
              'evaluation.interval': STEPS, 'log_config.interval': 1, 'runner.max_iters': STEPS}
    hook = {'custom_imports': dict(imports=['time_is_up'], allow_failed_imports=False),
            'custom_hooks': [dict(type='TimeIsUpOnce', note=str(tmp_path / 'note'))]}
    config = load_config(tiny(**shared))
    cfgs = [{**config._cfg_dict.to_dict(), 'name': name, **more}
            for name, more in (('timed_out', hook), ('undisturbed', {}))]
    monkeypatch.setattr(run_experiments, 'generate_experiment_cfgs', lambda number: [
        {'_base_': [], **cfg} for cfg in cfgs])


def test_a_job_that_times_out_goes_on_and_finishes_exactly(experiment, run_program, monkeypatch, tmp_path):
    jobs = []

    def submit_and_note(*args):
        jobs.extend(submit(*args))
        return jobs

    submit = run_experiments.submit
    monkeypatch.setattr(run_experiments, 'submit', submit_and_note)
    command = ['run_experiments', '--exp', '900', '--machine', 'slurm', '--slurm', 'cluster=local',
               'timeout_min=9', 'gpus_per_node=0']
    shown = run_program(*command).out
    assert '2 of 2 runs submitted' in shown
    results = [Path(job.result()) for job in jobs]

    log = jobs[0].stderr()
    assert 'this job is timed-out' in log, log
    assert 'resumed from' in log, log
    for folder in results:
        assert folder.parent == tmp_path / 'work_dirs' / 'slurm-exp900'
    assert_same_end(*results)

    again = run_program(*command).out
    assert again.count(' is done ') == 2 and '0 of 2 runs submitted' in again


def assert_same_end(one: Path, other: Path) -> None:
    states = [load_file(str(folder / f'iter_{STEPS}.pth')) for folder in (one, other)]
    assert states[0]['meta']['iter'] == states[1]['meta']['iter'] == STEPS
    assert all(torch.equal(states[0]['state_dict'][name], weight)
               for name, weight in states[1]['state_dict'].items())


@pytest.mark.parametrize('settings, parts', [
    (['cluster=slrum'], ["cluster=slrum", "any executor named slrum"]),
    (['cluster=local', 'slurm_partion=gpu'], ['slurm_partion=gpu', "Unknown argument 'partion'"]),
    (['cluster=local', 'timeout_min=1h'], ['timeout_min=1h', 'timeout_min', "int"]),
    (['partition'], ["'partition'", 'key=value']),
    ([], ['cluster=slurm', 'srun']),
])
def test_settings_that_submitit_refuses(experiment, run_program, tmp_path, monkeypatch, settings, parts):
    monkeypatch.setenv('PATH', '/nowhere')
    given = ['--slurm', *settings] if settings else []
    ended = run_program('run_experiments', '--exp', '900', '--machine', 'slurm', *given, code=1)
    [line] = ended.complaints
    assert line.startswith('error: ') and all(part in line for part in parts), line
    assert not list((tmp_path / 'work_dirs').rglob('*.json'))


def test_the_array_needs_submitit(experiment, run_program, monkeypatch):
    monkeypatch.setitem(sys.modules, 'submitit', None)
    ended = run_program('run_experiments', '--exp', '900', '--machine', 'slurm', code=1)
    assert "pip install 'submitit" in ended.complaints[0]


def test_training_command_starts_one_process_per_device(tmp_path):
    from mmseg.experiments.launch import training_command
    command = training_command(tmp_path / 'a.json', 2)
    asked = subprocess.run([*command[:3], '--help'], capture_output=True, text=True, check=True).stdout
    assert '--nproc-per-node' in asked and '--nproc_per_node=2' in command
    assert command[-6:] == ['--resume', 'auto', '--work-dir', str(tmp_path), '--launcher', 'pytorch']
