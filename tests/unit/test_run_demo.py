"""The demo's table and what it starts, without the hours of real programs (tests/e2e runs those)."""
from __future__ import annotations

import json
import os

import pytest

from demo import run_demo
from mmseg.utils import UserError


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder of finished runs of every method, tested with 10, 20 and 30 % mIoU."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'configs').symlink_to(run_demo.ROOT / 'configs')
    for number, name in enumerate(run_demo.METHODS.values(), 1):
        folder = run_demo.RUNS / f'261122_1200_{name}_abcde'
        folder.mkdir(parents=True)
        for time, miou in (('20261122_120000', 0.5), ('20261122_130000', number / 10)):
            (folder / f'eval_latest_{time}.json').write_text(json.dumps({'scores': {'mIoU': miou}}))
    return run_demo.RUNS


def test_table_shows_the_last_score_of_each_method(runs):
    table = run_demo.comparison({'source only': 60, 'DAFormer': 90, 'EBDA': 120})
    config_steps = {row[1] for row in table.rows}
    assert [[row[0], *row[2:]] for row in table.rows] == [
        ['source only', 0, '10.00', '1.0'], ['DAFormer', 0, '20.00', '1.5'], ['EBDA', 0, '30.00', '2.0']]
    assert len(config_steps) == 1, 'the methods are compared after the same number of steps'


def test_lost_scores_are_told_in_one_line(runs):
    for path in runs.glob('*/eval_latest_*.json'):
        path.unlink()
    with pytest.raises(UserError, match='scores of streets_source_mitb0_s0 are gone'):
        run_demo.target_miou('streets_source_mitb0_s0')


def test_training_that_has_saved_a_checkpoint_goes_on(runs):
    name = run_demo.METHODS['EBDA']
    assert run_demo.train_step(name).resume_command is None
    folder = run_demo.newest_run(name)
    (folder / 'latest.pth').write_bytes(b'')
    assert run_demo.train_step(name).resume_command[-2:] == ['--resume', str(folder)]


def test_the_most_recent_run_counts(runs):
    name = run_demo.METHODS['EBDA']
    newer = runs / f'261122_1200_{name}_00000'
    newer.mkdir()
    later = run_demo.newest_run(name).stat().st_mtime + 5
    os.utime(newer, (later, later))
    assert run_demo.newest_run(name) == run_demo.RUNS / newer.name


def test_programs_and_configs_that_the_demo_starts_exist():
    steps = [*run_demo.data_steps(), *map(run_demo.train_step, run_demo.METHODS.values()),
             *map(run_demo.test_step, run_demo.METHODS.values())]
    for step in steps:
        for argument in step.command[1:]:
            if argument.endswith(('.py', '.sh')):
                assert (run_demo.ROOT / argument).is_file(), argument


@pytest.mark.parametrize('arguments, code', [(['-h'], 0), (['--no-such-option'], 2)])
def test_asking_for_help_starts_nothing(runs, monkeypatch, arguments, code):
    monkeypatch.setattr(run_demo, 'run', lambda *_: pytest.fail('a step was started'))
    with pytest.raises(SystemExit) as end:
        run_demo.main(arguments)
    assert end.value.code == code
