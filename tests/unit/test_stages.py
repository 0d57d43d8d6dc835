"""Experiments of several stages: what refers to what, what is used again, in which order it is done."""
from __future__ import annotations

import json
import os
import shutil
import stat
from argparse import Namespace
from pathlib import Path

import pytest

import run_experiments
from experiments import resolve
from mmseg.experiments import launch, slurm
from mmseg.experiments.changes import changed
from mmseg.experiments.inputs import INPUTS, keep_inputs
from mmseg.experiments.launch import Failure
from mmseg.experiments.runs import (
    DONE,
    FINISHED,
    NEW,
    OUTPUT,
    OWN_CONFIG,
    PARTIAL,
    RUNNING,
    SLURM_JOB,
    Run,
    find_kept_config,
    forget_failed_start,
    write_config,
)
from mmseg.experiments.stages import Plan, Row, unfold
from mmseg.utils import UserError
from tools import summarize, train

PROGRAM = 'tools/make_pseudo_labels.py'
STEPS = 4


def training(name: str, **more) -> dict:
    return dict(name=name, runner=dict(max_iters=STEPS), data=dict(train=dict(target={})), seed=0, **more)


def row_cfg(**more) -> dict:
    labels = dict(program=PROGRAM, args=['{first.config}', '{first}', '--out', '{out}'])
    cfg = training('last', load_from='{first}',
                   stages=dict(first=dict(training('first'), _base_=[]), labels=labels), **more)
    cfg['data']['train']['target']['pseudo_labels'] = '{labels}'
    return cfg


def without_base(cfg: dict) -> dict:
    return {key: value for key, value in cfg.items() if key != '_base_'}


def planned(group: Path, *cfgs: dict, rerun: bool = False) -> list[Run]:
    plan = Plan(group, rerun)
    for cfg in cfgs or [row_cfg()]:
        plan.add(unfold(cfg, {}, without_base))
    return plan.runs


def finish(run: Run, content: bytes = b'weights') -> None:
    write_config(run)
    keep_inputs(run.work_dir, run.inputs)
    if 'program' in run.cfg:
        (run.output / 'labels').mkdir(parents=True)
        (run.output / 'labels/a.png').write_bytes(content)
        (run.work_dir / DONE).write_text('{}')
    else:
        run.output.write_bytes(content)


def test_values_refer_to_what_earlier_stages_make(tmp_path):
    first, labels, last = planned(tmp_path)
    made = first.work_dir / f'iter_{STEPS}.pth'
    assert labels.cfg['args'] == [str(first.config_file), str(made), '--out', '{out}']
    assert last.cfg['load_from'] == str(made)
    assert last.cfg['data']['train']['target']['pseudo_labels'] == str(labels.work_dir / OUTPUT)
    assert [run.needs for run in (first, labels, last)] == [
        (), (first.work_dir,), (labels.work_dir, first.work_dir)]
    assert [run.is_row for run in (first, labels, last)] == [False, False, True]
    assert [run.cfg['name'] for run in (first, labels)] == ['first', 'last_labels']
    assert 'stages' not in last.cfg and not list(tmp_path.iterdir())


def states(runs: list[Run]) -> list[str]:
    return [run.state for run in runs]


def test_a_finished_stage_is_used_again_wherever_its_folder_lies(tmp_path):
    for number in range(3):
        runs = planned(tmp_path / 'a')
        assert states(runs) == [FINISHED] * number + [NEW] * (3 - number)
        finish(runs[number])
    (tmp_path / 'a').rename(tmp_path / 'b')
    found = planned(tmp_path / 'b')
    assert states(found) == [FINISHED] * 3
    assert states(planned(tmp_path / 'b', rerun=True)) == [NEW] * 3
    # a stage that is done again reads where the folders lie now
    (found[2].output).unlink()
    (found[2].work_dir / 'iter_2.pth').touch()
    last = planned(tmp_path / 'b')[2]
    assert last.state == PARTIAL
    assert json.loads(write_config(last).read_text())['load_from'].startswith(str(tmp_path / 'b'))


def touch_again(run: Run) -> None:
    file = run.output / 'labels/a.png'
    os.utime(file, ns=(1, 1))


@pytest.mark.parametrize('change, expected', [
    (lambda runs: runs[0].output.write_bytes(b'others!'), [FINISHED, NEW, NEW]),
    (lambda runs: touch_again(runs[1]), [FINISHED, FINISHED, NEW]),
    (lambda runs: (runs[1].output / 'labels/b.png').touch(), [FINISHED, FINISHED, NEW]),
    (lambda runs: runs[2].output.write_bytes(b'others!'), [FINISHED] * 3),
    (lambda runs: runs[0].output.unlink(), [NEW, NEW, NEW]),
    (lambda runs: shutil.rmtree(runs[1].output), [FINISHED, NEW, NEW]),
])
def test_a_stage_whose_inputs_changed_is_made_anew(tmp_path, change, expected):
    for number in range(3):
        finish(planned(tmp_path)[number])
    change(planned(tmp_path))
    again = planned(tmp_path)
    assert states(again) == expected
    folders = set(tmp_path.iterdir())
    assert all((run.work_dir in folders) == (run.state == FINISHED) for run in again)


def test_the_config_of_a_stage_is_known_in_a_folder_of_another_name(tmp_path):
    for number in range(3):
        finish(planned(tmp_path)[number])
    for run in planned(tmp_path):
        moved = run.work_dir.rename(tmp_path / run.cfg['name'])
        assert find_kept_config(moved) == moved / run.config_file.name


def test_a_program_that_fails_at_once_leaves_nothing(tmp_path):
    labels = planned(tmp_path)[1]
    write_config(labels)
    (labels.work_dir / OWN_CONFIG).write_text('{}')
    forget_failed_start(labels)
    assert not labels.work_dir.exists()


def test_a_stage_of_another_config_is_made_anew_with_all_behind_it(tmp_path):
    for number in range(3):
        finish(planned(tmp_path)[number])
    other = row_cfg()
    other['stages']['labels']['args'] += ['--rule', 'bdl']
    assert states(planned(tmp_path, other)) == [FINISHED, NEW, NEW]
    other['stages']['first']['seed'] = 7
    assert states(planned(tmp_path, other)) == [NEW, NEW, NEW]


def test_a_stage_does_not_go_on_with_other_inputs(tmp_path):
    first, labels, _ = planned(tmp_path)
    write_config(labels)
    with pytest.raises(UserError, match='which an earlier stage makes, is not there'):
        keep_inputs(labels.work_dir, labels.inputs)
    finish(first)
    keep_inputs(labels.work_dir, labels.inputs)
    keep_inputs(labels.work_dir, labels.inputs)
    assert list(json.loads((labels.work_dir / INPUTS).read_text())) == [f'{first.work_dir.name}/iter_4.pth']
    first.output.write_bytes(b'others!')
    with pytest.raises(UserError, match='was begun with another content'):
        keep_inputs(labels.work_dir, labels.inputs)


def test_rows_share_a_stage_which_may_be_a_row_itself(tmp_path):
    third = training('third', load_from='{begin}', stages=dict(begin=dict(training('first'), _base_=[])))
    runs = planned(tmp_path, row_cfg(), training('first'), third)
    assert [run.cfg['name'] for run in runs] == ['first', 'last_labels', 'last', 'third']
    assert [run.is_row for run in runs] == [True, False, True, True]
    assert runs[3].cfg['load_from'] == runs[2].cfg['load_from']


def test_stages_that_are_one_run_are_one_input(tmp_path):
    again = dict(training('first'), _base_=[])
    cfg = training('last', load_from='{b}', stages=dict(a=again, b=again, c=dict(training('c'), _base_=[])))
    cfg['data']['train']['target'].update(one='{a}', other='{c}')
    first, other, last = planned(tmp_path, cfg)
    assert sorted(last.needs) == sorted([first.work_dir, other.work_dir])
    finish(first)
    with pytest.raises(UserError, match=f"'{other.output}', which an earlier stage makes, is not there"):
        keep_inputs(last.work_dir, last.inputs)


@pytest.mark.parametrize('change, message', [
    (dict(load_from='{frist}'), "'{frist}' refers to what is no earlier stage: did you mean 'first'"),
    (dict(stages=dict(a=dict(_base_=[], load_from='{b}'), b={})), "'{b}' refers to what is no earlier stage"),
    (dict(stages=dict(a=dict(program='tools/none.py'))), "there is no program 'tools/none.py'"),
    (dict(stages=dict(a=dict(program=PROGRAM, args='--rule bdl'))), 'expected a list of words'),
    (dict(stages=dict(a=dict(runner={}))), "stage 'a' of 'last': expected a dict with _base_"),
    (dict(stages=dict(out=dict(_base_=[]))), 'expected a word as its name'),
])
def test_wrong_descriptions_are_refused(tmp_path, change, message):
    cfg = {**row_cfg(), **change}
    if 'b' in cfg['stages']:
        cfg['stages']['b'] = dict(training('b'), _base_=[])
        cfg['stages']['a'].update(training('a'))
    with pytest.raises(UserError, match=message):
        planned(tmp_path, cfg)


def test_options_change_all_trainings_or_one_stage():
    row = unfold(row_cfg(), {}, without_base)
    found = changed(row, {'runner.max_iters': 9, 'stages.first.seed': 3, 'load_from': 'x.pth',
                          'stages.labels.args': ['a']})
    assert found.cfg['runner'] == found.stages['first'][0]['runner'] == dict(max_iters=9)
    assert (found.cfg['seed'], found.stages['first'][0]['seed']) == (0, 3)
    # what a stage makes stays
    assert (found.cfg['load_from'], found.stages['first'][0]['load_from']) == ('{first}', 'x.pth')
    assert found.stages['labels'][0]['args'] == ['a']
    with pytest.raises(UserError, match="'last' has no stage 'frist': did you mean 'first'"):
        changed(row, {'stages.frist.seed': 3})
    with pytest.raises(UserError, match="'last' has no key 'runer'"):
        changed(row, {'runer.max_iters': 3})


def test_options_and_data_folders_change_the_config_of_a_program():
    cfg = row_cfg()
    own = dict(training('own'), _base_=[])
    own['data']['train']['target']['data_root'] = 'data/a'
    cfg['stages']['labels']['config'] = own
    found = changed(unfold(cfg, {}, without_base), {
        'data.train.target.img_dir': 'b', 'stages.labels.config.seed': 3}, ['data=/x'])
    target = found.stages['labels'][0]['config']['data']['train']['target']
    assert target == dict(data_root='/x/a', img_dir='b')
    assert found.stages['labels'][0]['config']['seed'] == 3
    assert 'data' not in found.stages['labels'][0]


def test_a_stage_of_one_base_file():
    cfg = row_cfg()
    cfg['stages']['first'] = dict(_base_='toy/streets_source_mitb0_s0.py')
    cfg['stages']['labels']['config'] = dict(_base_='toy/streets_source_mitb0_s0.py', seed=5)
    found = unfold(cfg, {}, resolve)
    assert found.stages['first'][0]['model'] == found.stages['first'][1]['model'] != {}
    assert found.stages['labels'][0]['config']['seed'] == 5


def test_data_folders_move_in_all_stages():
    cfg = row_cfg()
    cfg['stages']['first']['data'] = dict(data_root='data/a')
    found = changed(unfold(cfg, {}, without_base), {}, ['data=/x'])
    assert found.stages['first'][0]['data'] == dict(data_root='/x/a')


# ------------------------------------------------------------------------------------- who does what

def note_the_order(children, run: Run, *settings) -> Failure | None:
    done = sorted(path.name for path in run.work_dir.parent.glob('*/done'))
    (run.work_dir / 'done').write_text(str(len(done)))
    return Failure('as it should') if run.cfg['name'] == 'fails' else None


def test_a_run_begins_after_those_that_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(launch.Children, 'run', note_the_order)
    folders = {name: tmp_path / name for name in ('a', 'b', 'c', 'fails', 'e', 'f')}
    needs = dict(b='a', c='b', e='fails', f='e')
    for folder in folders.values():
        folder.mkdir()
    runs = [Run({'name': name}, {}, folder, needs=(folders[needs[name]],) if name in needs else ())
            for name, folder in folders.items()]
    failures = launch.train_all(runs, [(), ()], run_experiments.train, begun=lambda run: None)
    assert [failure.reason if failure else None for failure in failures] == [
        None, None, None, 'as it should', f"not begun: {folders['fails']}, which it needs, is not finished",
        f"not begun: {folders['e']}, which it needs, is not finished"]
    places = {name: int((folders[name] / 'done').read_text()) for name in 'abc'}
    assert places['a'] < places['b'] < places['c']
    assert not (folders['e'] / 'done').exists()


def chain(tmp_path: Path, *states: str) -> list[Run]:
    folders = [tmp_path / str(number) for number in range(len(states))]
    return [Run({'name': folder.name, 'data': {}, 'runner': {}}, {}, folder, state,
                needs=tuple(folders[max(0, number - 1):number]))
            for number, (folder, state) in enumerate(zip(folders, states))]


def test_what_needs_a_run_of_another_process_waits(tmp_path, monkeypatch):
    runs = chain(tmp_path, FINISHED, RUNNING, NEW, NEW)
    assert run_experiments.to_do(runs) == run_experiments.to_do(runs, queue=True) == []
    assert run_experiments.to_do(chain(tmp_path, FINISHED, PARTIAL, NEW))[0].work_dir == tmp_path / '1'
    monkeypatch.setattr(run_experiments, 'is_queued', lambda folder: True)
    assert run_experiments.to_do(runs, queue=True) == runs[2:]


SBATCH = """#!/bin/sh
for script; do :; done
cat $script >> {log}
echo "Submitted batch job $(grep -c '^# Parameters' {log})"
"""


@pytest.fixture
def queue(tmp_path, monkeypatch) -> Path:
    """What sbatch is given, job after job; job 7 is in the queue."""
    log, programs = tmp_path / 'log', tmp_path / 'bin'
    programs.mkdir()
    for name, text in (('sbatch', SBATCH.replace('{log}', str(log))), ('srun', '#!/bin/sh\n'),
                       ('squeue', '#!/bin/sh\n[ "$3" = 7 ] && echo "7 PENDING"\n')):
        path = programs / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv('PATH', f'{programs}:{os.environ["PATH"]}')
    monkeypatch.setenv('PYTHONPATH', os.environ.get('PYTHONPATH', ''))
    return log


def test_jobs_of_a_chain_wait_for_each_other(tmp_path, queue):
    runs = chain(tmp_path / 'runs', RUNNING, NEW, NEW)
    runs[0].work_dir.mkdir(parents=True)
    (runs[0].work_dir / SLURM_JOB).write_text('7\n')
    jobs = slurm.submit(runs[1:], dict(slurm_dependency='singleton'), tmp_path / 'jobs')
    assert [job.job_id for job in jobs] == ['1', '2']
    given = [line for line in queue.read_text().splitlines() if 'depend' in line or 'invalid' in line]
    assert given == ['#SBATCH --dependency=singleton,afterok:7', '#SBATCH --kill-on-invalid-dep=yes',
                     '#SBATCH --dependency=singleton,afterok:1', '#SBATCH --kill-on-invalid-dep=yes']
    assert [(run.work_dir / SLURM_JOB).read_text() for run in runs] == ['7\n', '1\n', '2\n']


def test_programs_are_jobs_too(tmp_path, queue):
    runs = planned(tmp_path / 'runs')
    assert [job.job_id for job in slurm.submit(runs, {}, tmp_path / 'jobs')] == ['1', '2', '3']
    assert '#SBATCH --cpus-per-task=1\n' in queue.read_text()


def test_jobs_that_were_taken_are_known_where_a_later_one_is_not(tmp_path, queue, monkeypatch):
    runs = chain(tmp_path / 'runs', NEW, NEW, NEW)

    def refuse_the_second(executor, run, *settings) -> None:
        if run is runs[2]:
            raise OSError('no queue')

    monkeypatch.setattr(slurm, '_wait_for_needed', refuse_the_second)
    with pytest.raises(UserError, match='slurm did not take the jobs: no queue'):
        slurm.submit(runs, {}, tmp_path / 'jobs')
    assert [(run.work_dir / SLURM_JOB).read_text() for run in runs[:2]] == ['1\n', '2\n']


# ---------------------------------------------------------------------------------- scores, other programs

def leave_score(run: Run, score: float) -> None:
    lines = [dict(env_info=''), dict(mode='train', iter=STEPS, loss=1), dict(mode='val', iter=7, mIoU=score)]
    (run.work_dir / 'now.log.json').write_text(''.join(json.dumps(line) + '\n' for line in lines))


def scores(tmp_path: Path, row: Row, stages: bool = False) -> list[tuple]:
    args = Namespace(exp=5, work_dirs=tmp_path, stages=stages, metric='mIoU', best=False)
    return [tuple(summarize.score_of(cfg, folders, '', args, note))[1:]
            for cfg, folders, note, _ in summarize.runs_of_row(row, args).values()]


def test_the_score_of_a_row_is_that_of_its_last_stage(tmp_path):
    group, row = tmp_path / 'local-exp5', unfold(row_cfg(), {}, without_base)
    assert scores(tmp_path, row) == [('last', None, summarize.NO_RUN)]
    finish(planned(group)[0])
    leave_score(planned(group)[0], 0.25)
    assert scores(tmp_path, row) == [('last', None, "not run: comes after 'first'")]
    for number in (1, 2):
        finish(planned(group)[number])
    leave_score(planned(group)[2], 0.5)
    assert scores(tmp_path, row) == [('last', 0.5, '')]
    assert scores(tmp_path, row, stages=True) == [('first', 0.25, ''), ('last', 0.5, '')]
    first, _, last = planned(group)
    args = Namespace(exp=5, work_dirs=tmp_path, stages=False)
    [found] = summarize.runs_of_row(row, args).values()
    assert found.before == {last.work_dir: [first.work_dir]}  # the program between them is no training
    other = row_cfg()
    other['stages']['first']['seed'] = 7
    assert scores(tmp_path, unfold(other, {}, without_base)) == [('last', None, summarize.NO_RUN)]


def test_a_training_program_refuses_a_config_with_stages(tmp_path, capsys):
    path = tmp_path / 'chain.json'
    path.write_text(json.dumps(row_cfg()))
    with pytest.raises(SystemExit):
        train.main([str(path)])
    assert 'has stages before it (first, labels): run_experiments.py --config' in capsys.readouterr().err


def test_dry_run_shows_the_chain(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_experiments.print_plan(planned(Path('work')))
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith(('# [', 'python'))]
    assert [line for line in shown if line.startswith('#')] == [
        '# [1/3] first', '# [2/3] last_labels, after [1]', '# [3/3] last, after [2], [1]']
    run_experiments.print_plan(planned(Path('work'))[2:])  # --resume of one
    assert '# [1/1] last\n' in capsys.readouterr().out
    assert shown[2].startswith(f'python {PROGRAM} ') and shown[2].endswith("--out '{out}'")
