"""Every network of experiment 100: names, shapes and logits of the released implementation."""
from __future__ import annotations

import gzip
import json

import pytest
import torch
from golden import DATA, TOLERANCE, fill, image, load, relative_error
from on_meta import on_meta

from experiments import generate_experiment_cfgs, resolve
from mmseg.models.builder import build_segmentor
from mmseg.ops.cpu import accelerate

# Networks in the order in which each shares most of its weights with an earlier one.
FAMILIES = ('_mitb', 'v1c', '_s200', '_s101', '_s50', '_x101', '_x50')
LOGITS = load('golden_head_logits.npz')
NAMES = json.loads(gzip.decompress((DATA / 'golden_state_dicts.json.gz').read_bytes()))


def family(name: str) -> int:
    return next(i for i, mark in enumerate(FAMILIES) if mark in name)


def model_configs() -> list[tuple[str, dict]]:
    configs = {cfg['name_architecture']: {**resolve(cfg)['model'], 'pretrained': None}
               for cfg in generate_experiment_cfgs(100)}
    return sorted(configs.items(), key=lambda item: (family(item[0]), 'mitb5' not in item[0]))


CONFIGS = model_configs()
by_name = pytest.mark.parametrize('name, model', CONFIGS, ids=[name for name, _ in CONFIGS])


@pytest.fixture(scope='module')
def weights():
    """The deterministic weights of the encoder before; drawing them takes longer than the networks do."""
    return {}


def test_all_networks_are_compared():
    assert {name for name, _ in CONFIGS} == set(NAMES) == set(LOGITS)
    assert len(CONFIGS) == 22


@by_name
def test_names_shapes_and_logits_of_the_reference(name, model, weights):
    with on_meta():
        network = build_segmentor(model)
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == NAMES[name]
    network = fill(network.to_empty(device='cpu'), weights).eval()
    weights.clear()
    weights.update((key, value) for key, value in network.state_dict().items() if key.startswith('backbone.'))
    for prepare in (lambda plain: plain, accelerate):
        with torch.inference_mode():
            logits = prepare(network).decode_head(network.extract_feat(image(1, 1, 64, 96)))
        assert logits.shape == LOGITS[name].shape
        assert relative_error(logits, LOGITS[name]) < TOLERANCE
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == NAMES[name]
