"""Random label files, statistics and config values: whatever they are, only a UserError may come out.

The tests take a few fixed examples; ``make fuzz`` (FUZZ_MINUTES=10) draws new ones for ten minutes.
"""
from __future__ import annotations

import io
import json
import logging
import os
import random
import shutil
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from PIL import Image
from programs import forget_loggers, start, write_tiny

from mmseg.datasets import build_dataset, build_train_dataset
from mmseg.engine.runner import IterBasedRunner
from mmseg.utils import UserError, local_seed
from mmseg.utils.config import load_config

MINUTES = float(os.environ.get('FUZZ_MINUTES', 0))
PARTS = 3  # of the time
pytestmark = pytest.mark.timeout(600 + 60 * MINUTES)
COUNT: dict[str, list[int]] = {}  # examples, and how many of them were refused


def fuzz(name: str, strategy: st.SearchStrategy, check: Callable, examples: int) -> None:
    """Call ``check`` with examples; it may return, or raise UserError."""
    COUNT[name] = [0, 0]

    def one(example) -> None:
        COUNT[name][0] += 1
        try:
            check(example)
        except UserError:
            COUNT[name][1] += 1

    unhurried = dict(deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck))
    if not MINUTES:
        hypothesis.settings(max_examples=examples, derandomize=True, **unhurried)(
            hypothesis.given(strategy)(one))()
        assert COUNT[name][1] > 0, 'nothing was refused: the examples are too good'
        return
    end = time.monotonic() + 60 * MINUTES / PARTS
    while time.monotonic() < end:
        test = hypothesis.settings(max_examples=10 * examples, **unhurried)(hypothesis.given(strategy)(one))
        hypothesis.seed(random.randrange(2 ** 32))(test)()


@pytest.fixture(scope='module', autouse=True)
def report():
    yield
    logging.getLogger(__name__).warning('examples and refusals: %s', COUNT)
    if MINUTES:
        Path('fuzz_report.json').write_text(json.dumps(COUNT))


@pytest.fixture(scope='module')
def own(tmp_path_factory, streets) -> Path:
    """A folder with a copy of the clear domain to spoil, and a config that reads it."""
    folder = tmp_path_factory.mktemp('fuzz')
    shutil.copytree(streets / 'cityscapes', folder / 'cityscapes')
    write_tiny(streets, folder / 'tiny.json', **{'data.train.source.data_root': str(folder / 'cityscapes')})
    return folder


# ------------------------------------------------------------------- label files

def png(array: np.ndarray, mode: str | None = None) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(file, 'PNG')
    return file.getvalue()


def with_header(data: bytes, width: int, height: int) -> bytes:
    """Another size in the header, with the checksum to it."""
    header = b'IHDR' + width.to_bytes(4, 'big') + height.to_bytes(4, 'big') + data[24:29]
    return data[:12] + header + zlib.crc32(header).to_bytes(4, 'big') + data[33:]


@st.composite
def label_files(draw) -> bytes:
    size = (64, 128) if draw(st.booleans()) else draw(st.tuples(st.integers(1, 80), st.integers(1, 140)))
    ids = np.random.default_rng(draw(st.integers(0, 99))).integers(0, draw(st.integers(1, 256)), size)
    kind = draw(st.sampled_from(['L', 'P', '1', 'RGB', 'RGBA', 'LA', '16']))
    if kind == '16':
        data = png(ids.astype(np.uint16) * draw(st.sampled_from([1, 200])))
    else:
        data = png(ids.astype(np.uint8), kind)
    if draw(st.booleans()):
        sizes = st.sampled_from([0, 1, 64, 127, 128, 5000, 2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1])
        data = with_header(data, draw(sizes), draw(sizes))
    spoilt = bytearray(data)
    for position, value in draw(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)),
                                         max_size=4)):
        spoilt[position] = value
    end = draw(st.one_of(st.none(), st.integers(0, len(spoilt))))
    return draw(st.sampled_from([bytes(spoilt[:end]), bytes(spoilt), b'', b'BM' + bytes(spoilt)]))


def test_label_files(own):
    cfg = load_config(own / 'tiny.json').data.train.source
    dataset = build_dataset(cfg)
    [path] = {item['ann']['seg_map'] for item in dataset.img_infos[:1]}
    path = Path(dataset.ann_dir) / path
    good = path.read_bytes()

    def check(data: bytes) -> None:
        path.write_bytes(data)
        with local_seed(1):
            label = dataset[0]['gt_semantic_seg'].data
        assert label.shape == (1, 64, 64) and label.dtype == torch.int64
        assert not ((label < 0) | ((label > 18) & (label != 255))).any(), 'would stop a GPU'

    try:
        fuzz('label files', label_files(), check, examples=250)
    finally:
        path.write_bytes(good)


# ------------------------------------------------------------------- statistics

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 40), st.sampled_from([2 ** 40, -1, 255, 19]),
                    st.floats(), st.text('ab/.0é', max_size=5))
VALUES = st.recursive(SCALARS, lambda inner: st.one_of(
    st.lists(inner, max_size=3),
    st.dictionaries(st.text('type012', max_size=4), inner, max_size=3)), max_leaves=5)


@st.composite
def statistics(draw, files: dict[str, str]) -> tuple[str, str]:
    """The name of one of the files, and another text for it."""
    name = draw(st.sampled_from(sorted(files)))
    text = files[name]
    if draw(st.integers(0, 3)) == 0:
        start, end = sorted(draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
        return name, text[:start] + draw(st.text('[]{}",:0é', max_size=3)) + text[end:]
    node = whole = json.loads(text)
    while draw(st.integers(0, 3)) and isinstance(node, (list, dict)) and node:
        key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if draw(st.booleans()):
            node[key] = draw(VALUES)
            break
        node = node[key]
    else:
        whole = draw(VALUES)
    return name, json.dumps(whole)


def test_statistics(own):
    data = load_config(own / 'tiny.json').data
    root = own / 'cityscapes'
    files = {path.name: path.read_text() for path in root.glob('*class*.json')}
    assert len(files) == 4

    def check(example: tuple[str, str]) -> None:
        name, text = example
        (root / name).write_text(text)
        try:
            dataset = build_train_dataset(data)
            with local_seed(1):
                assert dataset[0]['gt_semantic_seg'].data.shape == (1, 64, 64)
        finally:
            (root / name).write_text(files[name])

    fuzz('statistics', statistics(files), check, examples=150)


# ------------------------------------------------------------------- config values

# more processes than this machine has memory for are no finding
LEFT_OUT = ('workers_per_gpu', 'custom_imports')


def dotted_keys(node: dict, prefix: str = '') -> list[str]:
    found = []
    for key, value in node.items():
        if key not in LEFT_OUT:
            found.append(prefix + key)
            if isinstance(value, dict):
                found += dotted_keys(value, f'{prefix}{key}.')
    return found


TEXTS = st.text('abz_-', max_size=6)
OPTION_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 40), st.just(2 ** 62), st.floats(), TEXTS,
    st.lists(st.one_of(st.integers(-2, 20), st.none(), TEXTS), max_size=4),
    st.dictionaries(st.sampled_from(['type', 'a', 'interval']), st.one_of(st.integers(-2, 9), TEXTS),
                    max_size=2))


def test_config_values(own, tmp_path, monkeypatch):
    """Up to the trial step of tools/train.py."""
    monkeypatch.setattr(IterBasedRunner, 'run', lambda *args: None)
    monkeypatch.chdir(tmp_path)
    keys = dotted_keys(load_config(own / 'tiny.json')._cfg_dict.to_dict())
    assert len(keys) > 80

    def check(options: dict) -> None:
        words = [f'{key}={value!r}' for key, value in options.items()]
        code = start('tools.train', own / 'tiny.json', '--options', *words)
        shutil.rmtree('work_dirs', ignore_errors=True)
        if code:
            raise UserError('refused')

    options = st.dictionaries(st.sampled_from(keys), OPTION_VALUES, min_size=1, max_size=2)
    threads = cv2.getNumThreads()
    try:
        fuzz('config values', options, check, examples=15)
    finally:
        cv2.setNumThreads(threads)
        forget_loggers()
