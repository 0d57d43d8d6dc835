"""Weights that are cast all at once give the step of autocast, and follow the weights that they are of."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from test_precision import tiny
from torch import nn
from uda_models import BALANCE, batch, seed_all, sgd, uda_model
from uda_models import tiny as without_attention

from mmseg.core.cast_weights import CastWeights
from mmseg.core.method import Pass
from mmseg.core.optimizer_step import OptimizerStep
from mmseg.engine.precision import grad_scaler, prepare_networks
from mmseg.models.backbones.mix_transformer import EfficientAttention

CPU = torch.device('cpu')


def method(cfg: dict, dtype: str, cast: bool, **uda) -> nn.Module:
    seed_all(0)
    model = uda_model(cfg, entropy_balance=BALANCE, imnet_feature_dist_lambda=0.05, **uda).train()
    prepare_networks(model, dict(amp=dict(dtype=dtype)))
    if cast:
        return model
    for network in model.networks().values():
        network.cast_weights = None
        for module in network.modules():
            if isinstance(module, EfficientAttention):  # which casts its input once in both ways
                module.register_forward_pre_hook(
                    lambda _, args: (args[0].to(getattr(torch, dtype)), *args[1:]))
    outputs, autocast = model.model.outputs, model.model._autocast

    def in_one_autocast(*images):  # one cast for both uses of a head
        with autocast(images[0]):
            return outputs(*images)

    model.model.outputs = in_one_autocast
    return model


def trained(model: nn.Module, dtype: str, steps: int = 2, fused: bool = False) -> dict[str, torch.Tensor]:
    """Weights, gradients and log values after some steps."""
    optimizer = torch.optim.AdamW(model.model.parameters(), lr=0.01, fused=True) if fused else sgd(model)
    step, log = OptimizerStep(optimizer, scaler=grad_scaler(dict(amp=dict(dtype=dtype)), CPU)), {}
    for number in range(steps):
        seed_all(number)
        log = model.train_step(batch(number, size=64, cell=16), step)['log_vars']
    gradients = {f'grad {name}': p.grad for name, p in model.model.named_parameters()}
    return {**model.state_dict(), **gradients, **log}


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_what_a_fused_optimizer_updates_is_cast_anew(dtype):
    """Its kernels do not count as a change of the weights."""
    expected, found = (trained(method(without_attention(), dtype, cast), dtype, steps=3, fused=True)
                       for cast in (False, True))
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


@pytest.mark.parametrize('cfg, dtype, joint', [
    (without_attention(), 'bfloat16', False), (without_attention(), 'float16', False),
    (tiny(), 'bfloat16', True), (tiny(with_cp=True), 'bfloat16', False)])
def test_steps_are_those_of_autocast_to_the_bit(cfg, dtype, joint):
    expected, found = (trained(method(cfg, dtype, cast, joint_encoder=joint), dtype)
                       for cast in (False, True))
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    assert found.keys() == expected.keys()


def weights_in_a_pass(model: nn.Module) -> dict[str, torch.Tensor]:
    """A weight of each network as a pass finds it."""
    with model.during(Pass(dict, ('student',)), ('student',)):
        return {name: network.decode_head.conv_seg.weight.detach().clone()
                for name, network in model.networks().items()}


def test_copies_follow_their_weights():
    """After an update, an average of the teacher, a checkpoint, and new parameters."""
    model = method(without_attention(), 'bfloat16', True)

    def check() -> None:
        own = {name: network.decode_head.conv_seg.weight for name, network in model.networks().items()}
        for name, weight in weights_in_a_pass(model).items():
            assert torch.equal(weight, own[name].to(torch.bfloat16)), name
        assert all(weight.dtype == torch.float32 for weight in own.values())

    check()
    trained(model, 'bfloat16')
    check()
    model.load_state_dict({name: value + 1 for name, value in model.state_dict().items()})
    check()
    model.ema_model.decode_head.conv_seg.weight = nn.Parameter(torch.randn(19, 8, 1, 1))
    check()


def test_weights_that_did_not_change_are_not_cast_again():
    layer, casts = nn.Linear(3, 3), []
    cast = CastWeights(nn.Sequential(layer), torch.bfloat16)
    original = torch._foreach_copy_
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, '_foreach_copy_', lambda *args: casts.append(1) or original(*args))
        for _ in range(3):
            with cast.in_place():
                pass
        assert len(casts) == 1
        with torch.no_grad():
            layer.weight.mul_(2)
        with cast.in_place():
            assert torch.equal(layer.weight, layer.weight.to(torch.bfloat16))
    assert len(casts) == 2


def test_a_weight_of_two_layers_has_one_copy_and_the_sum_of_their_gradients():
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    second.weight = first.weight
    x = torch.ones(1, 2, dtype=torch.bfloat16)
    with CastWeights(nn.Sequential(first, second), torch.bfloat16).in_place():
        assert first.weight is second.weight and first.weight.dtype == torch.bfloat16
        (first(x) + second(x)).sum().backward()
    assert first.weight.grad.tolist() == [[2, 2], [2, 2]] and first.weight.grad.dtype == torch.float32


def test_what_changes_its_weights_before_it_uses_them_is_left_alone():
    class Standardised(nn.Conv2d):
        pass

    network = nn.Sequential(Standardised(3, 3, 1), nn.BatchNorm2d(3))
    with CastWeights(network, torch.bfloat16).in_place():
        assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_a_wrapped_network_keeps_its_weights():
    """DistributedDataParallel waits for the gradients of the parameters that it was given."""
    model = method(without_attention(), 'bfloat16', True)
    model.distribute(lambda network: SimpleNamespace(module=network))
    assert {name: weight.dtype for name, weight in weights_in_a_pass(model).items()} == {
        'student': torch.float32, 'teacher': torch.bfloat16, 'imagenet': torch.bfloat16}


def test_frozen_weights_get_no_gradient():
    model = method(without_attention(), 'bfloat16', True)
    weight = model.model.decode_head.conv_seg.weight.requires_grad_(False)
    trained(model, 'bfloat16', 1)
    assert weight.grad is None
    assert all(p.grad is None for p in model.ema_model.parameters())
