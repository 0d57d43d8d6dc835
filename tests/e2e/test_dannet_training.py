"""DANNet from its config, on streets that have the clear pictures of the adverse places."""
from __future__ import annotations

import json

import torch
from programs import write_tiny

from mmseg.apis import init_segmentor

CONFIG = 'configs/toy/streets_dannet_mitb0_s0.py'
SHORT = {'runner.max_iters': 2, 'checkpoint_config.interval': 1, 'checkpoint_config.max_keep_ckpts': 2,
         'evaluation.interval': 2, 'log_config.interval': 1}


def test_two_steps_and_a_resumed_one(streets_with_references, run_program, tmp_path):
    config = write_tiny(streets_with_references, tmp_path / 'dannet.json', CONFIG, **SHORT)
    run = tmp_path / 'run'
    run_program('tools.train', config, '--device', 'cpu', '--work-dir', run)
    last = torch.load(run / 'iter_2.pth', weights_only=False)
    assert set(last['optimizer']) == {'student', 'discriminator'}
    network = init_segmentor(str(config), str(run / 'iter_2.pth'), 'cpu')
    for key, value in network.relight.state_dict().items():
        assert torch.equal(value, last['state_dict'][f'model.relight.{key}'])
    (run / 'iter_2.pth').unlink()
    run_program('tools.train', config, '--device', 'cpu', '--work-dir', run, '--resume-from',
                run / 'iter_1.pth')
    again = torch.load(run / 'iter_2.pth', weights_only=False)['state_dict']
    assert all(torch.equal(value, again[key]) for key, value in last['state_dict'].items())


def test_streets_without_references_are_refused(tiny, refused, tmp_path):
    refused('tools.train', tiny(CONFIG, **SHORT), '--device', 'cpu', '--work-dir', tmp_path / 'run',
            parts=('rgb_anon/train_ref does not exist',))


def test_a_config_without_day_images_is_refused(streets_with_references, refused, tmp_path):
    config = write_tiny(streets_with_references, tmp_path / 'alone.json', CONFIG, **SHORT)
    settings = json.loads(config.read_text())
    del settings['data']['train']['domains']
    config.write_text(json.dumps(settings))
    refused('tools.train', config, '--device', 'cpu', '--work-dir', tmp_path / 'run',
            parts=('no day images', "paired_with='target'"))
