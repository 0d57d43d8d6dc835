"""The pointwise branch of the ASPP, computed before the levels are enlarged, equals the plain one."""
from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from test_cpu_conv import assert_equal, values_and_gradients
from test_decode_heads import ALL, BN, CONV, MLP, features

from mmseg.models.builder import build_head
from mmseg.models.utils.resize import Resize
from mmseg.ops.cpu import accelerate, fusion
from mmseg.ops.cpu.fusion import enlarged_pointwise_conv


@pytest.mark.parametrize('align_corners', [False, True])
def test_pointwise_convolution_of_enlarged_maps(align_corners):
    torch.manual_seed(0)
    levels = torch.randn(2, 3, 8, 12), torch.randn(2, 4, 4, 6), torch.randn(2, 5, 3, 5)
    weight = torch.randn(7, 12, 1, 1)

    def at_full_size(*levels_and_weight):
        *levels, weight = levels_and_weight
        return F.conv2d(torch.cat([F.interpolate(level, (8, 12), mode='bilinear', align_corners=align_corners)
                                   for level in levels], dim=1), weight)

    def ours(*levels_and_weight):
        *levels, weight = levels_and_weight
        return enlarged_pointwise_conv(levels, weight, (8, 12), Resize(align_corners))

    assert_equal(values_and_gradients(ours, *levels, weight),
                 values_and_gradients(at_full_size, *levels, weight), 3e-6)


@pytest.mark.parametrize('embed', [MLP, CONV], ids=['mlp', 'conv'])
@pytest.mark.parametrize('norm', [BN, None], ids=['norm', 'plain'])
def test_wide_pointwise_branches_are_computed_level_by_level(embed, norm, monkeypatch):
    """With the same logits and gradients. A branch with a bias (without a norm) is not."""
    style = dict(type='aspp', sep=True, dilations=(1, 6), pool=True, act_cfg=dict(type='ReLU'), norm_cfg=norm)
    head = build_head(dict(ALL, type='DAFormerHead', dropout_ratio=0, decoder_params=dict(
        embed_dims=8, embed_cfg=embed, embed_neck_cfg=embed, fusion_cfg=style)))
    calls, level_by_level = [], fusion.enlarged_pointwise_conv
    monkeypatch.setattr(fusion, 'enlarged_pointwise_conv',
                        lambda *args: calls.append(1) or level_by_level(*args))
    results, seen = [], []
    for threshold, prepare in ((8 * 32, lambda head: head), (8 * 32, accelerate), (8 * 32 + 1, accelerate)):
        monkeypatch.setattr(fusion, 'WIDE_POINTWISE', threshold)
        inputs = features()
        logits = prepare(head)(inputs)
        projection = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
        leaves = [*inputs, *head.parameters()]
        gradients = torch.autograd.grad((logits * projection).sum(), leaves, allow_unused=True)
        results.append([logits, *(g for g in gradients if g is not None)])
        seen.append(len(calls))
    assert seen == ([0, 1, 1] if norm else [0, 0, 0])
    for plain, wide, narrow in zip(*results, strict=True):
        for ours in (wide, narrow):
            assert (ours - plain).abs().max() <= 1e-5 * max(1, plain.abs().max())
