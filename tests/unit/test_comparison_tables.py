"""The tables of compared methods: every stage of every row resolves, and refers to an earlier one."""
from __future__ import annotations

import pytest

from experiments import SEEDS, generate_experiment_cfgs, resolve
from mmseg.experiments.comparison import with_settings
from mmseg.experiments.stages import Plan, unfold
from mmseg.utils.config_check import check_config

TABLES = (30, 31, 32, 33, 130, 930, 931)
METHODS = {'source-only', 'target-only', 'minent', 'advent', 'fda', 'bdl', 'dacs', 'daformer', 'ebda',
           'proda', 'mgcda', 'dannet'}


def runs_of(table: int, folder):
    plan = Plan(folder)
    for cfg in generate_experiment_cfgs(table):
        if cfg['seed'] == 0:  # the others differ in nothing else
            plan.add(unfold(resolve(cfg), {}, resolve))
    return plan.runs


@pytest.mark.parametrize('table', TABLES)
def test_every_stage_is_a_whole_config(table, tmp_path):
    runs = runs_of(table, tmp_path)
    names = [run.cfg['name'] for run in runs]
    assert len(set(names)) == len(names)
    for run in runs:
        if 'program' in run.cfg:
            assert run.needs or 'config' in run.cfg
            continue
        check_config(run.cfg)
        assert run.cfg['exp'] == table and {'model', 'data', 'optimizer', 'lr_config'} <= set(run.cfg)
        assert run.cfg['checkpoint_config']['interval'] <= run.cfg['runner']['max_iters']
        if run.is_row:
            assert run.cfg['evaluation']['interval'] <= run.cfg['runner']['max_iters']


def test_each_method_is_compared_with_each_seed():
    rows = generate_experiment_cfgs(930)
    assert {cfg['name_uda'] for cfg in rows} == METHODS
    for seed, part in zip(SEEDS, (rows[:12], rows[12:24], rows[24:])):
        assert {cfg['seed'] for cfg in part} == {seed} and len(part) == len(METHODS)


def test_a_startup_test_has_two_steps_in_each_training(tmp_path):
    steps = {run.cfg['runner']['max_iters'] for run in runs_of(130, tmp_path) if 'program' not in run.cfg}
    assert steps == {2}


def test_chains(tmp_path):
    runs = runs_of(130, tmp_path)
    number = {run.work_dir: run.cfg['name'].removesuffix('_s0').removeprefix('streets_').replace('_mitb0', '')
              for run in runs}
    needs = {number[run.work_dir]: {number[folder] for folder in run.needs} for run in runs if run.needs}
    assert needs == {
        'fda_s0_labels': {'fda_b001', 'fda_b005', 'fda_b009'}, 'fda': {'fda_s0_labels'},
        'translated': {'translation'}, 'bdl_round1': {'translated'}, 'bdl_s0_labels': {'bdl_round1'},
        'bdl': {'translated', 'bdl_s0_labels'},
        'proda_stage1': {'proda_warmup'}, 'proda_s0_labels1': {'proda_stage1'},
        'proda_stage2': {'proda_stage1', 'proda_s0_labels1'}, 'proda_s0_labels2': {'proda_stage2'},
        'proda': {'proda_stage2', 'proda_s0_labels2'},
        'stylised': {'mgcda_translation'}, 'mgcda_step1': {'stylised', 'mgcda_s0_lit'},
        'mgcda_s0_corrected': {'mgcda_step1'}, 'mgcda': {'mgcda_step1', 'stylised', 'mgcda_s0_corrected'}}


def test_settings_go_into_dicts_that_are_shared_with_nobody():
    base = dict(a=dict(b=1), c=2)
    assert with_settings(base, {'a.d.e': 3, 'c': None}) == dict(a=dict(b=1, d=dict(e=3)), c=None)
    assert base == dict(a=dict(b=1), c=2)
