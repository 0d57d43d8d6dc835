from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import run_experiments
from experiments import TABLES
from mmseg.engine.stopping import TrainingInterrupted
from mmseg.experiments.changes import with_data_root
from mmseg.experiments.launch import train_all
from mmseg.utils import UserError, one_line_errors

TOY = 'configs/toy/streets_test.py'


@pytest.fixture
def trained(monkeypatch):
    """Replaces tools.train by a program that notes its arguments and fails on names in ``failing``."""
    program, package = ModuleType('tools.train'), ModuleType('tools')
    program.calls, program.failing = [], {}

    @one_line_errors
    def main(argv):
        program.calls.append(argv)
        name = json.loads(Path(argv[0]).read_text())['name']
        if name in program.failing:
            raise program.failing[name]

    program.main = main
    package.train = program
    monkeypatch.setitem(sys.modules, 'tools', package)
    monkeypatch.setitem(sys.modules, 'tools.train', program)

    def train_here(runs, places, train, begun):
        return [begun(run) or train(run) for run in runs]

    monkeypatch.setattr(run_experiments, 'train_all', train_here)
    return program


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the program with work dirs in tmp_path; gives (exit code, output, errors)."""
    def call(*argv):
        with pytest.raises(SystemExit) as end:
            run_experiments.main([*map(str, argv), '--work-dirs', str(tmp_path / 'work')])
        return end.value.code, *capsys.readouterr()
    monkeypatch.chdir(Path(run_experiments.__file__).parent)
    return call


def test_list_prints_every_table(run):
    code, out, _ = run('--list')
    assert code == 0
    assert '  21  EBDA: Cityscapes to ACDC at the budget of DAFormer (40k of batch 2) (3 runs)' in out
    assert len(out.splitlines()) == len(TABLES)


def test_dry_run_prints_config_and_difference_and_writes_nothing(run, tmp_path, trained):
    code, out, _ = run('--exp', 120, '--dry-run')
    assert code == 0 and not trained.calls and not list(tmp_path.iterdir())
    assert "entropy_balance=dict(" in out
    assert '~ runner' not in out and '+ runner.max_iters = 2' in out
    assert '~ uda.pseudo_weight_ignore_bottom = 120 (was 0)' in out


def test_dry_run_of_a_file_compares_with_its_base(run, trained):
    _, out, _ = run('--config', TOY, '--dry-run', '--options', 'seed=7')
    difference = out[out.index('# difference'):]
    assert '~ runner.max_iters = 4 (was 800)' in difference
    assert '~ seed = 7 (was 0)' in difference
    assert 'uda.alpha' not in difference


def test_config_runs_in_a_folder_of_its_own(run, tmp_path, trained):
    for _ in range(2):
        assert run('--config', TOY)[0] == 0
    folders = sorted((tmp_path / 'work' / 'local-basic').iterdir())
    assert len(folders) == 2
    for folder in folders:
        cfg = json.loads((folder / f'{folder.name}.json').read_text())
        assert cfg['work_dir'] == str(folder) and '_base_' not in cfg
        assert '_streets_test_' in folder.name
    assert sorted(argv[0] for argv in trained.calls) == [str(f / f'{f.name}.json') for f in folders]


def test_failed_run_is_reported_and_the_others_go_on(run, trained):
    names = [cfg['name'] for cfg in run_experiments.generate_experiment_cfgs(22)]
    trained.failing = {names[1]: UserError('no such data'), names[3]: RuntimeError('a\nbug')}
    code, out, err = run('--exp', 22)
    assert code == 1 and len(trained.calls) == 6
    assert f'[6/6] {names[5]}' in out and '4 of 6 runs finished' in out
    score, time, result = out.splitlines()[-3:]
    assert score.startswith('score:  mIoU ') and score.count('not evaluated') == 2
    assert time == 'time:   0:00:00 for 4 runs'
    assert 'report: python -m tools.report --exp 22 --work-dirs ' in result
    errors = [line for line in err.splitlines() if line.startswith('error: ')]
    assert len(errors) == 2
    assert names[1] in errors[0] and errors[0].endswith(': no such data')
    assert names[3] in errors[1] and errors[1].endswith(': RuntimeError: a bug')
    assert 'Traceback' in err


def test_resume_goes_on_in_the_same_folder(run, tmp_path, trained):
    run('--config', TOY, '--options', 'seed=5')
    folder = next((tmp_path / 'work' / 'local-basic').iterdir())
    (folder / 'latest.pth').write_bytes(b'')
    (folder / 'now.log.json').write_text('{}')
    before = sorted(folder.iterdir())
    assert run('--resume', folder)[0] == 0
    config = folder / f'{folder.name}.json'
    assert trained.calls[-1] == [str(config), '--work-dir', str(folder), '--resume', 'auto']
    assert sorted(folder.iterdir()) == before
    assert json.loads(config.read_text())['seed'] == 5

    assert run('--config', TOY, '--resume', folder)[0] == 0
    assert trained.calls[-1][0] == str(config.with_name(f'{config.stem}_2.json'))
    assert json.loads(config.read_text())['seed'] == 5


@pytest.mark.parametrize('how', ['moved', 'tested since', 'link'])
def test_resume_trains_in_the_folder_that_it_is_given(run, tmp_path, trained, how):
    run('--config', TOY)
    folder = next((tmp_path / 'work' / 'local-basic').iterdir())
    kept = f'{folder.name}.json'
    (folder / 'latest.pth').write_bytes(b'')
    if how == 'link':
        (tmp_path / 'link').symlink_to(folder)
        given = tmp_path / 'link'
    else:
        given = folder = folder.rename(tmp_path / 'elsewhere')
    if how == 'tested since':
        (folder / 'eval_latest_1.json').write_text('{}')
    code, out, err = run('--resume', given)
    assert code == 0, err
    config = folder / (kept if how == 'link' else 'elsewhere.json')
    assert trained.calls[-1] == [str(config), '--work-dir', str(folder), '--resume', 'auto']


def test_options_add_up_and_settings_of_slurm_need_it(run, trained):
    _, out, _ = run('--config', TOY, '--dry-run', '--options', 'seed=7', '--options', 'n_gpus=2')
    assert '~ seed = 7 (was 0)' in out and '~ n_gpus = 2' in out
    code, _, err = run('--config', TOY, '--slurm', 'timeout_min=5')
    assert code == 2 and '--slurm is for --machine slurm' in err and not trained.calls


def test_more_gpus_than_there_are(run, trained, monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '0,1')
    code, _, err = run('--config', TOY, '--options', 'n_gpus=4')
    assert code == 1 and err.startswith('error: n_gpus=4, but this machine has 2') and not trained.calls


def test_a_full_disk_is_the_reason_of_a_run(run, trained):
    trained.failing = {'streets_test': OSError(28, 'No space left on device', 'iter_4.pth')}
    code, _, err = run('--config', TOY)
    assert code == 1 and "cannot write 'iter_4.pth': No space left on device" in err
    assert 'Traceback' not in err


@pytest.mark.parametrize('code, failure', [
    (0, None), (None, None), (1, ('exit code 1', 1)), (255, ('exit code 255', 1)), (-9, ('exit code -9', 1)),
    (143, ('stopped by SIGTERM; the same command goes on', 143))])
def test_the_reason_of_an_exit_code(code, failure):
    assert run_experiments.ended(code) == failure


@pytest.mark.parametrize('number, code', [(signal.SIGTERM, 143), (signal.SIGUSR1, 138), (signal.SIGINT, 130)])
def test_the_exit_code_says_which_signal_ended_the_runs(run, trained, number, code):
    """Of one run and of several, also where another one fails for a reason of its own."""
    trained.failing = {'streets_test': TrainingInterrupted(number)}
    found, _, err = run('--config', TOY)
    assert found == code and f'stopped by {signal.Signals(number).name}' in err
    names = [cfg['name'] for cfg in run_experiments.generate_experiment_cfgs(22)]
    trained.failing = {names[0]: UserError('no such data'), names[1]: TrainingInterrupted(number)}
    assert run('--exp', 22)[0] == code


def test_a_reader_that_stops_reading(tmp_path):
    program = Path(run_experiments.__file__)
    done = subprocess.run(f'"{sys.executable}" "{program}" --exp 120 --dry-run | head -1', shell=True,
                          cwd=program.parent, capture_output=True, text=True, check=True)
    assert done.stdout.startswith('# [1/') and 'Traceback' not in done.stderr
    assert 'BrokenPipe' not in done.stderr


def test_a_broken_pipe_elsewhere_is_no_silent_end():
    @one_line_errors
    def main():
        raise BrokenPipeError(32, 'Broken pipe')

    with pytest.raises(BrokenPipeError):
        main()


class KilledRun(run_experiments.Run):
    """Its process ends at once, as one that ran out of memory does."""

    @property
    def config_file(self):
        os._exit(9)


def test_runs_in_processes_of_their_own_report_back(tmp_path):
    (tmp_path / 'file').write_text('')
    run = run_experiments.Run(cfg={}, base={}, work_dir=tmp_path / 'file' / 'run')
    killed = KilledRun(cfg={}, base={}, work_dir=tmp_path / 'killed')
    reasons = train_all([run, killed], [()], run_experiments.train, begun=lambda run: None)
    assert reasons[0].reason.startswith(f"cannot write '{run.config_file}'")
    assert 'ended without a report' in reasons[1].reason


@pytest.mark.parametrize('argv, message', [
    (['--exp', '19'], 'error: there is no experiment 19: known are 1, 2,'),
    (['--config', 'configs/none.py'], "error: the config 'configs/none.py' does not exist"),
    (['--config', TOY, '--options', 'runer.max_iters=3'], "did you mean 'runner'"),
    (['--config', TOY, '--options', 'seed.x=3'], 'error: the options '),
    (['--config', TOY, '--options', 'seed'], "error: option 'seed' must have the form key=value"),
    (['--config', TOY, '--data-root', 'nowhere=x'], "no data set lies below 'nowhere'"),
    (['--config', TOY, '--data-root', 'data'], 'expected OLD=NEW'),
    (['--resume', 'nowhere'], "there is no folder 'nowhere'"),
    (['--resume', 'configs'], 'has 0 config files'),
])
def test_mistakes_end_in_one_line(run, trained, argv, message):
    code, _, err = run(*argv)
    assert code == 1 and not trained.calls
    assert message in err and err.count('\n') == 1 and err.startswith('error: ')


def test_resume_without_checkpoint(run, tmp_path, trained):
    run('--config', TOY)
    folder = next((tmp_path / 'work' / 'local-basic').iterdir())
    code, _, err = run('--resume', folder)
    assert code == 1 and 'has no checkpoint' in err


def test_resume_of_another_experiment_is_refused(run, tmp_path, trained):
    run('--config', TOY)
    folder = next((tmp_path / 'work' / 'local-basic').iterdir())
    (folder / 'latest.pth').write_bytes(b'')
    code, _, err = run('--exp', 120, '--resume', folder)
    assert code == 1 and "is 'streets_test', which is not what" in err


def test_damaged_config_is_named(run, tmp_path):
    path = tmp_path / 'broken.py'
    path.write_text('model = dict(')
    code, _, err = run('--config', path)
    assert code == 1 and err.startswith(f"error: the config '{path}' cannot be read")
    assert err.count('\n') == 1


def test_data_roots_below_a_folder_move():
    cfg = dict(data_root='data/a', data=dict(val=[dict(data_root='data/a/b')], test=(dict(
        data_root='data/ab'),)))
    assert with_data_root(cfg, 'data/a=/x') == dict(
        data_root='/x', data=dict(val=[dict(data_root='/x/b')], test=(dict(
            data_root='data/ab'),)))


def test_the_end_of_a_training_in_words():
    assert run_experiments.ended(0) is None and run_experiments.ended(3).reason == 'exit code 3'
    assert run_experiments.ended(143).reason == 'stopped by SIGTERM; the same command goes on'


def test_differences():
    lines = run_experiments.differences(dict(a=dict(b=1, c={}), d=2), dict(a=dict(b=3, c={}), e=4))
    assert lines == ['~ a.b = 3 (was 1)', '- d (was 2)', '+ e = 4']


def test_precision_and_compilation_by_option(capsys):
    options = ['amp.dtype=bfloat16', 'compile=True', 'tf32=True', 'model.backbone.with_cp=True']
    with pytest.raises(SystemExit) as end:
        run_experiments.main(['--exp', '20', '--dry-run', '--options', *options])
    assert end.value.code == 0
    changed = {"+ amp.dtype = 'bfloat16'", '+ compile = True', '+ tf32 = True',
               '+ model.backbone.with_cp = True'}
    assert changed <= set(capsys.readouterr().out.splitlines())
