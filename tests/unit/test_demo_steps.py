"""The demo's bookkeeping: what is finished is not repeated, what was cut short goes on."""
from __future__ import annotations

import os
import sys
import threading
from types import SimpleNamespace

import pytest

import demo.steps
from demo.steps import Step, run
from mmseg.utils import UserError


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def program(text: str) -> list[str]:
    return [sys.executable, '-c', text]


APPEND = "open('runs', 'a').write('x')"


def runs(tmp_path) -> int:
    return len((tmp_path / 'runs').read_text())


def test_a_finished_step_is_not_repeated(tmp_path, capsys):
    step = Step('append', program(APPEND), 'runs')
    first = run(step, 1, 2)
    assert run(step, 1, 2) == pytest.approx(first)
    assert runs(tmp_path) == 1
    assert 'finished earlier' in capsys.readouterr().out


def test_a_step_whose_result_was_removed_is_done_again(tmp_path):
    step = Step('append', program(APPEND), 'runs')
    run(step, 1, 1)
    (tmp_path / 'runs').unlink()
    assert step.record() is None
    run(step, 1, 1)
    assert runs(tmp_path) == 1


def test_another_command_of_the_same_name_is_run(tmp_path):
    run(Step('append', program(APPEND), 'runs'), 1, 1)
    run(Step('append', program(APPEND + ';1'), 'runs'), 1, 1)
    assert runs(tmp_path) == 2


def test_a_changed_config_is_run_again(tmp_path):
    config = tmp_path / 'configs/c.py'
    config.parent.mkdir()
    for text in ('a = 1', 'a = 1', 'a = 2'):
        config.write_text(text)
        run(Step('append', [*program(APPEND), 'configs/c.py'], 'runs'), 1, 1)
    assert runs(tmp_path) == 2


def test_a_failed_step_names_its_last_line_and_its_log(tmp_path):
    step = Step('bad', program("import sys; print('fine'); sys.exit('error: no such folder')"), '*')
    with pytest.raises(UserError, match=r'bad failed: error: no such folder .*logs/bad\.log'):
        run(step, 1, 1)
    assert (tmp_path / step.log).read_text() == 'fine\nerror: no such folder\n'


def test_a_step_cut_short_goes_on_by_its_resume_command(tmp_path):
    step = Step('train', program("raise SystemExit('killed')"), 'runs', program(APPEND))
    with pytest.raises(UserError):
        run(step, 1, 1)
    run(step, 1, 1)
    assert runs(tmp_path) == 1


def test_the_time_of_an_attempt_cut_short_counts(tmp_path):
    step = Step('train', program(APPEND), 'runs')
    step.remember(finished=False, seconds=100.0)
    step.log.parent.mkdir(parents=True)
    step.log.write_text('Iter 1\n')
    begun = step.record_file.stat().st_mtime
    os.utime(step.log, (begun + 50, begun + 50))
    assert 150 <= run(step, 1, 1) < 180


def test_output_is_shown_while_the_program_runs(monkeypatch, capsys):
    monkeypatch.setattr(demo.steps.StatusLine.__init__, '__defaults__', (0,))
    line = '2026-11-22 16:52:11,483 - mmseg - INFO - Iter 7, eta 0:00:01'
    run(Step('talk', program(f"print('{line}')"), '*'), 3, 9)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith('[3/9] python -c')
    assert '      talk: Iter 7, eta 0:00:01' in shown


def test_programs_are_started_with_the_python_of_the_demo(tmp_path, monkeypatch):
    monkeypatch.setenv('PYTHON', '/usr/bin/another')
    step = Step('shell', ['sh', '-c', 'echo "$PYTHON"'], '*')
    run(step, 1, 1)
    assert step.log.read_text().strip() == sys.executable


def test_steps_run_at_the_same_time_with_their_number_of_threads(tmp_path):
    """Each of the two waits for the other's file, so one after the other they would never end."""
    wait = ('import os, pathlib, time; pathlib.Path("{0}").touch()\n'
            'while not pathlib.Path("{1}").exists(): time.sleep(0.01)\n'
            'print(os.environ["OMP_NUM_THREADS"])')
    steps = [Step(name, program(wait.format(tmp_path / name, tmp_path / other)), '*', threads=1)
             for name, other in (('one', 'two'), ('two', 'one'))]
    assert len(demo.steps.run_together(steps, 1, 2)) == 2
    assert [step.log.read_text().strip() for step in steps] == ['1', '1']


def test_of_steps_run_together_the_failed_one_is_told(tmp_path):
    steps = [Step('good', program('print(1)'), '*'), Step('bad', program('raise SystemExit("no room")'), '*')]
    with pytest.raises(UserError, match='bad failed: no room'):
        demo.steps.run_together(steps, 1, 2)
    assert steps[0].record()['finished']


def test_configs_are_read_before_the_programs_run_together(tmp_path, monkeypatch):
    readers = []

    def read(path):
        readers.append(threading.current_thread())
        return SimpleNamespace(pretty_text=path)

    monkeypatch.setattr(demo.steps.Config, 'fromfile', read)
    steps = [Step(name, [*program('print(1)'), f'configs/{name}.py'], '*') for name in 'abc']
    demo.steps.run_together(steps, 1, 3)
    assert set(readers) == {threading.main_thread()}
    assert len(readers) == 3
