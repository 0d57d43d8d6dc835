"""Registries of network parts and the functions that build from them."""
from __future__ import annotations

import copy

from mmcv.utils import Registry
from torch import nn

from mmseg.utils import build_from_cfg
from mmseg.utils.config_check import needed
from mmseg.utils.registry import check_keys, find_type

from .requirements import require, require_class

BACKBONES = Registry('backbone', build_func=build_from_cfg)
NECKS = Registry('neck', build_func=build_from_cfg)
HEADS = Registry('head', build_func=build_from_cfg)
LOSSES = Registry('loss', build_func=build_from_cfg)
SEGMENTORS = Registry('segmentor', build_func=build_from_cfg)
UDA = Registry('uda', build_func=build_from_cfg)


def build_backbone(cfg: dict) -> nn.Module:
    return BACKBONES.build(cfg)


def build_neck(cfg: dict) -> nn.Module:
    return NECKS.build(cfg)


def build_head(cfg: dict) -> nn.Module:
    require_class(find_type(cfg, HEADS), 'head')
    return require(HEADS.build(cfg), 'head')


def build_loss(cfg: dict) -> nn.Module:
    return require(LOSSES.build(cfg), 'loss')


def build_segmentor(cfg: dict, train_cfg: dict | None = None, test_cfg: dict | None = None) -> nn.Module:
    """Build a segmentation network from ``cfg.model``.

    ``train_cfg`` and ``test_cfg`` may stand beside the model, as in older configs, or inside it.
    """
    outer = {k: v for k, v in (('train_cfg', train_cfg), ('test_cfg', test_cfg)) if v is not None}
    return SEGMENTORS.build(cfg, default_args=outer)


def build_train_model(cfg, train_cfg: dict | None = None, test_cfg: dict | None = None) -> nn.Module:
    """Build what is trained: the UDA method around ``cfg.model`` if there is ``cfg.uda``, else the
    network itself.

    Args:
        cfg: a whole config with ``model`` and, for a UDA method, ``uda`` and ``runner.max_iters``.
    """
    if cfg.get('uda') is None:
        return build_segmentor(cfg['model'], train_cfg, test_cfg)
    model = copy.deepcopy(dict(cfg['model']))
    for key, value in (('train_cfg', train_cfg), ('test_cfg', test_cfg)):
        if value is not None:
            model.setdefault(key, value)
    runner = cfg.get('runner') or {}
    check_keys(runner, {'type', 'max_iters'}, 'runner')
    max_iters = needed(runner, 'max_iters', 'training')
    require_class(find_type(cfg['uda'], UDA), 'uda')
    return require(UDA.build(cfg['uda'], default_args=dict(model=model, max_iters=max_iters)), 'uda')
