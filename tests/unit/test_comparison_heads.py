"""What the heads of ProDA and RefineNet promise beside the contracts of every head."""
from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from mmcv import Config
from torch import nn

from mmseg.models.builder import build_head, build_segmentor
from mmseg.models.decode_heads.refinenet_head import ChainedResidualPooling, RefineBlock, ResidualConvUnit
from mmseg.utils import ConfigError

PRODA = dict(type='ProDAHead', in_channels=24, in_index=0, channels=8, num_classes=5, reduction=4,
             norm_cfg=dict(type='GN', num_groups=4, requires_grad=True))
REFINENET = dict(type='RefineNetHead', in_channels=[6, 8], in_index=[0, 1], channels=4, num_classes=5)


def test_features_of_proda_have_lost_the_dropped_channels():
    torch.manual_seed(0)
    head = build_head(dict(PRODA, dropout_ratio=0.5)).train()
    feature = head.features([torch.randn(4, 24, 9, 13)])
    dropped = (feature == 0).all(dim=3).all(dim=2)
    assert feature.shape == (4, 8, 9, 13)
    assert 0 < dropped.sum() < dropped.numel()
    assert torch.equal(head.classify(feature), F.conv2d(feature, head.conv_seg.weight))
    assert head.conv_seg.bias is None


def test_classifier_of_proda_begins_small():
    head = build_head(dict(PRODA, channels=256, num_classes=19))
    assert head.conv_seg.weight.std().item() == pytest.approx(0.001, rel=0.1)


def centred(conv: nn.Conv2d) -> None:
    """The convolution becomes the identity."""
    nn.init.zeros_(conv.weight)
    for channel in range(len(conv.weight)):
        conv.weight.data[channel, channel, 1, 1] = 1


def test_chained_pooling_adds_ever_larger_maxima():
    pool = ChainedResidualPooling(2, links=3)
    for conv in pool.convs:
        centred(conv)
    x = torch.randn(1, 2, 20, 20, generator=torch.Generator().manual_seed(0))
    # a chain of 5×5 windows sees 5, 9 and 13 pixels
    maxima = [F.max_pool2d(x.relu(), side, stride=1, padding=side // 2) for side in (5, 9, 13)]
    assert torch.allclose(pool(x), x.relu() + sum(maxima))


def test_a_unit_is_its_input_and_two_convolutions():
    unit = ResidualConvUnit(2)
    centred(unit.conv1)
    centred(unit.conv2)
    unit.conv1.bias.data = torch.tensor([-1.0, 1.0])
    x = torch.tensor([-2.0, 3.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3)
    # channel 0: −2 + relu(relu(−2) − 1); channel 1: 3 + relu(3 + 1)
    assert torch.equal(unit(x), torch.tensor([-2.0, 7.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3))


def test_a_block_adds_the_coarser_map_at_its_size():
    block = RefineBlock(4, 4, 6, links=1, refinements=1, align_corners=True)
    for module in block.modules():
        if isinstance(module, ResidualConvUnit):
            nn.init.zeros_(module.conv2.weight)  # the unit is the identity
    nn.init.zeros_(block.pool.convs[0].weight)
    nn.init.zeros_(block.fuse_fine.weight)
    coarse = torch.rand(1, 6, 3, 4)
    expected = F.interpolate(block.fuse_coarse(coarse), (5, 7), mode='bilinear', align_corners=True).relu()
    assert torch.allclose(block(torch.rand(1, 4, 5, 7), coarse), expected)


def test_refinenet_sees_both_levels():
    head = build_head(dict(REFINENET, dropout_ratio=0)).eval()
    fine, coarse = torch.rand(1, 6, 12, 16), torch.rand(1, 8, 6, 8)
    logits = head([fine, coarse])
    assert logits.shape == (1, 5, 12, 16)
    assert not torch.equal(logits, head([fine + 1, coarse]))
    assert not torch.equal(logits, head([fine, coarse + 1]))


def test_a_single_level_is_possible():
    head = build_head(dict(REFINENET, in_channels=[6], in_index=[0]))
    assert head([torch.rand(1, 6, 12, 16)]).shape == (1, 5, 12, 16)


@pytest.mark.parametrize('key', ['links', 'refinements'])
def test_mistakes_of_refinenet_name_the_key(key):
    with pytest.raises(ConfigError, match=key):
        build_head({**REFINENET, key: 0})


def test_refinenet_has_the_size_of_the_published_network(request):
    """118 million parameters, as Nekrasov et al. ("Light-Weight RefineNet", BMVC 2018) count them."""
    cfg = Config.fromfile(str(request.config.rootpath / 'configs/_base_/models/refinenet_r101.py'))
    with torch.device('meta'):
        network = build_segmentor({**cfg.model, 'pretrained': None}).eval()
        assert network.encode_decode(torch.empty(1, 3, 60, 90)).shape == (1, 19, 60, 90)
    assert [block.out_channels for block in network.decode_head.blocks] == [512, 256, 256, 256]
    assert round(sum(p.numel() for p in network.parameters()) / 1e6) == 118
