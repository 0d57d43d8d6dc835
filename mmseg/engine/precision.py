"""Reduced precision, TF32 and compilation of a training, as the keys ``amp``, ``tf32`` and ``compile`` of its
config say."""
from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from mmseg.core.cast_weights import CastWeights
from mmseg.core.method import Method
from mmseg.models.segmentors import EncoderDecoder
from mmseg.utils import UserError
from mmseg.utils.registry import accepted_keys, check_keys

DTYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}
SCALER_KEYS = frozenset({'init_scale', 'growth_factor', 'backoff_factor', 'growth_interval'})
# One compiled function serves the networks of a method in all their modes, and each shape is a variant of it;
# torch allows for 8 before it gives up compiling.
MOST_VARIANTS = 64


def amp_settings(cfg: Mapping[str, Any]) -> dict[str, Any] | None:
    """``cfg['amp']`` after a look at it, or what mmcv's ``fp16`` means; None for float32.

    ``fp16=dict(loss_scale=…)`` is float16 with that initial scale (a number), with torch's ('dynamic', or
    without the key), or with the settings of a scaler (a dict). The scale follows the gradients in all cases.

    Raises:
        UserError: an unknown key or precision.
    """
    amp, fp16 = cfg.get('amp'), cfg.get('fp16')
    if fp16 is not None:
        if amp is not None:
            raise UserError('the config has amp and fp16, which say the same: leave fp16 out')
        check_keys(fp16, {'loss_scale'}, 'fp16')
        scale = fp16.get('loss_scale', 'dynamic')
        amp = {'dtype': 'float16', **(scale if isinstance(scale, Mapping) else
                                      {} if scale == 'dynamic' else {'init_scale': scale})}
    if amp is None:
        return None
    check_keys(amp, {'dtype', *SCALER_KEYS}, 'amp')
    if amp.get('dtype') not in DTYPES:
        raise UserError(f"amp.dtype is {amp.get('dtype')!r}, expected {' or '.join(map(repr, DTYPES))}")
    for key in SCALER_KEYS & set(amp):
        if amp['dtype'] != 'float16' or isinstance(amp[key], bool) or not isinstance(amp[key], (int, float)):
            raise UserError(f'amp.{key} is {amp[key]!r}, expected a number, and amp.dtype=float16')
    return dict(amp)


def compile_settings(cfg: Mapping[str, Any]) -> dict[str, Any] | None:
    """The keyword arguments of ``torch.compile``; None if nothing is to be compiled.

    Raises:
        UserError: ``cfg['compile']`` is neither True, False nor a dict of such arguments.
    """
    value = cfg.get('compile')
    if value is None or value is False:
        return None
    if value is True:
        return {}
    if not isinstance(value, Mapping):
        raise UserError(f'compile is {value!r}, expected True, False or a dict of options of torch.compile')
    check_keys(value, accepted_keys(torch.compile) - {'model'}, 'compile')
    return dict(value)


def grad_scaler(cfg: Mapping[str, Any], device: torch.device) -> torch.amp.GradScaler | None:
    """What keeps the small gradients of float16 from vanishing; bfloat16 has the range of float32 and needs
    none."""
    amp = amp_settings(cfg)
    if amp is None or amp['dtype'] != 'float16':
        return None
    return torch.amp.GradScaler(device.type, **{key: amp[key] for key in SCALER_KEYS & set(amp)})


def prepare_networks(model: nn.Module, cfg: Mapping[str, Any]) -> None:
    """Let the networks in ``model``, teacher and ImageNet encoder included, compute as ``cfg`` says. Weights
    stay float32, and so do the losses."""
    amp, compilation = amp_settings(cfg), compile_settings(cfg)
    for network in _networks(model):
        if hasattr(network, 'amp_dtype'):  # others, as discriminators, stay in float32
            network.amp_dtype = None if amp is None else DTYPES[amp['dtype']]
            network.cast_weights = None if amp is None else CastWeights(network, network.amp_dtype)
    if isinstance(model, Method):
        model.graphs.options = compilation
        model.replays_graphs = compilation is not None and replays_graphs(compilation)
    if compilation is not None:
        torch._dynamo.config.cache_size_limit = MOST_VARIANTS  # recompile_limit, in later versions also
        for network in _networks(model):
            network.compile(**compilation)


def replays_graphs(compilation: Mapping[str, Any]) -> bool:
    """Whether ``torch.compile`` with these arguments records CUDA graphs and replays them."""
    return (compilation.get('mode') in ('reduce-overhead', 'max-autotune')
            or bool((compilation.get('options') or {}).get('triton.cudagraphs')))


@contextlib.contextmanager
def eager(model: nn.Module) -> Iterator[None]:
    """Inside the block, compiled modules run as they were written: an evaluation would compile each of its
    batch sizes anew."""
    compiled = {module: module._compiled_call_impl for module in model.modules()
                if module._compiled_call_impl is not None}
    for module in compiled:
        module._compiled_call_impl = None
    try:
        yield
    finally:
        for module, call in compiled.items():
            module._compiled_call_impl = call


def set_tf32(allowed: bool) -> None:
    """Whether matrix products and convolutions of float32 may round their factors to 10 bits on a GPU (TF32).
    torch lets convolutions do it unless told otherwise; that changes a loss in its third digit."""
    torch.set_float32_matmul_precision('high' if allowed else 'highest')
    torch.backends.cudnn.allow_tf32 = allowed


def _networks(model: nn.Module) -> Iterator[nn.Module]:
    """The networks of a method; those of EncoderDecoders in a model that declares none."""
    if isinstance(model, Method):
        return iter(model.networks().values())
    return (module for module in model.modules() if isinstance(module, EncoderDecoder))
