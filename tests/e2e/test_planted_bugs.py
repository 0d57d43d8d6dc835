"""A bug keeps its traceback from every program; a user's mistake ends in one line."""
from __future__ import annotations

import importlib

import pytest
import torch

from mmseg.models.losses.cross_entropy_loss import CrossEntropyLoss
from mmseg.models.losses.entropy_balance_loss import EntropyBalanceLoss


def attribute_error(self, *args, **kwargs):
    return self.no_such_attribute


def shape_error(self, *args, **kwargs):
    return torch.ones(2, 3) @ torch.ones(2, 3)


BUGS = [(CrossEntropyLoss, attribute_error, AttributeError, 'no_such_attribute'),
        (EntropyBalanceLoss, shape_error, RuntimeError, 'shapes cannot be multiplied')]


@pytest.mark.parametrize('loss, bug, kind, words', BUGS, ids=['attribute', 'shape'])
@pytest.mark.parametrize('checks', [[], ['--no-checks']], ids=['checked', 'unchecked'])
def test_training_shows_where_a_loss_is_wrong(tiny, tmp_path, monkeypatch, loss, bug, kind, words, checks):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loss, 'forward', bug)
    with pytest.raises(kind, match=words) as raised:
        importlib.import_module('tools.train').main(
            [str(tiny()), '--no-validate', *checks, '--device', 'cpu', '--options', 'runner.max_iters=1'])
    assert bug.__name__ in [entry.name for entry in raised.traceback]


def test_the_launcher_shows_where_a_loss_is_wrong(tiny, run_program, monkeypatch):
    monkeypatch.setattr(CrossEntropyLoss, 'forward', attribute_error)
    ended = run_program('run_experiments', '--config', tiny(), '--options', 'runner.max_iters=1', code=1)
    assert 'Traceback' in ended.err and 'in attribute_error' in ended.err
    assert ended.err.splitlines()[-1].startswith('error: ')


@pytest.mark.parametrize('name', ['tools.test', 'demo.image_demo'])
def test_testing_shows_where_a_head_is_wrong(tiny, tmp_path, monkeypatch, streets, name):
    from mmseg.checkpoint.weights import save_checkpoint
    from mmseg.models import build_segmentor
    from mmseg.models.decode_heads.daformer_head import DAFormerHead
    from mmseg.utils.config import load_config
    monkeypatch.chdir(tmp_path)
    config = tiny()
    save_checkpoint('weights.pth', build_segmentor(load_config(config).model))
    monkeypatch.setattr(DAFormerHead, 'forward', attribute_error)
    image = min((streets / 'cityscapes/leftImg8bit/val').rglob('*.png'))
    argv = [config, 'weights.pth', '--device', 'cpu']
    with pytest.raises(AttributeError, match='no_such_attribute'):
        importlib.import_module(name).main([str(word) for word in ([image] if 'demo' in name else []) + argv])


def test_what_a_config_gets_wrong_is_one_line(tiny, refused):
    config = tiny(**{'model.decode_head.in_channels': [4, 8, 20, 99]})
    refused('tools.train', config, '--no-validate', '--device', 'cpu',
            parts=('in_channels is 99', '16 channels'))


def test_crops_of_two_sizes_are_one_line(tiny, refused):
    source = 'data.train.source.pipeline'
    config = tiny(**{f'{source}.3.crop_size': (48, 48), f'{source}.6.size': (48, 48)})
    refused('tools.train', config, '--no-validate', '--device', 'cpu', parts=('48x48', '64x64'))


def test_samples_of_several_sizes_are_one_line(tiny, refused):
    """The last transforms of the source leave the images as large as they come."""
    source = 'data.train.source.pipeline'
    config = tiny(**{'data.samples_per_gpu': 6, f'{source}.2.img_scale': [(64, 64), (128, 128)],
                     f'{source}.2.multiscale_mode': 'value', f'{source}.2.keep_ratio': False,
                     f'{source}.3.crop_size': (200, 200), f'{source}.6.size': None,
                     f'{source}.6.size_divisor': 8})
    refused('tools.train', config, '--no-validate', '--device', 'cpu', parts=('batch has several sizes',))
