"""The compared methods from their configs: two steps, and on from a checkpoint to the same weights."""
from __future__ import annotations

import pytest
import torch

METHODS = ('advent', 'minent', 'bdl', 'fda', 'proda_warmup', 'proda_stage1', 'proda_distillation')


@pytest.mark.parametrize('method', METHODS)
def test_two_steps_and_a_resumed_one(run_program, tiny, tmp_path, method):
    config = tiny(f'configs/toy/streets_{method}_mitb0_s0.py', **{
        'runner.max_iters': 2, 'checkpoint_config.interval': 1, 'checkpoint_config.max_keep_ckpts': 2,
        'evaluation.interval': 2, 'log_config.interval': 1})
    run_program('tools.train', config, '--device', 'cpu', '--work-dir', tmp_path / 'run')
    last = torch.load(tmp_path / 'run/iter_2.pth', weights_only=False)
    (tmp_path / 'run/iter_2.pth').unlink()
    run_program('tools.train', config, '--device', 'cpu', '--work-dir', tmp_path / 'run', '--resume-from',
                tmp_path / 'run/iter_1.pth')
    again = torch.load(tmp_path / 'run/iter_2.pth', weights_only=False)
    before, after = last['state_dict'], again['state_dict']
    assert method != 'proda_stage1' or before['prototypes.counts'].any()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    of_one = {'state', 'param_groups'}
    adversarial = method in ('advent', 'bdl', 'proda_warmup')
    assert set(last['optimizer']) == ({'student', 'discriminator'} if adversarial else of_one)
