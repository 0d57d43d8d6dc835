"""What is quick on a CPU comes through one door, and computes plainly wherever it has to."""
from __future__ import annotations

import copy
import io
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from golden import fill, relative_error
from mmcv import Config
from torch import nn
from uda_models import BN, batch, network, seed_all, uda_model

from mmseg.apis.inference import init_segmentor
from mmseg.apis.train import _placed
from mmseg.models.backbones.mix_transformer import Block
from mmseg.models.builder import build_segmentor
from mmseg.ops.cpu import accelerate, conv, fusion, linear, residual

ASPP = dict(type='aspp', sep=True, dilations=(1, 2), pool=True, act_cfg=dict(type='ReLU'), norm_cfg=BN)
TINY = dict(type='MixVisionTransformer', embed_dims=[4, 8, 8, 8], num_heads=[1, 1, 1, 1], depths=[1, 1, 1, 1],
            sr_ratios=[4, 2, 1, 1], drop_path_rate=0.0)


def tiny() -> nn.Module:
    cfg = network(8, ASPP)
    cfg['backbone'], cfg['decode_head']['in_channels'] = TINY, TINY['embed_dims']
    return fill(build_segmentor(cfg)).eval()


def kinds(model: nn.Module) -> Counter:
    """Of the modules that were exchanged."""
    return Counter(type(m).__name__ for m in model.modules() if type(m).__module__.startswith('mmseg.ops'))


def noted(calls: list[str], function: Callable) -> Callable:
    def call(*args):
        calls.append(function.__name__)
        return function(*args)
    return call


@pytest.fixture
def always_quick(monkeypatch):
    """Small layers take the ways of wide ones; (name of the way) of each call."""
    for module, name in ((linear, 'WIDE'), (linear, 'NARROW'), (linear, 'MANY_ROWS'), (residual, 'WIDE'),
                         (conv, 'WINOGRAD_CHANNELS'), (conv, 'WINOGRAD_TILES'), (fusion, 'WIDE_POINTWISE')):
        monkeypatch.setattr(module, name, 1)
    taken = []
    for module, name in ((linear, 'linear'), (conv, 'patch_conv'), (conv, 'winograd_conv3x3'),
                         (conv, 'dilated_depthwise'), (fusion, 'enlarged_pointwise_conv'),
                         (residual, 'add_branch')):
        monkeypatch.setattr(module, name, noted(taken, getattr(module, name)))
    return taken


ALL_WAYS = {'linear', 'patch_conv', 'winograd_conv3x3', 'dilated_depthwise', 'enlarged_pointwise_conv',
            'add_branch'} - (set() if linear.HAS_ONEDNN else {'linear', 'patch_conv'})


def test_every_way_is_taken_and_computes_the_same(always_quick):
    image, plain = batch(0, size=64)['img'], tiny()
    quick = accelerate(copy.deepcopy(plain))
    assert list(quick.state_dict()) == list(plain.state_dict()) and not kinds(plain)
    with torch.inference_mode():
        expected = plain.encode_decode(image)
        assert not always_quick
        assert relative_error(quick.encode_decode(image), expected.numpy()) < 1e-4
    assert set(always_quick) == ALL_WAYS


@pytest.mark.parametrize('train', [False, True], ids=['eval', 'train'])
def test_a_recorded_graph_is_the_plain_one(always_quick, train):
    image, plain = batch(0, size=64)['img'], tiny().train(train)
    for block in (m for m in plain.modules() if isinstance(m, Block)):
        block.drop_path.drop_prob = 0.5

    def recorded(model):
        encoder = torch.export.export(model.backbone, (image,)).graph
        levels = [torch.randn(2, c, s, s) for c, s in zip((4, 8, 8, 8), (16, 8, 4, 2))]
        return [str(graph) for graph in (encoder, torch.export.export(model.decode_head, (levels,)).graph)]

    expected = recorded(plain)
    assert recorded(accelerate(plain)) == expected
    assert not always_quick


def test_on_another_device_it_is_the_plain_network(always_quick):
    """The device here is meta, which has shapes and no values."""
    quick = accelerate(tiny().train()).to('meta')
    assert quick.encode_decode(batch(0, size=64)['img'].to('meta')).shape == (2, 19, 64, 64)
    assert not always_quick and kinds(quick)
    elsewhere = accelerate(tiny().to('meta'))
    assert not kinds(elsewhere)


def test_copies_and_pickles_are_as_quick():
    quick = accelerate(tiny())
    file = io.BytesIO()
    torch.save(quick, file)
    file.seek(0)
    image = batch(0, size=64)['img']
    with torch.inference_mode():
        for other in (copy.deepcopy(quick), torch.load(file, weights_only=False)):
            assert kinds(other) == kinds(quick)
            assert torch.equal(other.encode_decode(image), quick.encode_decode(image))


def test_twice_is_once():
    quick = accelerate(tiny())
    classes = [type(m) for m in quick.modules()]
    assert accelerate(quick) is quick and [type(m) for m in quick.modules()] == classes


def test_what_is_exchanged():
    """Four blocks with q, kv, proj, fc1, fc2 and a depthwise convolution, two with reduced keys; four
    embeddings; an ASPP of a pointwise, a depthwise and a pointwise convolution, and its bottleneck. Neither
    pooling, nor classifier, nor patch embeddings."""
    assert kinds(accelerate(tiny())) == {
        'CPUBlock': 4, 'CPULinear': 4 * 5 + 4, 'CPUConv2d': 4 + 2 + 3 + 1, 'CPUDAFormerHead': 1,
        'CPUASPPWrapper': 1, 'CPUResize': 2}


@pytest.mark.parametrize('backbone, channels', [
    (dict(type='ResNet', depth=18), 512), (dict(type='TIMMBackbone', model_name='test_convnext'), 64)])
def test_networks_that_were_not_measured_stay(backbone, channels):
    head = dict(type='FCNHead', in_channels=channels, in_index=3, channels=8, num_classes=5)
    model = build_segmentor(dict(type='EncoderDecoder', backbone=backbone, decode_head=head))
    assert kinds(accelerate(model)) == {'CPUResize': 1}


def test_a_users_own_subclass_stays():
    class OwnBlock(Block):
        pass

    class OwnLinear(nn.Linear):
        pass

    block = OwnBlock(8, 2, 4, sr_ratio=1)
    block.mlp.fc1 = OwnLinear(8, 32)
    accelerate(block)
    assert type(block) is OwnBlock and type(block.mlp.fc1) is OwnLinear
    assert kinds(block) == {'CPULinear': 4, 'CPUConv2d': 1}


def test_networks_are_accelerated_where_they_are_placed():
    """All that a method holds; so are those of ``init_segmentor``."""
    cfg = network()
    model = _placed(uda_model(cfg), {}, torch.device('cpu'), distributed=False)
    alone = kinds(init_segmentor(Config(dict(model=cfg)), device='cpu'))
    assert alone and kinds(model) == {kind: 2 * number for kind, number in alone.items()}


def test_a_step_with_dropped_branches_is_the_plain_one():
    """The same random numbers, and gradients for every parameter."""
    cfg = network(dropout_ratio=0.1)
    cfg['backbone']['drop_path_rate'] = 0.5
    logs = []
    for prepare in (lambda plain: plain, accelerate):
        seed_all(0)
        model = prepare(fill(uda_model(cfg)).train())
        log_vars = model.train_step(batch(0, size=64, cell=16),
                                    torch.optim.SGD(model.get_model().parameters(), lr=0.0))['log_vars']
        logs.append({name: float(value) for name, value in log_vars.items()})
        assert all(p.grad is not None for p in model.get_model().parameters() if p.requires_grad)
    assert logs[1] == pytest.approx(logs[0], rel=1e-5)
