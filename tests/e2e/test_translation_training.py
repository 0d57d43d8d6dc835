"""The translation of the source from its config: two steps, and on from a checkpoint to the same weights."""
from __future__ import annotations

import torch

CONFIG = 'configs/toy/streets_cyclegan_mitb0_s0.py'
SHORT = {'runner.max_iters': 2, 'checkpoint_config.interval': 1, 'checkpoint_config.max_keep_ckpts': 2,
         'log_config.interval': 1, 'uda.channels': 4, 'uda.blocks': 1, 'uda.pool_size': 1}


def test_two_steps_and_a_resumed_one(run_program, tiny, tmp_path):
    config, run = tiny(CONFIG, **SHORT), tmp_path / 'run'
    run_program('tools.train', config, '--device', 'cpu', '--work-dir', run)
    last = torch.load(run / 'iter_2.pth', weights_only=False)
    assert set(last['optimizer']) == {'generator', 'discriminator'}
    (run / 'iter_2.pth').unlink()
    run_program('tools.train', config, '--device', 'cpu', '--work-dir', run, '--resume-from',
                run / 'iter_1.pth')
    again = torch.load(run / 'iter_2.pth', weights_only=False)
    for part, value in last['state_dict'].items():
        assert torch.equal(value, again['state_dict'][part]), part
    pools = [one['training']['pools'] for one in (last, again)]
    assert all(torch.equal(pool['images'], pools[1][name]['images']) for name, pool in pools[0].items())
