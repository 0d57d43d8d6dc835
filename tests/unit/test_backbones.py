"""ResNet and its kin against torchvision and by hand; timm's models; strict loading."""
from __future__ import annotations

import socket

import pytest
import timm
import torch
import torchvision
from mmcv import Config

from mmseg.models.builder import build_backbone, build_segmentor
from mmseg.utils import UserError

TINY = dict(base_channels=4, stem_channels=8)
IMAGE = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def shapes(features) -> list[tuple[int, ...]]:
    return [tuple(f.shape[1:]) for f in features]


def test_resnet18_is_torchvisions(tmp_path):
    """Old weights files have no counters of batch norms, and a classifier."""
    peer = torchvision.models.resnet18().eval()
    weights = {k: v for k, v in peer.state_dict().items() if not k.endswith('num_batches_tracked')}
    torch.save(weights, tmp_path / 'resnet18.pth')
    ours = build_backbone(dict(type='ResNet', depth=18, pretrained=str(tmp_path / 'resnet18.pth'))).eval()
    ours.init_weights()
    trunk = torch.nn.Sequential(*list(peer.children())[:-2])
    with torch.inference_mode():
        features = ours(IMAGE)
        assert torch.allclose(features[3], trunk(IMAGE), atol=1e-5)
    assert shapes(features) == [(64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)]


@pytest.mark.parametrize('depth, kind, peer', [
    (34, 'ResNet', 'resnet34'), (50, 'ResNet', 'resnet50'), (152, 'ResNet', 'resnet152')])
def test_names_and_shapes_are_torchvisions(depth, kind, peer):
    with torch.device('meta'):
        ours = build_backbone(dict(type=kind, depth=depth)).state_dict()
        theirs = getattr(torchvision.models, peer)().state_dict()
    expected = {k: v.shape for k, v in theirs.items() if not k.startswith('fc.')}
    assert {k: v.shape for k, v in ours.items()} == expected


def test_resnext_is_torchvisions():
    with torch.device('meta'):
        ours = build_backbone(dict(type='ResNeXt', depth=50, groups=32, base_width=4)).state_dict()
        theirs = torchvision.models.resnext50_32x4d().state_dict()
    assert {k: v.shape for k, v in ours.items()} == {
        k: v.shape for k, v in theirs.items() if not k.startswith('fc.')}


def test_dilated_stages_keep_the_size_and_contract():
    net = build_backbone(dict(type='ResNetV1c', depth=50, dilations=(1, 1, 2, 4), strides=(1, 2, 1, 1),
                              contract_dilation=True, **TINY)).eval()
    assert [size[1:] for size in shapes(net(IMAGE))] == [(16, 24), (8, 12), (8, 12), (8, 12)]
    assert [block.conv2.dilation[0] for block in net.layer4] == [2, 4, 4]
    assert [block.conv2.dilation[0] for block in net.layer3] == [1, 2, 2, 2, 2, 2]


@pytest.mark.parametrize('style, strides', [('pytorch', (1, 2)), ('caffe', (2, 1))])
def test_style_places_the_stride(style, strides):
    block = build_backbone(dict(type='ResNet', depth=50, style=style, **TINY)).layer2[0]
    assert (block.conv1.stride[0], block.conv2.stride[0]) == strides


def test_frozen_stages_and_norms():
    net = build_backbone(dict(type='ResNetV1c', depth=18, frozen_stages=1, norm_eval=True, **TINY)).train()
    frozen = {name.split('.')[0] for name, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {'stem', 'layer1'}
    assert not any(m.training for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d))
    net = build_backbone(dict(type='ResNet', depth=18, frozen_stages=0, **TINY)).train()
    assert not net.bn1.training and net.layer1[0].bn1.training
    assert not net.conv1.weight.requires_grad


def test_blocks_begin_as_the_identity():
    positive = torch.rand(2, 4, 8, 8)
    net = build_backbone(dict(type='ResNet', depth=18, **TINY))
    assert torch.equal(net.layer1[1](positive), positive)
    net = build_backbone(dict(type='ResNet', depth=18, zero_init_residual=False, **TINY))
    assert not torch.allclose(net.layer1[1](positive), positive)


def test_out_indices_choose_stages():
    net = build_backbone(dict(type='ResNet', depth=18, out_indices=(1, 3), **TINY)).eval()
    assert shapes(net(IMAGE)) == [(8, 8, 12), (32, 2, 3)]


@pytest.mark.parametrize('kind', ['ResNet', 'ResNeSt'])
def test_checkpointing_changes_no_gradient(kind):
    grads = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        net = build_backbone(dict(type=kind, depth=50, with_cp=with_cp, zero_init_residual=False, **TINY))
        image = IMAGE.clone().requires_grad_()
        net.eval()(image)[-1].sum().backward()
        grads.append(net.layer1[0].conv1.weight.grad)
    assert grads[0].abs().sum() > 0
    assert torch.allclose(grads[0], grads[1], rtol=1e-5)


@pytest.mark.parametrize('radix, groups', [(1, 1), (2, 1), (2, 2)])
def test_split_attention_by_hand(radix, groups):
    from mmseg.models.backbones.resnest import SplitAttentionConv2d
    torch.manual_seed(0)
    layer = SplitAttentionConv2d(8, 8, 1, 1, groups, radix, 4, dict(type='BN')).eval()
    x = torch.randn(2, 8, 5, 5)
    splits = layer.bn0(layer.conv(x)).relu().chunk(radix, dim=1)
    pooled = sum(splits).mean(dim=(2, 3), keepdim=True)
    scores = layer.fc2(layer.bn1(layer.fc1(pooled)).relu())
    if radix == 1:
        expected = splits[0] * scores.sigmoid()
    else:
        # each group holds the scores of its first split, then those of its second
        per_group = [group.chunk(radix, dim=1) for group in scores.chunk(groups, dim=1)]
        stacked = torch.stack([torch.cat([group[r] for group in per_group], dim=1) for r in range(radix)])
        expected = sum(s * w for s, w in zip(splits, stacked.softmax(dim=0)))
    assert torch.allclose(layer(x), expected, atol=1e-6)


def test_resnest_pools_where_it_strides():
    net = build_backbone(dict(type='ResNeSt', depth=50, **TINY)).eval()
    assert net.layer2[0].pool is not None and net.layer2[0].conv2.conv.stride == (1, 1)
    assert net.layer2[1].pool is None
    assert shapes(net(IMAGE)) == [(16, 16, 24), (32, 8, 12), (64, 4, 6), (128, 2, 3)]
    net = build_backbone(dict(type='ResNeSt', depth=50, avg_down_stride=False, **TINY))
    assert net.layer2[0].pool is None and net.layer2[0].conv2.conv.stride == (2, 2)


@pytest.mark.parametrize('cfg, word', [
    (dict(type='ResNet', depth=20), '18, 34, 50'),
    (dict(type='ResNet', depth=18, style='torch'), 'caffe'),
    (dict(type='ResNet', depth=18, strides=(1, 2)), 'one value'),
    (dict(type='ResNet', depth=18, num_stages=2, strides=(1, 2), dilations=(1, 1)), 'out_indices'),
    (dict(type='ResNeXt', depth=18), '50, 101'),
    (dict(type='ResNeSt', depth=50, radius=2), 'radix'),
    (dict(type='TIMMBackbone', model_name='convnext_tiniest'), 'convnext'),
    (dict(type='TIMMBackbone', model_name='test_convnext', model_args=dict(colour=1)), 'colour'),
    (dict(type='ResNet', depth=18, pretrained='open-mmlab://resnet18_v1'), 'resnet18_v1c'),
    (dict(type='ResNet', depth=18, pretrained='open-mmlab://resnet18_v1c'), 'https://.*resnet18_v1c-b5776b93'),
])
def test_mistakes_are_told(cfg, word):
    with pytest.raises(UserError, match=word):
        build_backbone(cfg).init_weights()


# ------------------------------------------------------------------------- timm

@pytest.fixture
def offline(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError('construction went to the network')
    monkeypatch.setattr(socket.socket, 'connect', refuse)


@pytest.mark.parametrize('name', ['test_convnext', 'test_vit'])
def test_timm_weights_of_the_whole_model_load_strictly(name, tmp_path, offline):
    torch.manual_seed(0)
    whole = timm.create_model(name, img_size=160) if 'vit' in name else timm.create_model(name)
    path, args = str(tmp_path / 'model.pth'), dict(dynamic_img_size=True) if 'vit' in name else None
    torch.save(whole.state_dict(), path)
    net = build_backbone(dict(type='TIMMBackbone', model_name=name, pretrained=path, model_args=args))
    net.init_weights()
    image = torch.randn(1, 3, 160, 160)
    with torch.inference_mode():
        expected = whole.eval().forward_intermediates(image, norm=False, intermediates_only=True)
        assert torch.allclose(net.eval()(image)[-1], expected[-1], atol=1e-5)

    weights = whole.state_dict()
    removed = next(k for k in weights if 'stages.0' in k or 'blocks.0' in k)
    torch.save({k: v for k, v in weights.items() if k != removed}, path)
    with pytest.raises(UserError, match='1 missing'):
        net.init_weights()
    torch.save({**weights, 'blocks.99.weight': torch.zeros(1)}, path)
    with pytest.raises(UserError, match='1 unexpected.*blocks.99'):
        net.init_weights()
    net.pretrained_extras += ('blocks.99.',)
    net.init_weights()


@pytest.mark.parametrize('name, args, expected', [
    ('convnext_tiny', None, [(96, 16, 24), (192, 8, 12), (384, 4, 6), (768, 2, 3)]),
    ('swin_tiny_patch4_window7_224', dict(strict_img_size=False),
     [(96, 16, 24), (192, 8, 12), (384, 4, 6), (768, 2, 3)]),
    ('vit_small_patch16_dinov3', dict(dynamic_img_size=True), [(384, 4, 6)] * 3)])
def test_timm_maps_are_channels_first(name, args, expected, offline):
    with torch.device('meta'):
        net = build_backbone(dict(type='TIMMBackbone', model_name=name, model_args=args)).eval()
        features = net(torch.empty(1, 3, 64, 96))
    assert shapes(features) == expected
    assert net.channels == [size[0] for size in expected]


def test_asked_for_weights_come_from_timm(monkeypatch):
    torch.manual_seed(0)
    source = timm.create_model('test_convnext', features_only=True)
    net = build_backbone(dict(type='TIMMBackbone', model_name='test_convnext', pretrained=True))
    asked = []
    monkeypatch.setattr(timm, 'create_model', lambda **kwargs: asked.append(kwargs) or source)
    net.init_weights()
    assert [kwargs['pretrained'] for kwargs in asked] == [True]
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), source.state_dict().values()))


@pytest.mark.parametrize('file', ['daformer_sepaspp_convnext_tiny', 'daformer_sepaspp_dinov2_small'])
def test_decoder_on_timm(file, offline, request):
    cfg = Config.fromfile(str(request.config.rootpath / f'configs/_base_/models/{file}.py'))
    with torch.device('meta'):
        network = build_segmentor(cfg.model).eval()
        assert network.encode_decode(torch.empty(2, 3, 64, 96)).shape == (2, 19, 64, 96)
