from __future__ import annotations

import inspect

import torch
from mmcv.runner import build_optimizer as mmcv_build_optimizer
from mmcv.runner.optimizer.builder import OPTIMIZERS
from torch import nn

from mmseg.utils import UserError, did_you_mean
from mmseg.utils.registry import settings_blamed

# where torch has fused optimisers in every version that the project supports
FUSED_DEVICES = ('cpu', 'cuda')


def build_optimizer(model: nn.Module, cfg: dict) -> torch.optim.Optimizer:
    """The optimiser of a config, with mmcv's ``paramwise_cfg`` (``custom_keys``, ``norm_decay_mult`` …).

    mmcv makes a group of every parameter; here parameters with the same settings share one, so that
    torch's foreach and fused implementations work on long lists. Frozen parameters are left out.

    Raises:
        UserError: no or an unknown optimiser, or a key that it does not take.
    """
    if 'type' not in cfg:
        raise UserError("key 'type' is missing in optimizer, e.g. type='AdamW'")
    kind = cfg['type']
    if kind not in OPTIMIZERS.module_dict:
        raise UserError(f"unknown optimizer type '{kind}': {did_you_mean(kind, OPTIMIZERS.module_dict)}")
    with settings_blamed(f'optimizer {dict(cfg)}'):
        optimizer = mmcv_build_optimizer(model, dict(cfg))
    groups: dict[str, dict] = {}
    for group in optimizer.param_groups:
        trained = [p for p in group['params'] if p.requires_grad]
        settings = {k: v for k, v in group.items() if k != 'params'}
        if trained:
            # as text, because settings of a json config are lists (betas)
            same = groups.setdefault(repr(sorted(settings.items())), {**settings, 'params': []})
            same['params'] += trained
    if not groups:
        raise UserError('there is no parameter to train')
    return type(optimizer)(_fused(list(groups.values())), **_defaults_taken(optimizer))


def _defaults_taken(optimizer: torch.optim.Optimizer) -> dict:
    """The optimiser's defaults that its constructor accepts."""
    accepted = inspect.signature(type(optimizer)).parameters
    return {k: v for k, v in optimizer.defaults.items() if k in accepted}


def _fused(groups: list[dict]) -> list[dict]:
    """Groups updated in one pass over the memory where their optimiser can, unless the config chooses."""
    for group in groups:
        if group.get('fused', '') is None and not group.get('foreach'):
            group['fused'] = all(p.is_floating_point() and p.device.type in FUSED_DEVICES
                                 for p in group['params'])
    return groups
