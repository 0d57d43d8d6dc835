"""The layers of DAFormer's decoder (Hoyer et al., CVPR 2022, section 3.1): embeddings of a level, and fusions
of all levels."""
from __future__ import annotations

from collections.abc import Mapping

from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from torch import nn

from mmseg.utils import ConfigError, did_you_mean
from mmseg.utils.registry import VALUE_ERRORS, config_error_context

from .aspp import ASPPWrapper
from .isa import ISALayer
from .mlp import MLP


def _mlp(in_channels: int, out_channels: int, align_corners: bool, act_cfg: None = None,
         norm_cfg: None = None) -> nn.Module:
    return MLP(in_channels, out_channels)


def _conv(in_channels: int, out_channels: int, align_corners: bool, **cfg) -> nn.Module:
    kernel = cfg.pop('kernel_size', 1)
    return ConvModule(in_channels, out_channels, kernel, padding=cfg.pop('padding', kernel // 2), **cfg)


def _sep_conv(in_channels: int, out_channels: int, align_corners: bool, **cfg) -> nn.Module:
    kernel = cfg.pop('kernel_size', 3)
    return DepthwiseSeparableConvModule(in_channels, out_channels, kernel,
                                        padding=cfg.pop('padding', kernel // 2), **cfg)


def _aspp(in_channels: int, out_channels: int, align_corners: bool, context_cfg: dict | None = None,
          **cfg) -> nn.Module:
    """``context_cfg`` is the block of a further branch."""
    context = None
    if context_cfg is not None:
        context = build_layer(in_channels, out_channels, context_cfg, align_corners)
    return ASPPWrapper(in_channels, out_channels, align_corners=align_corners, context_layer=context, **cfg)


def _rawconv_and_aspp(in_channels: int, out_channels: int, align_corners: bool, kernel_size: int = 1,
                      **cfg) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2),
                         _aspp(out_channels, out_channels, align_corners, **cfg))


def _isa(in_channels: int, out_channels: int, align_corners: bool, **cfg) -> nn.Module:
    return ISALayer(in_channels, out_channels, **cfg)


def _identity(in_channels: int, out_channels: int, align_corners: bool) -> nn.Module:
    return nn.Identity()


LAYERS = dict(id=_identity, mlp=_mlp, conv=_conv, sep_conv=_sep_conv, aspp=_aspp,
              rawconv_and_aspp=_rawconv_and_aspp, isa=_isa)


def build_layer(in_channels: int, out_channels: int, cfg: Mapping, align_corners: bool = False) -> nn.Module:
    """One embedding or fusion layer from its config block, ``dict(type=…, …)``.

    Raises:
        ConfigError: ``type`` is not in ``LAYERS``, or the layer cannot be built with the other keys.
    """
    if not isinstance(cfg, Mapping) or 'type' not in cfg:
        raise ConfigError(f"a layer of DAFormerHead is {cfg!r}, expected a dict with the key 'type'")
    settings = dict(cfg)
    kind = settings.pop('type')
    if kind not in LAYERS:
        raise ConfigError(f"unknown DAFormerHead layer '{kind}': {did_you_mean(kind, LAYERS)}")
    with config_error_context(f"DAFormerHead layer '{kind}'", VALUE_ERRORS):
        return LAYERS[kind](in_channels, out_channels, align_corners, **settings)
