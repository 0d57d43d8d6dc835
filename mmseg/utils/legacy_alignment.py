"""Configs of AdvSeg and MinEnt as the reference implementation writes them, brought to the names of here."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmcv import ConfigDict

from .errors import ConfigError
from .registry import check_keys

WEIGHTS = {'AdvSeg': 'lambda_adv_target', 'MinEnt': 'lambda_ent'}  # dict(main=…, aux=…) there
DISTANCES = {'LS': 'mse', 'Vanilla': 'bce'}
# What the teacher of a masked pass has there among the method's own keys, where the method itself has no use
# for it; here by itself.
TEACHER = {'alpha': 0.999, 'pseudo_threshold': 0.968, 'pseudo_weight_ignore_top': 0,
           'pseudo_weight_ignore_bottom': 0, 'blur': True, 'color_jitter_strength': 0.2,
           'color_jitter_probability': 0.2}


def update_alignment(cfg: Any) -> None:
    """Change a whole config in place; one of today keeps its meaning. The discriminator's learning rate,
    which the reference has in ``uda``, becomes an optimiser and a schedule of its own."""
    uda = cfg.get('uda') or {}
    if WEIGHTS.get(uda.get('type', ''), '') not in uda:
        return
    new = dict(uda)
    weights = new.pop(WEIGHTS[uda['type']])
    check_keys(weights, ('main', 'aux'), f'uda.{WEIGHTS[uda["type"]]}')
    new['weights'] = dict(decode=weights.get('main', 0.0), aux=weights.get('aux', 0.0))
    new.pop('debug_img_interval', None)  # these methods make no pictures
    if (cfg.get('model') or {}).get('type') == 'HRDAEncoderDecoder':
        new['scale'] = cfg['model'].get('feature_scale', 1)  # of the fused logits
    masked = new.get('masked') or {}
    for key, value in TEACHER.items():
        if new.get(key) == value or not masked:
            new.pop(key, None)
        elif key in new and masked.get(key) == 'same':
            masked[key] = new.pop(key)
    if uda['type'] == 'AdvSeg':
        _with_discriminator(cfg, new)
    cfg['uda'] = ConfigDict(new)


def _with_discriminator(cfg: Any, uda: dict) -> None:
    """
    Raises:
        ConfigError: a kind of discriminator that is not known.
    """
    kind = uda.pop('discriminator_type', 'LS')
    if kind not in DISTANCES:
        raise ConfigError(f"uda.discriminator_type is '{kind}': known are {', '.join(DISTANCES)}")
    uda.update(distance=DISTANCES[kind], discriminator=dict(kind='bdl'))
    rate, power, least = (uda.pop(key, default) for key, default in (
        ('lr_D', 1e-4), ('lr_D_power', 0.9), ('lr_D_min', 0.0)))
    optimizer = cfg.get('optimizer')
    if isinstance(optimizer, Mapping) and 'discriminator' not in optimizer:
        cfg['optimizer'] = ConfigDict(student=optimizer, discriminator=dict(
            type='Adam', lr=rate, betas=(0.9, 0.99)))
        cfg['lr_config'] = ConfigDict({**(cfg.get('lr_config') or {}), 'by_optimizer': dict(
            discriminator=dict(policy='poly', power=power, min_lr=float(least)))})
