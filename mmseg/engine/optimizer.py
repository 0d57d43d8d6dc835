from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from mmcv.runner import DefaultOptimizerConstructor
from mmcv.runner import build_optimizer as mmcv_build_optimizer
from mmcv.runner.optimizer.builder import OPTIMIZER_BUILDERS, OPTIMIZERS
from torch import nn

from mmseg.core.method import Method
from mmseg.core.optimizer_step import Optimizers
from mmseg.utils import ConfigError, UserError, did_you_mean, get_root_logger
from mmseg.utils.ranges import check_range
from mmseg.utils.registry import VALUE_ERRORS, check_keys, config_error_context

# where torch has fused optimisers in every version that the project supports
FUSED_DEVICES = ('cpu', 'cuda')
FACTORS = frozenset({'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'dwconv_decay_mult',
                     'dcn_offset_lr_mult'})
PARAMWISE_KEYS = FACTORS | {'custom_keys', 'bypass_duplicate'}
# stands in the reference's configs of MiT, none of whose parameters has that name
UNMATCHED = frozenset({'pos_block'})


@OPTIMIZER_BUILDERS.register_module()
class GroupedOptimizerConstructor(DefaultOptimizerConstructor):
    """mmcv's, with one group for all parameters of the same settings.

    torch compares each group with all before it: for the 1,100 tensors of MiT-B5, each in a group of its own,
    this takes seconds.
    """

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '',
                   is_dcn_module: int | float | None = None) -> None:
        """As mmcv's.

        Raises:
            ValueError: two modules share a parameter, and ``bypass_duplicate`` is not set.
        """
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:  # a part, called for by the module that holds it
            return
        given = dict(lr=self.base_lr, weight_decay=self.base_wd)
        base = {name: value for name, value in given.items() if value is not None}
        params[:] = _joined({**base, **group} for group in params)
        tensors = [p for group in params for p in group['params']]
        if len(tensors) != len(set(tensors)):
            raise ValueError('a parameter belongs to two modules: paramwise_cfg.bypass_duplicate=True takes '
                             'it once')


def build_optimizers(model: nn.Module, cfg: Mapping[str, Any]) -> Optimizers:
    """The optimiser of a model, or of a ``Method`` with several a dict of them, by name.

    Args:
        cfg: of one as of ``build_optimizer``, of several a dict of such configs by the names that the method
            gives its optimisers.

    Raises:
        ConfigError: the names are not the method's.
    """
    parts = model.trainable() if isinstance(model, Method) else {}
    if len(parts) < 2:
        return build_optimizer(model, dict(cfg))
    if set(cfg) != set(parts):
        raise ConfigError(f'optimizer: {type(model).__name__} has the optimisers {", ".join(parts)}, and the '
                          f'config has {", ".join(map(str, cfg))}: give a dict for each, as '
                          f"optimizer=dict({next(iter(parts))}=dict(type='AdamW', …), …)")
    networks = model.networks()
    return {name: build_optimizer(nn.ModuleDict({key: networks[key] for key in keys}), dict(cfg[name]))
            for name, keys in parts.items()}


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
    check_paramwise(cfg.get('paramwise_cfg') or {}, [name for name, _ in model.named_parameters()])
    with config_error_context(f'optimizer {dict(cfg)}', VALUE_ERRORS):
        optimizer = mmcv_build_optimizer(model, {'constructor': GroupedOptimizerConstructor.__name__, **cfg})
    trained = [{**group, 'params': [p for p in group['params'] if p.requires_grad]}
               for group in optimizer.param_groups]
    groups = _joined(group for group in trained if group['params'])
    if not groups:
        raise UserError('there is no parameter to train')
    fused = type(optimizer)(_fused(groups), **_defaults_taken(optimizer))
    if all(group.get('fused') for group in fused.param_groups):
        # what torch says of itself if it is told so for all groups at once: float16's scaler then lets the
        # kernel leave out an update, and waits for nothing
        fused._step_supports_amp_scaling = True
    return fused


def check_paramwise(cfg: Mapping, names: Sequence[str]) -> None:
    """``paramwise_cfg``: the factors of learning rate and weight decay by parts of the parameters' names.

    A key of ``custom_keys`` that no parameter's name holds is told, not refused: one table of a base config
    may serve several networks.

    Raises:
        ConfigError: an unknown key, or a factor that is no number from 0 on.
    """
    check_keys(cfg, PARAMWISE_KEYS, 'optimizer.paramwise_cfg')
    for key in set(cfg) & FACTORS:
        check_range(cfg[key], f'optimizer.paramwise_cfg.{key}', 0)
    for part, factors in (cfg.get('custom_keys') or {}).items():
        where = f'optimizer.paramwise_cfg.custom_keys.{part}'
        check_keys(factors, ('lr_mult', 'decay_mult'), where)
        for key, value in factors.items():
            check_range(value, f'{where}.{key}', 0)
        if part not in UNMATCHED and not any(part in name for name in names):
            get_root_logger().warning(f"{where}: no parameter has '{part}' in its name, so it changes "
                                      f"nothing")


def _joined(groups: Iterable[dict]) -> list[dict]:
    """Groups of equal settings as one, in the order of the first of each."""
    joined: dict[str, dict] = {}
    for group in groups:
        settings = {k: v for k, v in group.items() if k != 'params'}
        # as text, because settings of a json config are lists (betas)
        same = joined.setdefault(repr(sorted(settings.items())), {**settings, 'params': []})
        same['params'] += group['params']
    return list(joined.values())


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
