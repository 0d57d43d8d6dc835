"""Signals, corrupt files and losses that are no numbers, in the middle of a training."""
from __future__ import annotations

import math
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from mmcv.runner import HOOKS, Hook

from mmseg.checkpoint.weights import load_file

STEPS = 4


@HOOKS.register_module()
class BadLuck(Hook):
    """After ``step`` steps sends ``signal`` to the program, or makes a weight of the student NaN."""

    def __init__(self, step: int, signal: int | None = None):
        self.step, self.signal = step, signal

    def after_train_iter(self, runner) -> None:
        if runner.iter + 1 == self.step:
            if self.signal is not None:
                os.kill(os.getpid(), self.signal)
            else:
                next(runner.model.model.parameters()).data.fill_(math.nan)


@pytest.fixture
def train(tiny, run_program, tmp_path):
    def run(name: str, *argv, code: int = 0, **options):
        config = tiny(name=f'{name}.json', **{
            'runner.max_iters': STEPS, 'checkpoint_config.interval': 100, 'log_config.interval': STEPS,
            'model.decode_head.channels': 8, **options})
        return run_program('tools.train', config, '--work-dir', tmp_path / name, '--no-validate', *argv,
                           code=code)

    return run


def end_of(folder: Path) -> dict:
    checkpoint = load_file(str(folder / f'iter_{STEPS}.pth'))
    return {**checkpoint['state_dict'], **{str(key): value for key, value in checkpoint['training'].items()}}


def assert_equal(one: dict, other: dict) -> None:
    assert all(torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name]
               for name, value in one.items())


def test_a_signal_writes_a_checkpoint_and_the_run_goes_on_as_itself(train, tmp_path):
    """So does one whose latest checkpoint was damaged; and the trial of a step changes no number."""
    train('whole', '--no-checks')
    luck = [dict(type='BadLuck', step=2, signal=int(signal.SIGUSR1))]
    told = train('run', code=138, custom_hooks=luck, **{'data.workers_per_gpu': 1})
    assert [line for line in told.err.splitlines() if 'SIGUSR1' in line and 'ended after step 2 of 4' in line]
    assert not told.complaints
    assert sorted(path.name for path in (tmp_path / 'run').glob('*.pth')) == ['iter_2.pth', 'latest.pth']
    content = (tmp_path / 'run' / 'iter_2.pth').read_bytes()
    (tmp_path / 'run' / 'iter_3.pth').write_bytes(content[:len(content) // 2])
    told = train('run', '--resume', 'auto')
    [line] = [line for line in told.err.splitlines() if 'iter_3.pth' in line]
    assert 'damaged' in line and line.endswith('going on from iter_2.pth')
    assert_equal(end_of(tmp_path / 'whole'), end_of(tmp_path / 'run'))


def test_a_loss_that_is_no_number_ends_the_run_with_its_samples(train, tmp_path):
    told = train('run', code=1, custom_hooks=[dict(type='BadLuck', step=2)])
    [line] = told.complaints
    assert line.startswith('error: step 2: the loss is no finite number')
    dump = load_file(str(tmp_path / 'run' / 'nonfinite_step_2.pth'))
    assert dump['step'] == 2 and len(dump['samples']) == 2 and all(name in line for name in dump['samples'])
    assert dump['batch']['img'].shape == (1, 3, 64, 64) and 'runner' in dump['config']
    assert not list((tmp_path / 'run').glob('iter_*.pth'))


def test_a_corrupt_image_is_named_or_replaced(train, tmp_path, streets):
    root = tmp_path / 'cityscapes'
    shutil.copytree(streets / 'cityscapes', root)
    images = sorted((root / 'leftImg8bit' / 'train').rglob('*.png'))
    for image in images[::2]:
        image.write_bytes(image.read_bytes()[:2000])
    data = {'data.train.source.data_root': str(root), 'data.train.rare_class_sampling': None}
    told = train('run', '--no-checks', code=1, **data)
    [line] = told.complaints
    assert 'cannot decode the image' in line and str(root) in line
    told = train('skipping', '--no-checks', **data, **{'data.bad_image': 'skip'})
    assert 'replaced corrupt sample: cannot decode the image' in told.err
    assert 'samples of this training were replaced because of bad images' in told.err
