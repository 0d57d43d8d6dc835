"""Contracts that every decode head keeps, and what each promises of its own."""
from __future__ import annotations

import pytest
import torch

from mmseg.models.builder import build_head, build_neck, build_segmentor
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses.supervision import supervise, supervise_head
from mmseg.models.output import HeadOutput, SegOutput
from mmseg.utils import ConfigError, UserError

CHANNELS = (8, 12, 16, 24)
SIZES = ((16, 24), (8, 12), (4, 6), (3, 3))
BN = dict(type='BN', requires_grad=True)
LAST = dict(in_channels=24, in_index=3, num_classes=5)
ALL = dict(in_channels=list(CHANNELS), in_index=[0, 1, 2, 3], num_classes=5, channels=8, norm_cfg=BN)
CONTEXT = dict(LAST, channels=8, norm_cfg=BN)
MLP = dict(type='mlp', act_cfg=None, norm_cfg=None)
CONV = dict(type='conv', kernel_size=1, act_cfg=dict(type='ReLU'), norm_cfg=BN)
HEADS = [
    dict(LAST, type='DLV2Head', dilations=(1, 2)),
    dict(CONTEXT, type='ASPPHead'),
    dict(CONTEXT, type='DepthwiseSeparableASPPHead', c1_in_channels=8, c1_channels=4),
    dict(CONTEXT, type='DepthwiseSeparableASPPHead', c1_in_channels=0, c1_channels=0),
    dict(CONTEXT, type='DAHead', pam_channels=4),
    dict(CONTEXT, type='ISAHead', isa_channels=4, down_factor=(2, 2)),
    dict(CONTEXT, type='PSPHead'),
    dict(CONTEXT, type='FCNHead'),
    dict(CONTEXT, type='FCNHead', input_transform='resize_concat', in_channels=[8, 24], in_index=[0, 3],
         num_convs=1, concat_input=False),
    dict(LAST, type='ProDAHead', channels=8, reduction=4, norm_cfg=dict(type='GN', num_groups=4)),
    dict(ALL, type='RefineNetHead'),
    dict(ALL, type='SegFormerHead', decoder_params=dict(embed_dims=8)),
    dict(ALL, type='UPerHead'),
    dict(ALL, type='DAFormerHead',
         decoder_params=dict(embed_dims=8, embed_cfg=MLP, embed_neck_cfg=MLP, fusion_cfg=CONV)),
]
FINE = ('RefineNetHead', 'SegFormerHead', 'UPerHead', 'DAFormerHead')
every_head = pytest.mark.parametrize('cfg', HEADS, ids=[f'{i}-{cfg["type"]}' for i, cfg in enumerate(HEADS)])


def features() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, c, *size, requires_grad=True) for c, size in zip(CHANNELS, SIZES)]


def labels() -> torch.Tensor:
    return torch.randint(0, 5, (2, 1, 32, 48), generator=torch.Generator().manual_seed(0))


def supervised(head, inputs):
    outputs = {name or 'only': HeadOutput(head.upsample(logits, (32, 48)), head)
               for name, logits in head.training_logits(inputs).items()}
    return supervise(SegOutput(inputs, outputs), labels())


@every_head
def test_logits_of_every_class(cfg):
    at_first_level = cfg['type'] in FINE or cfg.get('c1_channels') or 'input_transform' in cfg
    logits = build_head(cfg)(features())
    assert logits.shape == (2, 5, *(SIZES[0] if at_first_level else SIZES[3]))
    assert torch.isfinite(logits).all()


@every_head
def test_losses_reach_every_parameter_and_feature(cfg):
    head, inputs = build_head(cfg), features()
    supervised(head, inputs).total().backward()
    trained = {name: p for name, p in head.named_parameters() if p.requires_grad}
    assert trained
    assert [name for name, p in trained.items() if p.grad is None] == []
    used = cfg['in_index'] if isinstance(cfg['in_index'], list) else [3]
    used = [0, *used] if cfg.get('c1_channels') else used
    assert [i for i, x in enumerate(inputs) if x.grad is not None] == used


@every_head
def test_prediction_is_the_first_trained_output(cfg):
    head = build_head({**cfg, **({} if cfg['type'] == 'DLV2Head' else {'dropout_ratio': 0})})
    inputs = features()
    first = next(iter(head.training_logits(inputs).values()))
    assert torch.equal(first, head(inputs))


def test_dual_attention_trains_three_outputs():
    head = build_head(dict(CONTEXT, type='DAHead', pam_channels=4, dropout_ratio=0))
    terms = supervised(head, features())
    assert [*terms.losses] == ['pam_cam.loss_seg', 'pam.loss_seg', 'cam.loss_seg']
    for name, logits in head.training_logits(features()).items():
        output = HeadOutput(head.upsample(logits, (32, 48)), head)
        alone = supervise_head(output, labels()).losses['loss_seg']
        assert terms.losses[f'{name}.loss_seg'].item() == pytest.approx(alone.item(), rel=1e-5)


@pytest.mark.parametrize('name', ['losses', 'forward_train'])
def test_a_head_with_losses_of_its_own_is_told(name):
    """mmsegmentation would call them, and here nothing would."""
    with pytest.raises(ConfigError, match=f"overrides '{name}'"):
        type('Own', (BaseDecodeHead,), {name: lambda *args: {}})


@pytest.mark.parametrize('own', ['pam', 'cam'])
def test_each_attention_is_classified_by_itself(own):
    head = build_head(dict(CONTEXT, type='DAHead', pam_channels=4))
    head.training_logits(features())[own].sum().backward()
    reached = {name.split('.')[0] for name, p in head.named_parameters() if p.grad is not None}
    assert reached == {own, f'{own}_in_conv', f'{own}_out_conv', f'{own}_conv_seg'}


def test_log_names_of_a_segmentor():
    network = build_segmentor(dict(
        type='EncoderDecoder', backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4),
        decode_head=dict(type='DAHead', in_channels=32, in_index=3, channels=8, pam_channels=4,
                         num_classes=5),
        auxiliary_head=dict(type='FCNHead', in_channels=16, in_index=2, channels=8, num_classes=5)))
    values = network(torch.randn(2, 3, 32, 48), [{}, {}], gt_semantic_seg=labels())
    assert {name for name in values if name.endswith('loss_seg')} == {
        'decode.pam_cam.loss_seg', 'decode.pam.loss_seg', 'decode.cam.loss_seg', 'aux.loss_seg'}
    [output] = network(torch.randn(2, 3, 32, 48))
    assert output.logits.shape == (2, 5, 32, 48)
    outcome = network.train_step(dict(img=torch.randn(2, 3, 32, 48), img_metas=[{}, {}],
                                      gt_semantic_seg=labels()))
    parts = [value for name, value in outcome['log_vars'].items() if name.endswith('.loss_seg')]
    assert len(parts) == 4
    assert outcome['loss'].item() == pytest.approx(sum(parts).item(), rel=1e-5)


def test_deeplabv2_is_the_sum_of_small_classifiers():
    head, inputs = build_head(HEADS[0]), features()
    assert torch.allclose(head(inputs), head.aspp_modules[0](inputs[3]) + head.aspp_modules[1](inputs[3]))
    spread = torch.cat([branch.conv.weight.flatten() for branch in head.aspp_modules]).std().item()
    assert spread == pytest.approx(0.01, rel=0.15)
    assert not any('conv_seg' in name for name in head.state_dict())


@pytest.mark.parametrize('cfg, word', [
    (dict(LAST, type='DLV2Head', channels=8), 'channels'),
    (dict(ALL, type='SegFormerHead', decoder_params=dict(embed_dim=8)), 'embed_dims'),
    (dict(ALL, type='SegFormerHead'), 'embed_dims'),
    (dict(CONTEXT, type='FCNHead', num_convs=0), 'in_channels'),
    (dict(CONTEXT, type='ISAHead', isa_channel=4), 'isa_channels'),
])
def test_mistakes_name_the_key(cfg, word):
    with pytest.raises(UserError, match=word):
        build_head(cfg)


def test_adapter_enlarges_the_last_level_alone():
    inputs = features()
    *lower, last = build_neck(dict(type='SegFormerAdapter'))(inputs)
    assert all(a is b for a, b in zip(lower, inputs))
    assert last.shape == (2, 24, 12, 12)
    assert torch.allclose(last.mean((2, 3)), inputs[3].mean((2, 3)), atol=0.2)


def test_pyramid_of_a_single_map():
    levels = build_neck(dict(type='SimpleFPN', in_channels=16, out_channels=6, in_index=2))(features())
    assert [tuple(level.shape[1:]) for level in levels] == [(6, 16, 24), (6, 8, 12), (6, 4, 6), (6, 2, 3)]
    with pytest.raises(UserError, match='power of two'):
        build_neck(dict(type='SimpleFPN', in_channels=16, scales=(3,)))
