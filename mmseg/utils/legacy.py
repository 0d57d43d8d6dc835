"""Configs written for earlier code of the reference implementation, brought to today's names."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmcv import ConfigDict

from .errors import ConfigError
from .legacy_alignment import update_alignment
from .registry import check_keys

# IMTRv21_5 is the placeholder for an encoder in the reference's base files, which runs it as MiT-B5
RENAMED_TYPES = {'UniHead': 'DAFormerHead', 'IMTRv21_5': 'mit_b5'}
# key → new key, of a decoder's settings
RENAMED_PARAMS = {'embed_dim': 'embed_dims'}
# Keys of early configs that do not change the network.
DROPPED_KEYS = frozenset({'ema_drop_path_rate'})
# MIC's settings of the reference, and what uda.masked calls them; without a mode there is no masked pass
MASKED_KEYS = {'mask_mode': 'mode', 'mask_alpha': 'alpha', 'mask_pseudo_threshold': 'pseudo_threshold',
               'mask_lambda': 'loss_weight', 'mask_generator': None}
MASK_GENERATOR_KEYS = {'mask_ratio': 'mask_ratio', 'mask_block_size': 'block_size'}
WITH_PICTURES = 'DACS'  # the method whose steps make pictures, every so many steps
DROPPED_LOSSES = frozenset({'LogitConstraintLoss'})
# Transforms' arguments that json can only write as lists.
TUPLE_KEYS = frozenset({'img_scale', 'crop_size', 'ratio_range', 'size', 'stride', 'scale'})


def update_legacy_cfg(cfg: Any) -> Any:
    """Bring an older config, of json or Python, up to date in place, and return it.

    Renames types (``UniHead`` is ``DAFormerHead``, whose fusion has no key ``fusion``), drops
    ``ema_drop_path_rate`` and losses that no longer exist, turns sizes that json wrote as lists
    into tuples, gathers the keys of MIC (``mask_mode``, …) in ``uda.masked``, and removes training's
    ``work_dir`` and ``log_config`` from ``model.train_cfg``. MIC's ``log_config.img_interval`` becomes
    ``uda.debug_img_interval``, which in its code has no effect. AdvSeg and MinEnt: ``update_alignment``.
    A config of today keeps its meaning.

    Args:
        cfg: a whole config (mmcv.Config or dict) with ``model`` and perhaps ``data`` and ``uda``.
    """
    for key in ('model', 'data', 'uda'):
        if isinstance(cfg.get(key), Mapping):
            cfg[key] = ConfigDict(_modern(cfg[key]))
    if MASKED_KEYS.keys() & (cfg.get('uda') or {}).keys():
        cfg['uda'] = ConfigDict(_with_masked(cfg['uda']))
    update_alignment(cfg)
    logs = cfg.get('log_config') or {}
    if 'img_interval' in logs:
        interval = logs.pop('img_interval')
        if (cfg.get('uda') or {}).get('type') == WITH_PICTURES:  # other trainings make no pictures
            cfg['uda']['debug_img_interval'] = interval
    model = cfg.get('model') or {}
    if isinstance(model.get('train_cfg'), Mapping):
        for key in ('work_dir', 'log_config'):
            model['train_cfg'].pop(key, None)
    return cfg


def _with_masked(uda: Mapping) -> dict:
    """
    Raises:
        ConfigError: both spellings, or a generator of another kind than 'block'.
    """
    given = {key: uda[key] for key in MASKED_KEYS if key in uda}
    rest = {key: value for key, value in uda.items() if key not in given}
    if given.get('mask_mode') is None:
        return rest
    if rest.get('masked') is not None:
        raise ConfigError(f'uda has both masked and {", ".join(given)}: give masked alone')
    generator = dict(given.pop('mask_generator', None) or {})
    if generator.pop('type', 'block') != 'block':
        raise ConfigError("uda.mask_generator: only the type 'block' exists")
    generator.pop('_delete_', None)  # mmcv leaves it where the base file has no such key
    check_keys(generator, MASK_GENERATOR_KEYS, 'uda.mask_generator')
    return {**rest, 'masked': {**{MASKED_KEYS[key]: value for key, value in given.items()},
                               **{MASK_GENERATOR_KEYS[key]: value for key, value in generator.items()}}}


def _modern(value: Any, key: str = '') -> Any:
    if isinstance(value, Mapping):
        new = {k: _modern(v, k) for k, v in value.items()
               if k not in DROPPED_KEYS and not _is_dropped(v)}
        if key == 'decoder_params':
            new = {RENAMED_PARAMS.get(k, k): v for k, v in new.items()}
        return _renamed(new) if new.get('type') in RENAMED_TYPES else new
    if isinstance(value, (list, tuple)):
        return _modern_sequence([_modern(v) for v in value if not _is_dropped(v)], key, type(value))
    return value


def _renamed(part: dict) -> dict:
    part['type'] = RENAMED_TYPES[part['type']]
    fusion = (part.get('decoder_params') or {}).get('fusion_cfg')
    if fusion is not None:
        fusion.pop('fusion', None)  # how to join the levels; concatenation is the only way that remained
    return part


def _modern_sequence(items: list, key: str, kind: type) -> list | tuple:
    if key in TUPLE_KEYS and items:
        if all(isinstance(item, (int, float)) for item in items):
            return tuple(items)
        if all(isinstance(item, list) for item in items):
            return [tuple(item) for item in items]
    return kind(items)


def _is_dropped(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get('type') in DROPPED_LOSSES


def without_pretrained(model_cfg: Mapping) -> ConfigDict:
    """A network's config for testing: its checkpoint brings all weights, so none of the
    pre-trained ones has to be there."""
    model = ConfigDict(model_cfg)
    model['pretrained'] = None
    for part in ('init_cfg', 'train_cfg'):
        model.pop(part, None)
    model['backbone'] = {k: v for k, v in model['backbone'].items()
                         if k not in ('pretrained', 'init_cfg')}
    return model
