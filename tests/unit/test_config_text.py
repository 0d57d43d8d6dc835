"""A config as text: what is written is read as it was, by mmcv as well, and nothing of it is run."""
from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.utils import ConfigError
from mmseg.utils.config import Config, load_config
from mmseg.utils.config_text import WIDTH, config_of_text, text_of_config

ROOT = Path(__file__).resolve().parents[2]
NAMES = st.from_regex(r'[a-z_]{2,9}', fullmatch=True).filter(lambda name: name not in ('text', 'filename'))
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40)
VALUES = st.recursive(PLAIN, lambda inner: (
    st.lists(inner, max_size=4) | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(NAMES | st.integers() | st.text(max_size=5), inner, max_size=4)), max_leaves=12)


def read(text: str) -> dict:
    return config_of_text(text, 'x')._cfg_dict.to_dict()


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_what_is_written_is_read_as_it_was(values):
    assert read(text_of_config(Config(values))) == values


@pytest.mark.parametrize('config', ['ebda/cs2acdc_ebda_daformer_mitb5_s0', 'toy/streets_mic_hrda_mitb0_s0'])
def test_mmcv_reads_what_is_written(config, tmp_path):
    cfg = load_config(ROOT / f'configs/{config}.py')
    cfg.work_dir, cfg.rate, cfg.none = "/home/o'neil/run", -math.inf, ()
    text = text_of_config(cfg)
    (tmp_path / 'kept.py').write_text(text)
    assert Config.fromfile(tmp_path / 'kept.py')._cfg_dict == cfg._cfg_dict
    # nobody scrolls sideways, and what belongs together is not torn
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "dict(type='ReLU')" in text


def test_long_values_have_a_line_for_each_item():
    text = text_of_config(Config(dict(short=(1,), long=dict(a=['x' * 60, ('y' * 60,)], b={1: 'z' * 60}))))
    assert text == f"""short = (1,)
long = dict(
    a=[
        '{'x' * 60}',
        ('{'y' * 60}',)],
    b={{1: '{'z' * 60}'}})
"""


@pytest.mark.parametrize('key', ['0', 'a-b', 'lambda', 'º'])
def test_keys_that_are_no_names_are_kept(key):
    assert read(text_of_config(Config({key: 1, 'inner': {key: [2]}}))) == {key: 1, 'inner': {key: [2]}}


def test_what_mmcv_wrote_is_read():
    values = dict(a=-1e-3, b=math.inf, c=-math.inf, d=dict(e=(1, (2,)), f=[None, True]), g={'h.i': 'x y'})
    assert read(Config(values).pretty_text) == values
    assert math.isnan(read('a = nan')['a'])


@pytest.mark.parametrize('text', [
    "import os", "a = open('x')", "a = dict(**b)", "a = [x for x in (1,)]", "a = b.c", "a = 1 +", "a = 1 + 1",
    "a, b = 1, 2", "a = dict([(1, 2)])", "a = -b", "print(1)", "a = {**{}}", "a = {[]: 1}", "a = not 1",
    "filename = 'x'", "a = float(b)", "a = float(1)"])
def test_a_kept_config_is_not_run(text):
    with pytest.raises(ConfigError, match="kept in 'x'.*pass config="):
        config_of_text(text, 'x')
