"""The stages of the Mix Transformers equal those of the released implementation."""
from __future__ import annotations

import pytest
import torch
from golden import TOLERANCE, fill, image, load, relative_error

from mmseg.models.builder import build_backbone
from mmseg.ops.cpu import accelerate

GOLDEN = load('golden_backbones.npz')
THINNED = 17  # of stages 0 and 1 every 17th value was kept


@pytest.mark.parametrize('name', [f'mit_b{i}' for i in range(6)])
@torch.inference_mode()
def test_stages_of_the_encoder(name):
    encoder = fill(build_backbone(dict(type=name))).eval()
    expected = {int(key[-1]): values for key, values in GOLDEN.items() if key.startswith(name)}
    assert 3 in expected
    for prepare in (lambda plain: plain, accelerate):
        stages = prepare(encoder)(image(1, 1, 64, 96))
        for i, values in expected.items():
            stage = stages[i] if i >= 2 else stages[i].contiguous().ravel()[::THINNED]
            assert stage.shape == values.shape
            assert relative_error(stage, values) < TOLERANCE, f'stage {i}'
