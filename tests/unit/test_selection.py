"""Some runs of a table: --only and --seeds of run_experiments.py and tools/summarize.py."""
from __future__ import annotations

import pytest

import run_experiments
from experiments import generate_experiment_cfgs, resolve
from mmseg.experiments.selection import method_of, selected
from mmseg.utils import UserError
from mmseg.utils.config import Config


@pytest.fixture(scope='module')
def camvid() -> list[dict]:
    return [resolve(cfg) for cfg in generate_experiment_cfgs(901)]


def names(cfgs: list[dict], *choice) -> list[tuple[str, int]]:
    return [(cfgs[place]['name_uda'], cfgs[place]['seed']) for place in selected(cfgs, *choice)]


def test_methods_of_the_table(camvid):
    assert [method_of(cfg) for cfg in camvid[:6]] == [
        'source-only', 'daformer', 'ebda', 'target-only', 'dacs', 'ebda']


@pytest.mark.parametrize('file, method', [
    ('toy/streets_advent_mitb0_s0', 'advent'), ('toy/streets_ebda_mitb0_s0', 'ebda'),
    ('toy/streets_daformer_mitb0_s0', 'daformer'), ('toy/streets_source_mitb0_s0', '')])
def test_methods_of_config_files(file, method):
    assert method_of(Config.fromfile(f'configs/{file}.py')) == method


def test_methods_and_seeds(camvid):
    two = names(camvid, ['ebda', 'daformer'], [0, 2])
    assert two == [(name, seed) for seed in (0, 2) for name in (
        'dacs_fd_camvid_rcs0.01', 'dacs_fd_camvid_rcs0.01_eb0.4x0.1', 'dacs_fd_camvid_rcs0.01_ebq0.6x0.1')]
    assert names(camvid, None, [1]) == [(cfg['name_uda'], 1) for cfg in camvid[6:12]]
    assert selected(camvid, None, None) == list(range(18))


def test_a_method_is_meant_before_a_part_of_a_name(camvid):
    """Each of these names has 'daformer' in it, that of the decoder, and 'dacs' most of them."""
    assert {name for name, _ in names(camvid, ['dacs'], None)} == {'dacs'}
    assert names(camvid, ['ebq06x01'], [0]) == [('dacs_fd_camvid_rcs0.01_ebq0.6x0.1', 0)]


@pytest.mark.parametrize('only, seeds, told', [
    (['ebad'], None, "'ebad': did you mean 'ebda'?"), (None, [7], 'seed 7, there are 0, 1, 2'),
    (['lite0', 'b5'], None, "is 'b5'")])
def test_what_no_run_has(camvid, only, seeds, told):
    with pytest.raises(UserError, match=told.replace('?', r'\?')):
        selected(camvid, only, seeds)


def test_no_run_with_both():
    cfgs = [dict(name='a_s0', seed=0, name_uda='source-only'),
            dict(name='b_s1', seed=1, name_uda='target-only')]
    with pytest.raises(UserError, match='has both'):
        selected(cfgs, ['source-only'], [1])


def test_the_program_trains_what_was_chosen(capsys):
    argv = ['--exp', '22', '--only', 'ebda,daformer', '--seeds', '0,1']
    runs = run_experiments.plan(run_experiments.parse_args(argv))
    assert [(method_of(run.cfg), run.cfg['seed']) for run in runs] == [
        ('daformer', 0), ('daformer', 1), ('ebda', 0), ('ebda', 1)]
    assert run_experiments.report_of(run_experiments.parse_args(argv)) is None
    assert run_experiments.report_of(run_experiments.parse_args(argv[:2])) == '--exp 22'


@pytest.mark.parametrize('argv, told', [
    (['--exp', '22', '--seeds', 'x'], 'expected numbers with commas'),
    (['--exp', '22', '--only', ','], 'expected names with commas'),
    (['--config', 'configs/toy/streets_test.py', '--seeds', '0'], 'choose from the table of --exp')])
def test_mistakes_are_one_line(argv, told, capsys):
    with pytest.raises(SystemExit) as end:
        run_experiments.main(argv)
    [line] = capsys.readouterr().err.splitlines()
    assert end.value.code and told in line
