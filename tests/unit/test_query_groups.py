"""Groups of queries that go into the attention as a batch change no value."""
from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmseg.models.backbones.mix_transformer import attend
from mmseg.models.builder import build_backbone
from mmseg.utils import ConfigError

SMALL = dict(type='MixVisionTransformer', embed_dims=(8, 16, 24, 32), num_heads=(1, 2, 1, 2),
             depths=(1, 1, 1, 1), drop_path_rate=0.0)


@pytest.mark.parametrize('groups', [2, 4, 16])
def test_values_and_gradients_are_those_of_one_batch(groups):
    torch.manual_seed(0)
    shapes = (2, 3, 64, 8), (2, 3, 12, 8), (2, 3, 12, 8)
    leaves = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    expected, found = F.scaled_dot_product_attention(*leaves), attend(*leaves, groups=groups)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-15)
    direction = torch.randn_like(expected)
    gradients = (torch.autograd.grad((out * direction).sum(), leaves) for out in (found, expected))
    for one, other in zip(*gradients):
        torch.testing.assert_close(one, other, rtol=0, atol=4e-15)


def test_queries_go_in_as_groups_where_they_can_be_cut(monkeypatch):
    seen = []
    attention = F.scaled_dot_product_attention
    monkeypatch.setattr(F, 'scaled_dot_product_attention',
                        lambda q, k, v, **more: seen.append((q.shape, k.shape)) or attention(q, k, v, **more))
    q, k = torch.randn(2, 1, 6, 4), torch.randn(2, 1, 5, 4)
    for groups in (1, 3, 4):
        assert attend(q, k, k, groups=groups).shape == q.shape
    assert seen == [(q.shape, k.shape), ((6, 1, 2, 4), (6, 1, 5, 4)), (q.shape, k.shape)]


def test_the_key_of_the_config():
    torch.manual_seed(0)
    plain = build_backbone(SMALL).double()
    grouped = build_backbone(dict(SMALL, query_groups=[4, 2, 1, 1])).double()
    grouped.load_state_dict(plain.state_dict())
    assert [grouped.block1[0].attn.query_groups, grouped.block3[0].attn.query_groups] == [4, 1]
    img = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    for one, other in zip(plain(img), grouped(img)):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize('groups', [[0, 1, 1, 1], [2, 2], 'many'])
def test_groups_that_are_none(groups):
    with pytest.raises(ConfigError, match='query_groups'):
        build_backbone(dict(SMALL, query_groups=groups))
