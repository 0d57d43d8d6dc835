"""Training a model on a data set as a config says."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from mmcv.cnn.utils import revert_sync_batchnorm
from mmcv.runner import HOOKS
from torch import nn

from mmseg.checkpoint.weights import load_file, load_segmentor_weights, network_of
from mmseg.datasets import build_dataset
from mmseg.datasets.loading.loader import Loader, build_train_loader
from mmseg.datasets.loading.size_groups import build_test_loader
from mmseg.engine.finite import FiniteLossHook
from mmseg.engine.hooks import (
    CheckpointHook,
    CorruptSampleHook,
    DataLimitHook,
    ParameterSyncHook,
    ProgressHook,
    UDAVisualizationHook,
)
from mmseg.engine.hooks.eval_hook import EvalHook, class_subsets
from mmseg.engine.hooks.start_hook import StartHook
from mmseg.engine.optimizer import build_optimizers
from mmseg.engine.precision import grad_scaler, prepare_networks, set_tf32
from mmseg.engine.runner import IterBasedRunner
from mmseg.engine.sanity_check import sanity_check_evaluations, sanity_check_step
from mmseg.engine.settings import DEFAULT_LOG_INTERVAL, build_logger_hooks, build_lr_hook, check_settings
from mmseg.models.uda import UDADecorator
from mmseg.ops.cpu import accelerate
from mmseg.utils import build_from_cfg, get_root_logger
from mmseg.utils.distributed import parallel, world

from .inference import choose_device
from .target_images import target_images


def train_segmentor(model: nn.Module, dataset: Any, cfg: Any, distributed: bool = False,
                    validate: bool = False, timestamp: str | None = None, meta: dict | None = None,
                    device: str | torch.device = 'auto', rehearsal: bool = True) -> nn.Module:
    """Train.

    Args:
        model: what ``build_train_model`` returns.
        dataset: the training set, or a list with just it.
        cfg: a config with ``data``, ``optimizer``, ``lr_config``, ``runner``, ``checkpoint_config``,
            ``log_config``, ``work_dir`` and, all optional, ``seed``, ``optimizer_config``,
            ``evaluation``, ``load_from``, ``resume_from``, ``custom_hooks``, ``amp``, ``compile``,
            ``tf32``, ``ddp_compression``.
        distributed: exchange gradients between the processes of ``torch.distributed``.
        validate: evaluate on ``cfg.data.val`` as ``cfg.evaluation`` says.
        timestamp: used in the names of the log files.
        meta: kept in the checkpoints.
        device: 'auto', 'cpu', 'cuda:0', …
        rehearsal: first try one step, see ``sanity_check_step``; it does not change the numbers.

    Returns:
        the trained model.

    Raises:
        UserError: a mistake in the config or in the data, or bad luck on the way.
        TrainingInterrupted: a signal ended it, see ``IterBasedRunner.run``.
    """
    check_settings(cfg)
    rank, world_size = world() if distributed else (0, 1)
    device = choose_device(device)
    set_tf32(bool(cfg.get('tf32')))
    model = _placed(model, cfg, device, distributed)
    runner = _build_runner(model, cfg, device, meta)
    if timestamp:
        runner.timestamp = timestamp
    dataset = dataset[0] if isinstance(dataset, (list, tuple)) else dataset
    _register_hooks(runner, cfg, dataset, validate, distributed)
    if cfg.get('resume_from'):
        runner.resume(cfg['resume_from'])
    elif cfg.get('load_from'):
        load_initial_weights(model, cfg['load_from'])
    data = cfg['data']
    samples = data.get('samples_per_gpu', 1) * runner.optimizer_step.accumulation_steps
    loader = build_train_loader(dataset, samples, data.get('workers_per_gpu', 0), runner.seed, rank,
                                world_size, runner.iter, runner.max_iters, data.get('bad_image', 'stop'))
    with loaders_closed(runner, loader):
        if rehearsal:
            sanity_check_evaluations(runner)
            sanity_check_step(runner, loader)
        runner.run(loader, cfg.get('workflow'))
    return model


@contextmanager
def loaders_closed(runner: IterBasedRunner, loader: Loader) -> Iterator[None]:
    """However the block ends, the loader of the training and those of evaluations have no workers then."""
    try:
        yield
    finally:
        for one in (loader, *(hook.dataloader for hook in runner.hooks if isinstance(hook, EvalHook))):
            one.close()


def load_initial_weights(model: nn.Module, path: str) -> None:
    """Start from the network in a checkpoint: the weights of the student if ``model`` is a UDA method
    (its teacher begins as a copy)."""
    network = model.get_model() if isinstance(model, UDADecorator) else model
    weights = network_of(load_file(path), source=path)
    load_segmentor_weights(network, getattr(network, 'start_names', dict)(weights), source=path,
                           missing_ok=getattr(network, 'may_start_without', ()))


def _placed(model: nn.Module, cfg: Mapping, device: torch.device, distributed: bool) -> nn.Module:
    if not distributed or device.type == 'cpu':
        model = revert_sync_batchnorm(model)  # which needs several GPUs
    model = accelerate(model.to(device))
    prepare_networks(model, cfg)
    if distributed:
        model.distribute(partial(parallel, device=device, compression=cfg.get('ddp_compression')))
    return model


def _build_runner(model: nn.Module, cfg: Mapping, device: torch.device,
                  meta: dict | None) -> IterBasedRunner:
    optimizer = build_optimizers(model, cfg['optimizer'])
    return IterBasedRunner(model, optimizer, cfg['work_dir'], get_root_logger(),
                           cfg['runner']['max_iters'], device, seed=cfg.get('seed') or 0,
                           meta=meta, scaler=grad_scaler(cfg, device), **_step_settings(cfg))


def _step_settings(cfg: Mapping) -> dict[str, Any]:
    return {key: value for key, value in (cfg.get('optimizer_config') or {}).items() if key != 'type'}


def _register_hooks(runner: IterBasedRunner, cfg: Mapping, dataset: Any, validate: bool,
                    distributed: bool) -> None:
    runner.register_hook(build_lr_hook(cfg['lr_config']), priority='VERY_HIGH')
    runner.register_timer_hook(dict(type='IterTimerHook'))
    runner.register_hook(ProgressHook())
    runner.register_hook(CorruptSampleHook())
    if distributed:
        every = (cfg.get('checkpoint_config') or {}).get('interval', runner.max_iters)
        runner.register_hook(ParameterSyncHook(every), priority='LOW')
    if getattr(dataset, 'PALETTE', None) is not None and isinstance(runner.model, UDADecorator):
        runner.register_hook(UDAVisualizationHook(dataset.PALETTE, classes=dataset.CLASSES or ()))
    workers = cfg['data'].get('workers_per_gpu', 0)
    runner.register_hook(StartHook(partial(target_images, cfg, runner.device, workers)), priority='LOWEST')
    loggers = build_logger_hooks(cfg.get('log_config') or {})
    intervals = [hook.interval for hook in loggers] or [DEFAULT_LOG_INTERVAL]
    runner.register_hook(FiniteLossHook(min(intervals)))
    runner.register_hook(DataLimitHook(min(intervals)), priority='LOW')
    for hook in loggers:
        runner.register_hook(hook, priority='VERY_LOW')
    for hook in cfg.get('custom_hooks') or ():
        runner.register_hook(build_from_cfg({k: v for k, v in hook.items() if k != 'priority'}, HOOKS),
                             priority=hook.get('priority', 'NORMAL'))
    if validate and cfg.get('evaluation', {}) is not None:
        runner.register_hook(_evaluation_hook(cfg, distributed), priority='LOWEST')
    if cfg.get('checkpoint_config') is not None:
        runner.register_hook(build_from_cfg({**cfg['checkpoint_config'], 'type': CheckpointHook}, HOOKS),
                             priority='LOWEST')


def _evaluation_hook(cfg: Mapping, distributed: bool) -> EvalHook:
    val = build_dataset(cfg['data']['val'], dict(test_mode=True))
    settings = dict(cfg.get('evaluation') or {})
    loader = build_test_loader(val, settings.pop('samples_per_gpu', 1), cfg['data'].get('workers_per_gpu', 0),
                               dist=distributed)
    return EvalHook(loader, **{**settings, 'class_subsets': class_subsets(cfg)})
