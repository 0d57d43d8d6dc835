"""A training that was interrupted and resumed ends with the weights of one that was not."""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from programs import start

from mmseg.checkpoint.weights import load_file
from mmseg.models import build_train_model
from mmseg.utils.config import load_config

STEPS, INTERRUPTED = 4, 2
RUNNING_QUANTILE = dict(type='RunningQuantile', quantile=0.6, momentum=0.9)


@pytest.fixture
def whole_run(tiny, tmp_path) -> Path:
    """The folder of four steps that were not interrupted, loaded by this process."""
    config = tiny(name='whole.json', **{
        'checkpoint_config.interval': INTERRUPTED, 'checkpoint_config.max_keep_ckpts': -1,
        'uda.entropy_balance.target': RUNNING_QUANTILE, 'work_dir': str(tmp_path / 'whole')})
    assert start('tools.train', config, '--no-validate') == 0
    return tmp_path / 'whole'


def interrupted(whole: Path, folder: Path) -> Path:
    """A copy of a run's folder as it was after two steps."""
    folder.mkdir()
    for name in ('whole.json', f'iter_{INTERRUPTED}.pth'):
        shutil.copy(whole / name, folder / name)
    (folder / 'latest.pth').symlink_to(f'iter_{INTERRUPTED}.pth')
    return folder


def assert_same_end(one: Path, other: Path) -> None:
    first, second = (load_file(str(folder / f'iter_{STEPS}.pth')) for folder in (one, other))
    assert first['training']['local_iter'] == second['training']['local_iter'] == STEPS
    quantiles = [checkpoint['training']['mix_losses'] for checkpoint in (first, second)]
    assert quantiles[0] and all(torch.equal(quantiles[0][name], quantiles[1][name]) for name in quantiles[0])
    for name, weight in first['state_dict'].items():
        assert torch.equal(weight, second['state_dict'][name]), name
    moments = [checkpoint['optimizer']['state'] for checkpoint in (first, second)]
    assert all(torch.equal(moments[0][i]['exp_avg_sq'], moments[1][i]['exp_avg_sq']) for i in moments[0])


def test_resumed_training_is_the_whole_training(whole_run, run_program, tmp_path):
    """Through either program, and whether workers load the samples or the training's own process."""
    halfway = load_file(str(whole_run / f'iter_{INTERRUPTED}.pth'))
    assert halfway['training']['local_iter'] == INTERRUPTED
    weights = halfway['state_dict']
    assert any(not torch.equal(weights[name], weights[f'ema_{name}'])
               for name in weights if name.startswith('model.')), 'teacher and student have to differ here'

    alone = interrupted(whole_run, tmp_path / 'alone')
    (alone / '20200101_000000.log').write_text('of the first part')
    before = {path.name: path.read_bytes() for path in alone.iterdir() if path.name != 'latest.pth'}
    run_program('tools.train', alone / 'whole.json', '--work-dir', alone, '--no-validate', '--resume-from',
                alone / 'latest.pth')
    assert_same_end(whole_run, alone)
    assert {name: (alone / name).read_bytes() for name in before} == before

    kept = (whole_run / 'whole.json').read_bytes()
    launched = interrupted(whole_run, tmp_path / 'launched')
    ended = run_program('run_experiments', '--resume', launched, '--options', 'data.workers_per_gpu=2')
    assert '1 of 1 runs finished' in ended.out
    assert_same_end(whole_run, launched)
    assert (launched / 'whole.json').read_bytes() == kept


def test_a_checkpoint_without_running_quantile_can_be_resumed(tiny):
    """Such as the reference's, which hold the number of steps alone; the quantile then starts anew."""
    model = build_train_model(load_config(tiny(**{'uda.entropy_balance.target': RUNNING_QUANTILE})))
    model.load_training_state({'local_iter': 7})
    assert model.local_iter == 7
    assert all(value.isnan() for value in model.training_state()['mix_losses'].values())
