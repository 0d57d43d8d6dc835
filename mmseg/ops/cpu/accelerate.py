"""The one door to what is quick on a CPU."""
from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from mmseg.models.backbones.mix_transformer import Block, EfficientAttention, MixFFN
from mmseg.models.decode_heads.daformer_head import DAFormerHead
from mmseg.models.utils.aspp import ASPPModule, ASPPWrapper
from mmseg.models.utils.mlp import MLP
from mmseg.models.utils.resize import Resize

from .conv import CPUConv2d
from .fusion import CPUASPPWrapper, CPUDAFormerHead
from .linear import CPULinear
from .residual import CPUBlock
from .resize import CPUResize

PARTS = {Block: CPUBlock, DAFormerHead: CPUDAFormerHead, ASPPWrapper: CPUASPPWrapper, Resize: CPUResize}
LAYERS = {nn.Linear: CPULinear, nn.Conv2d: CPUConv2d}


def accelerate(model: nn.Module) -> nn.Module:
    """Let the networks in ``model`` compute quickly on a CPU, in place, if that is where they are.

    Modules become instances of a subclass that computes the same to the rounding, so names, weights and state
    dicts stay, in copies and pickles too. They compute as plain ones while their input lies elsewhere or a
    graph is recorded (``torch.compile``, ``torch.export``, ``torch.jit.trace``). Only what was measured
    (docs/performance.md) is exchanged; a user's own subclass of a module stays as it is.

    Returns:
        ``model``.
    """
    if any(p.device.type != 'cpu' for p in model.parameters()):
        return model
    for layer in _measured_layers(model):
        _exchange(layer, LAYERS)
    for module in model.modules():
        _exchange(module, PARTS)
    return model


def _exchange(module: nn.Module, classes: dict[type, type]) -> None:
    module.__class__ = classes.get(type(module), type(module))


def _measured_layers(model: nn.Module) -> Iterator[nn.Module]:
    """Layers of those parts of networks in which other ways to compute them were timed."""
    for module in model.modules():
        if isinstance(module, (EfficientAttention, MixFFN, MLP, ASPPModule)):
            yield from module.modules()
        elif isinstance(module, ASPPWrapper):
            yield from module.bottleneck.modules()
