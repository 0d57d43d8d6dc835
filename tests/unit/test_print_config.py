"""tools/print_config.py: what it prints is the config that a run would use."""
from __future__ import annotations

import json

import pytest
from mmcv import Config

from tools import print_config


@pytest.fixture
def call(tmp_path, capsys):
    (tmp_path / 'base.py').write_text(
        "model = dict(decode_head=dict(type='UniHead', channels=8))\nitems = [1, 2]\n")
    (tmp_path / 'c.py').write_text("_base_ = ['base.py']\nmodel = dict(decode_head=dict(num_classes=5))\n")

    def run(*args, code=0):
        with pytest.raises(SystemExit) as ended:
            print_config.main([str(tmp_path / 'c.py'), *args])
        text = capsys.readouterr()
        assert ended.value.code == code, text.err
        return text.out if code == 0 else text.err
    return run


EXPECTED = dict(model=dict(decode_head=dict(type='DAFormerHead', channels=8, num_classes=5)), items=[1, 7])


def test_what_is_printed_is_a_config_with_all_applied(call, tmp_path):
    (tmp_path / 'printed.py').write_text(call('--options', 'items=1,7'))
    assert Config.fromfile(str(tmp_path / 'printed.py'))._cfg_dict == EXPECTED
    assert json.loads(call('--options', 'items=1,7', '--json')) == EXPECTED


def test_an_option_that_reaches_into_a_number_is_a_mistake(call):
    assert 'do not fit the config' in call('--options', 'items.1=7', code=1)


def test_a_part_is_printed_by_its_key(call):
    assert call('--key', 'model.decode_head.channels') == 'channels = 8\n'
    assert json.loads(call('--json', '--key', 'model.decode_head')) == {
        'decode_head': EXPECTED['model']['decode_head']}
    assert call('--key', 'items.0', '--json') == '{\n "0": 1\n}\n'


@pytest.mark.parametrize('key, message', [
    ('model.decode_haed', "there is no 'decode_haed', did you mean 'decode_head'"),
    ('items.9', "there is no '9'"), ('items.x', "there is no 'x'"), ('items.0.x', "there is no 'x'")])
def test_an_unknown_key_is_named(call, key, message):
    assert message in call('--key', key, code=1)
