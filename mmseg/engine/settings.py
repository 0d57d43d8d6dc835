"""The settings of a training, looked at before anything is built or written."""
from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import mmcv.runner  # noqa: F401  registers the hooks of learning rates and logs
from mmcv.runner import HOOKS, Hook
from torch.nn.utils import clip_grad_norm_

from mmseg.datasets.loading.loader import BAD_IMAGE
from mmseg.utils import ConfigError, build_from_cfg, did_you_mean
from mmseg.utils.ranges import check_range
from mmseg.utils.registry import accepted_keys, check_keys, find_type

from .hooks import CheckpointHook, StoppedPolyLrUpdaterHook
from .hooks.eval_hook import EvalHook
from .hooks.schedules_hook import SchedulesHook
from .precision import amp_settings, compile_settings

DATA_KEYS = ('train', 'val', 'test', 'test_split', 'samples_per_gpu', 'workers_per_gpu', 'bad_image',
             'cache_dir')
DEFAULT_LOG_INTERVAL = 50  # steps
STEP_KEYS = frozenset({'type', 'grad_clip', 'nonfinite', 'cumulative_iters'})
# the settings of a logger that is given by its short name
LOGGERS: Mapping[str, Mapping[str, Any]] = MappingProxyType({
    'text': dict(type='TextLoggerHook', by_epoch=False),
    'tensorboard': dict(type='TensorboardLoggerHook', by_epoch=False),
    'wandb': dict(type='WandbLoggerHook', by_epoch=False, log_artifact=False),
    'mlflow': dict(type='MlflowLoggerHook', by_epoch=False, log_model=False)})
# What a logger needs beyond the project's requirements: module → what pip calls it.
LOGGER_PACKAGES = {
    'TensorboardLoggerHook': ('tensorboard', 'tensorboard'), 'WandbLoggerHook': ('wandb', 'wandb'),
    'MlflowLoggerHook': ('mlflow', 'mlflow'), 'NeptuneLoggerHook': ('neptune', 'neptune'),
    'DvcliveLoggerHook': ('dvclive', 'dvclive'), 'ClearMLLoggerHook': ('clearml', 'clearml'),
    'SegmindLoggerHook': ('segmind', 'segmind'), 'PaviLoggerHook': ('pavi', 'pavi')}


def check_settings(cfg: Mapping) -> None:
    """Look at the settings of the training itself.

    Raises:
        ConfigError: an unknown key or type (names the nearest one), a value out of its range, a logger whose
            package is missing.
    """
    check_keys(cfg['data'], DATA_KEYS, 'data')
    if cfg['data'].get('bad_image', 'stop') not in BAD_IMAGE:
        raise ConfigError(f"data.bad_image is {cfg['data']['bad_image']!r}, expected 'stop' or 'skip'")
    runner = cfg.get('runner', dict(max_iters=1))
    check_runner(runner)
    _check_schedule(build_lr_hook(cfg['lr_config']), cfg.get('optimizer') or {}, runner['max_iters'])
    build_logger_hooks(cfg.get('log_config') or {})
    if cfg.get('checkpoint_config') is not None:
        build_from_cfg({**cfg['checkpoint_config'], 'type': CheckpointHook}, HOOKS)
    for hook in cfg.get('custom_hooks') or ():
        find_type(hook, HOOKS)
    evaluation_keys = accepted_keys(EvalHook) - {'dataloader'} | {'samples_per_gpu'}
    check_keys(cfg.get('evaluation') or {}, evaluation_keys, 'evaluation')
    _check_step(cfg.get('optimizer_config') or {})
    amp_settings(cfg)
    compile_settings(cfg)


def check_runner(runner: Mapping) -> None:
    """
    Raises:
        ConfigError: ``runner`` is not ``dict(type='IterBasedRunner', max_iters=…)``.
    """
    check_keys(runner, {'type', 'max_iters'}, 'runner')
    if runner.get('type', 'IterBasedRunner') != 'IterBasedRunner' or 'max_iters' not in runner:
        raise ConfigError(f"runner {dict(runner)}: expected dict(type='IterBasedRunner', max_iters=…)")


def _check_step(step: Mapping) -> None:
    if step.get('type', 'OptimizerHook') != 'OptimizerHook':
        raise ConfigError(f"optimizer_config.type is {step['type']!r}, leave it out: cumulative_iters=N "
                          'accumulates gradients (a step is an update here, so divide the numbers of steps '
                          'by '
                          'N), and the key amp is the precision')
    check_keys(step, STEP_KEYS, 'optimizer_config')
    clipping = step.get('grad_clip') or {}
    check_keys(clipping, accepted_keys(clip_grad_norm_) - {'parameters'}, 'optimizer_config.grad_clip')
    for key in ('max_norm', 'norm_type'):
        if key in clipping:
            check_range(clipping[key], f'optimizer_config.grad_clip.{key}', above=0)


def _check_schedule(schedule: Hook, optimizer: Mapping, steps: int) -> None:
    if isinstance(schedule, SchedulesHook):
        names = [] if 'type' in optimizer else list(optimizer)
        for name, own in schedule.own.items():
            if name not in names:
                has = f'the optimisers {", ".join(names)}' if names else 'one optimiser'
                raise ConfigError(f"lr_config.by_optimizer has '{name}', and the config has {has}")
            _check_schedule(own, optimizer, steps)
        schedule = schedule.rest
    if isinstance(schedule, StoppedPolyLrUpdaterHook):
        schedule.check_length(steps)


def build_lr_hook(cfg: Mapping) -> Hook:
    """mmcv's hook of a policy, e.g. 'poly': PolyLrUpdaterHook; ``by_optimizer`` has further configs by the
    names of the optimisers that have a schedule of their own.

    Raises:
        ConfigError: no or an unknown policy, or a key that it does not take.
    """
    settings = {'by_epoch': False, **cfg}
    own = settings.pop('by_optimizer', None)
    if own:
        for name, one in own.items():
            if not isinstance(one, Mapping):
                raise ConfigError(f"lr_config.by_optimizer.{name} is {one!r}, expected a dict with 'policy'")
        return SchedulesHook(build_lr_hook(settings), {name: build_lr_hook(one) for name, one in own.items()})
    if settings['by_epoch']:
        raise ConfigError('lr_config.by_epoch=True is not supported: a run is counted in steps')
    policy = settings.pop('policy', None)
    if not isinstance(policy, str):
        raise ConfigError(f"lr_config {settings}: key 'policy' is missing, e.g. policy='poly'")
    name = policy.title() if policy == policy.lower() else policy
    return build_from_cfg({**settings, 'type': f'{name}LrUpdaterHook'}, HOOKS)


def build_logger_hooks(cfg: Mapping) -> list[Hook]:
    """The hooks of ``log_config``.

    ``hooks`` are dicts or names of ``LOGGERS``, one or a list. Beside names the text log is written too.

    Raises:
        ConfigError: an unknown key or hook, or a hook whose package is not installed.
    """
    check_keys(cfg, {'interval', 'hooks'}, 'log_config')
    every = dict(interval=cfg.get('interval', DEFAULT_LOG_INTERVAL))
    given = cfg.get('hooks') or ()
    given = [given] if isinstance(given, str) else given
    hooks = [_of_name(hook) if isinstance(hook, str) else hook for hook in given]
    named = any(isinstance(hook, str) for hook in given)
    if named and LOGGERS['text']['type'] not in [hook.get('type') for hook in hooks]:
        hooks.insert(0, LOGGERS['text'])
    return [_logger_hook(hook, every) for hook in hooks]


def _of_name(name: str) -> dict:
    if name not in LOGGERS:
        raise ConfigError(f"log_config.hooks: there is no logger '{name}': {did_you_mean(name, LOGGERS)}")
    return dict(LOGGERS[name])


def _logger_hook(cfg: Any, defaults: Mapping) -> Hook:
    name = find_type(cfg, HOOKS).__name__
    module, package = LOGGER_PACKAGES.get(name, ('', ''))
    if module and importlib.util.find_spec(module) is None:
        raise ConfigError(f'log_config.hooks: {name} needs the package {package}: pip install {package}, or '
                          'leave the hook out')
    try:
        return build_from_cfg(cfg, HOOKS, dict(defaults))
    except ImportError as error:  # a part of the package is not there
        reason = error.__context__ or error
        raise ConfigError(f'log_config.hooks: {name} cannot be used: {reason}') from error
