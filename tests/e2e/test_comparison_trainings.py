"""The compared methods from their configs: two steps, and on from a checkpoint to the same weights."""
from __future__ import annotations

import json

import pytest
import torch

METHODS = ('advent', 'advseg', 'minent', 'bdl', 'fda', 'proda_warmup', 'proda_stage1', 'proda_distillation')

MORE = {'advseg': {'uda.masked': dict(block_size=16)}}


@pytest.mark.parametrize('method', METHODS)
def test_two_steps_and_a_resumed_one(run_program, tiny, tmp_path, method):
    config = tiny(f'configs/toy/streets_{method}_mitb0_s0.py', **{
        'runner.max_iters': 2, 'checkpoint_config.interval': 1, 'checkpoint_config.max_keep_ckpts': 2,
        'evaluation.interval': 2, 'log_config.interval': 1, **MORE.get(method, {})})
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
    adversarial = method in ('advent', 'advseg', 'bdl', 'proda_warmup')
    assert set(last['optimizer']) == ({'student', 'discriminator'} if adversarial else of_one)


def source_alone(settings: dict) -> None:
    settings['data']['train'] = settings['data']['train']['source']


def labels_of_nowhere(settings: dict) -> None:
    settings['data']['train']['target']['pseudo_labels'] = 'no/labels'


def other_size(settings: dict) -> None:
    [pad] = [t for t in settings['data']['train']['target']['pipeline'] if t['type'] == 'Pad']
    pad['size'] = (160, 192)


@pytest.mark.parametrize('method, change, parts', [
    ('advent', source_alone, ('no images of a target', 'UDADataset')),
    ('proda_stage1', source_alone, ('no images of a target', 'UDADataset')),
    ('bdl', labels_of_nowhere, ('no/labels does not exist', 'tools/make_pseudo_labels.py')),
    ('fda', other_size, ('one crop_size',)),
    ('proda_distillation', lambda settings: settings['uda'].update(teacher_from='1.pth'), ('1.pth',)),
])
def test_data_that_a_method_cannot_use(refused, tiny, tmp_path, method, change, parts):
    config = tiny(f'configs/toy/streets_{method}_mitb0_s0.py', **{'runner.max_iters': 1})
    settings = json.loads(config.read_text())
    change(settings)
    config.write_text(json.dumps(settings))
    refused('tools.train', config, '--device', 'cpu', '--work-dir', tmp_path / 'run', parts=parts)
