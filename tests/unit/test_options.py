"""--options: what is put over a config."""
from __future__ import annotations

import pytest
from mmcv import Config

from mmseg.utils import ConfigError
from mmseg.utils.config import load_config

CFG = dict(model=dict(type='EncoderDecoder', pretrained='a.pth', backbone=dict(pretrained=None)), channels=16)


@pytest.mark.parametrize('option, told', [
    ('pretrained', r'is it model\.pretrained or model\.backbone\.pretrained\?'),
    ('backbone.pretrained', r'is it model\.backbone\.pretrained\?'),
    ('modell.type', r"did you mean 'model'\?")])
def test_an_option_that_is_meant_for_a_part_is_refused(option, told):
    with pytest.raises(ConfigError, match=told):
        load_config(Config(CFG), {option: 'b.pth'})


def test_an_option_may_set_what_the_config_leaves_out_and_its_own_variables():
    cfg = load_config(Config(CFG), {'seed': 1, 'amp.dtype': 'bfloat16', 'channels': 8, 'gpu_ids': [0],
                                    'model.new': True, 'new.key': 1})
    assert (cfg.seed, cfg.amp.dtype, cfg.channels, cfg.model.new, cfg.new.key) == (
        1, 'bfloat16', 8, True, 1)
