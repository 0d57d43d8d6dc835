"""The table over seeds, from logs and folders as training leaves them."""
from __future__ import annotations

import json
import statistics

import pytest

from mmseg.experiments.differences import variants
from mmseg.utils.files import write_json
from run_experiments import changed, resolve, unfold
from tools import summarize

STEPS = 20


def config(seed: int, method: str = 'a', root: str = 'data/streets') -> dict:
    return dict(name=f'toy_{method}_s{seed}', seed=seed, method=method, runner=dict(max_iters=STEPS),
                data=dict(data_root=root, workers_per_gpu=2), _base_=[])


@pytest.fixture
def summary(tmp_path, monkeypatch, capsys):
    cfgs = [config(seed, method) for method in 'ab' for seed in range(3)]
    monkeypatch.setattr(summarize, 'generate_experiment_cfgs', lambda number: cfgs)
    monkeypatch.setattr(summarize, 'resolve', lambda cfg: {k: v for k, v in cfg.items() if k != '_base_'})

    def call(*argv):
        with pytest.raises(SystemExit) as end:
            summarize.main(['--exp', '5', '--work-dirs', str(tmp_path), *argv])
        return end.value.code, *capsys.readouterr()
    return call


def leave_run(tmp_path, cfg: dict, scores: dict[int, float], group: str = 'local-exp5', stamp: str = '260101',
              done: bool = True):
    folder = tmp_path / group / f'{stamp}_0000_{cfg["name"]}_abcde'
    write_json(folder / f'{folder.name}.json', {**{k: v for k, v in cfg.items() if k != '_base_'},
                                                'work_dir': str(folder)})
    lines = [dict(env_info='')]
    for step, score in scores.items():
        lines += [dict(mode='train', iter=step, loss=1.0), dict(mode='val', iter=7, mIoU=score)]
    (folder / 'now.log.json').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    (folder / f'iter_{STEPS if done else 10}.pth').write_bytes(b'')
    return folder


def test_results_keep_runs_that_are_elsewhere(summary, tmp_path):
    """Seeds trained in two places, or after a folder is gone, make one table."""
    data = tmp_path / 'data.json'
    first = leave_run(tmp_path, config(0), {STEPS: 0.5})
    assert summary('--json', str(data))[0] == 0
    kept = json.loads(data.read_text())
    kept['runs'][0]['certainty'] = {'ECE': 0.1}
    write_json(data, kept)
    leave_run(tmp_path, config(1), {STEPS: 0.6})
    assert summary('--json', str(data))[0] == 0
    for path in first.iterdir():
        path.unlink()
    assert summary('--json', str(data))[0] == 0
    found = [(run['seed'], run['mIoU'], run['certainty']) for run in json.loads(data.read_text())['runs']]
    assert found == [(0, 0.5, {'ECE': 0.1}), (1, 0.6, None)]
    leave_run(tmp_path, config(1), {STEPS: 0.7}, stamp='260102')
    assert summary('--json', str(data))[0] == 0
    assert [run['mIoU'] for run in json.loads(data.read_text())['runs']] == [0.5, 0.7]
    assert f'"curve": [\n    [{STEPS}, 0.7]\n   ],' in data.read_text(), 'a list of numbers is a line'


def test_results_of_another_experiment_are_not_overwritten(summary, tmp_path):
    leave_run(tmp_path, config(0), {STEPS: 0.5})
    data = tmp_path / 'data.json'
    write_json(data, dict(experiment=6, runs=[]))
    code, _, err = summary('--json', str(data))
    assert code == 1 and 'holds no results of experiment 5' in err
    assert json.loads(data.read_text())['experiment'] == 6


def test_mean_and_deviation_over_seeds_with_the_missing_named(summary, tmp_path):
    values = [0.5, 0.54, 0.61]
    for seed, value in enumerate(values):
        # seed 1 ran elsewhere: another machine, another folder of the data, another number of workers
        elsewhere = seed == 1
        cfg = config(seed, root='/scratch/streets' if elsewhere else 'data/streets')
        cfg['data']['workers_per_gpu'] = 8 if elsewhere else 2
        leave_run(tmp_path, cfg, {10: 0.9, STEPS: value}, 'slurm-exp5' if elsewhere else 'local-exp5')
    leave_run(tmp_path, config(0, 'b'), {STEPS: 0.7})
    begun = leave_run(tmp_path, config(1, 'b'), {10: 0.2}, done=False)
    leave_run(tmp_path, {**config(2, 'b'), 'lr': 1}, {STEPS: 0.2})  # of other options
    code, out, err = summary()
    mean, deviation = 100 * statistics.fmean(values), 100 * statistics.stdev(values)
    assert code == 0
    assert out.splitlines()[2:] == [f'| toy_a | {mean:.2f} ± {deviation:.2f} | 3 |', '| toy_b | 70.00 | 1 |']
    assert err.splitlines() == [f'missing: toy_b_s1 (partial: {begun})', 'missing: toy_b_s2 (not run)']
    rows = summary('--format', 'csv')[1].splitlines()
    assert rows[1:] == [f'toy_a,{mean:.2f},{deviation:.2f},3', 'toy_b,70.00,-,1']
    assert '| toy_a | 90.00 ± 0.00 | 3 |' in summary('--best')[1]


def test_the_newest_finished_run_counts(summary, tmp_path):
    leave_run(tmp_path, config(0), {STEPS: 0.1}, stamp='260101')
    leave_run(tmp_path, config(0), {STEPS: 0.2}, stamp='260102')
    leave_run(tmp_path, config(0), {10: 0.3}, stamp='260103', done=False)
    assert '| toy_a | 20.00 | 1 |' in summary()[1]


def test_a_run_without_its_last_evaluation_is_missing(summary, tmp_path):
    leave_run(tmp_path, config(0), {10: 0.1})
    assert 'missing: toy_a_s0 (mIoU was not evaluated after the last step' in summary()[2]


def of_runs(capsys, *argv) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        summarize.main(list(map(str, argv)))
    return end.value.code, *capsys.readouterr()


def test_any_folders_of_runs(tmp_path, capsys):
    folders = [leave_run(tmp_path, config(seed), {STEPS: score}, group='anywhere')
               for seed, score in ((0, 0.5), (1, 0.6))]
    other = leave_run(tmp_path, {**config(0), 'lr': 0.1}, {STEPS: 0.3}, group='elsewhere')
    begun = leave_run(tmp_path, config(2), {10: 0.2}, group='anywhere', done=False)
    code, out, err = of_runs(capsys, *folders, other, begun, folders[0])
    assert code == 0 and out.splitlines()[2:] == [
        f'| toy_a | 55.00 ± {statistics.stdev([50, 60]):.2f} | 2 |', '| toy_a, lr = 0.1 | 30.00 | 1 |']
    assert err == f'missing: toy_a_s2 (partial: {begun})\n'
    assert of_runs(capsys, *folders, '--seeds', '1')[1].splitlines()[2:] == ['| toy_a | 60.00 | 1 |']


def test_settings_that_differ_late_are_named_where_the_first_do_not_tell_them_apart():
    """Or two kinds of runs would be one row, averaged as if they were seeds."""
    one = dict(name='x_s0', a=1, b=1, c=1, d=1, e=1)
    changes = [{}, dict(a=2, b=2, c=2, d=2), dict(a=2, b=2, c=2, e=5), dict(b=2, c=2, d=2, e=2)]
    assert variants([{**one, **change} for change in changes]) == [
        '', ', a = 2, b = 2, c = 2, d = 2', ', a = 2, b = 2, c = 2, e = 5', ', b = 2, c = 2, d = 2, …']


def test_mistakes_in_folders(tmp_path, capsys):
    (tmp_path / 'empty').mkdir()
    write_json(tmp_path / 'data' / 'data.json', {'model': {}})
    wanted = 'give folders of runs, or --exp ID'
    for argv, told in (([tmp_path / 'none'], 'there is no folder'), ([], wanted),
                       ([tmp_path / 'empty'], 'has 0 config files'), ([tmp_path, '--exp', '5'], wanted),
                       ([tmp_path / 'data'], 'has no runner.max_iters'),
                       ([tmp_path, '--json', 'x.json'], '--json is for --exp')):
        code, _, err = of_runs(capsys, *argv)
        assert code and told in err and len(err.splitlines()) == 1 and '--resume' not in err


def test_mistakes(summary, tmp_path):
    assert "has no run of experiment 5" in summary()[2]
    leave_run(tmp_path, config(0), {STEPS: 0.1})
    code, _, err = summary('--metric', 'mIuO')
    assert code == 1 and "did you mean 'mIoU'?" in err
    out = tmp_path / 'table.md'
    assert summary('--out', str(out))[0] == 0 and '| toy_a | 10.00 | 1 |' in out.read_text()
    assert summary('--out', str(out))[0] == 1


def test_a_real_config_is_found_as_run_experiments_keeps_it(tmp_path):
    """Through json, options and all."""
    import run_experiments
    args = run_experiments.parse_args(['--exp', '120', '--options', 'seed=3', '--work-dirs', str(tmp_path)])
    [run] = run_experiments.plan(args)
    run_experiments.write_config(run)
    [cfg] = summarize.generate_experiment_cfgs(120)
    wanted = changed(unfold(resolve(cfg), {}, resolve), args.options).cfg
    assert summarize.folders_of(wanted, 120, tmp_path) == [run.work_dir]
    assert summarize.folders_of(resolve(cfg), 120, tmp_path) == []
