"""What a training run of the reference implementation consists of, and how it is written as a config.

An experiment is a frozen dataclass. What an architecture, a backbone, a UDA method or a pair of
domains stands for is looked up by its exact name in the tables of parts.py; an unknown name or field is
an error. The tables of the papers are in experiments.py at the top of the repository.

A config is base files, what the experiment changes in them, and names. The settings of methods and domains
stand in the base files alone, where the configs of configs/ have them from too; here they are read.
"""
from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from mmseg.utils.config import Config
from mmseg.utils.errors import UserError, did_you_mean
from mmseg.utils.project import PROJECT
from mmseg.utils.registry import check_keys

from .parts import (
    ADVERSARIAL,
    ARCHITECTURES,
    BACKBONES,
    DOMAINS,
    METHODS,
    OPTIMIZERS,
    SCHEDULES,
    Domains,
    Method,
)

CONFIG_DIR = PROJECT / 'configs'
N_GPUS = 1


def _check(value: Any, known: Iterable, what: str) -> None:
    if value not in known:
        raise UserError(f"experiment: unknown {what} '{value}': {did_you_mean(value, known)}")


@cache
def _read(file: str) -> bytes:
    """Pickled: plain values are copied many times as quickly from bytes as by ``deepcopy``."""
    path = (CONFIG_DIR / file).resolve()
    if not path.is_file():
        raise UserError(f"base config '{path}' does not exist")
    return pickle.dumps(Config.fromfile(str(path))._cfg_dict.to_dict())


def config_file(file: str) -> dict:
    """The content of a file under configs, with the names that no run sees; the caller's to change.

    Raises:
        UserError: there is no such file.
    """
    return pickle.loads(_read(file))


def base_settings(file: str) -> dict:
    """As ``config_file``, of a file under configs/_base_."""
    return config_file(f'_base_/{file}')


@dataclass(frozen=True)
class Experiment:
    """One training run. The defaults are DAFormer's budget: 40k iterations of batch 2."""

    source: str = 'gta'
    target: str = 'cityscapes'
    uda: str = 'source-only'
    rare_class_sampling: dict[str, Any] | None = None
    """What differs from the base files; None is without it."""
    crop_pseudo_labels: bool = False
    """Leave out the rows that the domains' file names."""
    entropy_balance: dict[str, Any] | None = None
    """As ``rare_class_sampling``: {} is the paper's, dict(target=0.3) another target."""
    architecture: str = 'daformer_sepaspp'
    backbone: str = 'mitb5'
    optimizer: str = 'adamw'
    lr: float | None = None
    """None: that of the optimiser's file, as for ``head_lr_mult``."""
    head_lr_mult: float | None = None
    schedule: str = 'poly10warm'
    warmup_iters: int | None = None
    iterations: int = 40000
    batch_size: int = 2
    workers: int = 4
    evaluation_interval: int | None = None
    checkpoint_interval: int | None = None
    """Keeps a checkpoint of every so many steps; None keeps the last one alone."""
    save_best: bool = False
    load_from: str | None = None
    count_pseudo_labels: bool = False
    """The domains' file with a ``PseudoLabelHook``."""
    seed: int = 0
    tag: str = ''
    """Tells apart the names of runs that differ in what a name does not show."""

    def __post_init__(self) -> None:
        _check((self.source, self.target), DOMAINS, 'pair of domains')
        _check(self.uda, METHODS, 'uda')
        _check(self.architecture, ARCHITECTURES, 'architecture')
        _check(self.backbone, ARCHITECTURES[self.architecture].files,
               f"backbone of '{self.architecture}'")
        _check(self.optimizer, OPTIMIZERS, 'optimizer')
        _check(self.schedule, SCHEDULES, 'schedule')
        if self.method.adversarial:
            _check(self.optimizer, ADVERSARIAL, f"optimizer of '{self.uda}'")
            _check(self.schedule, ADVERSARIAL, f"schedule of '{self.uda}'")
        if getattr(self.domains, self.method.data) is None:
            raise UserError(f"experiment: no data for '{self.uda}' of {self.domains.name}")
        if self.count_pseudo_labels and not (self.adapts and self.domains.counted):
            raise UserError(f"experiment: no pseudo-labels to count of '{self.uda}' on {self.domains.name}")
        extras = (self.rare_class_sampling, self.entropy_balance, self.crop_pseudo_labels or None)
        if not self.adapts and any(extra is not None for extra in extras):
            raise UserError(f"experiment: '{self.uda}' has no rare class sampling, no "
                            'pseudo-labels and no entropy balance')
        if self.entropy_balance is not None and self.method.balanced is None:
            raise UserError(f"experiment: there is no file of '{self.uda}' with the entropy balance")

    @property
    def domains(self) -> Domains:
        return DOMAINS[self.source, self.target]

    @property
    def method(self) -> Method:
        return METHODS[self.uda]

    @property
    def adapts(self) -> bool:
        return self.method.file is not None

    @property
    def uda_name(self) -> str:
        parts = [self.uda]
        if self.rare_class_sampling is not None:
            parts.append(f'rcs{self.sampling["class_temp"]}')
        if self.crop_pseudo_labels:
            parts.append('cpl')
        if self.entropy_balance is not None:
            parts.append(self._balance_name)
        return '_'.join(parts)

    @property
    def _balance_name(self) -> str:
        balance = self.uda_settings['uda']['entropy_balance'] | self.entropy_balance
        target = balance['target']
        if isinstance(target, dict):
            target = f'q{target["quantile"]}' if 'quantile' in target else 'src'
        return f'eb{target}x{balance["loss_weight"]}'

    @property
    def optimizer_file(self) -> str:
        if self.method.adversarial:
            return f'schedules/{ADVERSARIAL[self.optimizer]}'
        transformer, other = OPTIMIZERS[self.optimizer]
        return f'schedules/{transformer if BACKBONES[self.backbone].is_transformer else other}'

    @property
    def schedule_file(self) -> str:
        files = ADVERSARIAL if self.method.adversarial else SCHEDULES
        return f'schedules/{files[self.schedule]}'

    @property
    def data_file(self) -> str:
        kind = 'counted' if self.count_pseudo_labels else self.method.data
        return f'datasets/{getattr(self.domains, kind)}'

    def of_domains(self, name: str) -> Any:
        """A setting of the domains' file.

        Raises:
            UserError: it has none of this name.
        """
        settings = base_settings(self.data_file)
        if name not in settings:
            raise UserError(f"experiment: {self.data_file} has no '{name}', which these settings need")
        return settings[name]

    @property
    def uda_file(self) -> str:
        return f'uda/{self.method.file if self.entropy_balance is None else self.method.balanced}'

    @property
    def uda_settings(self) -> dict:
        return base_settings(self.uda_file)

    @property
    def network_name(self) -> str:
        return self.architecture

    @property
    def sampling(self) -> dict:
        """Rare class sampling: the domains' and the method's settings, and what this experiment changes."""
        method = self.uda_settings
        return dict(min_pixels=self.of_domains('_min_pixels'), class_temp=method['_class_temp'],
                    min_crop_ratio=method['_min_crop_ratio']) | self.rare_class_sampling

    @property
    def name(self) -> str:
        parts = (self.domains.name, self.uda_name, self.network_name, self.backbone, self.schedule,
                 self.tag, f's{self.seed}')
        return '_'.join(filter(None, parts)).replace('.', '')

    def adapt(self, cfg: dict) -> None:
        """Put into its config what experiments of a further kind have besides."""


def describe(kind: type[Experiment] = Experiment, /, **settings: Any) -> Experiment:
    """An ``Experiment``, or a further ``kind``; an unknown field is an error that names the nearest one."""
    check_keys(settings, [f.name for f in fields(kind)], 'an experiment')
    return kind(**settings)


def render(exp: Experiment, table: int) -> dict:
    """The config of ``exp`` as a plain dict, its ``_base_`` relative to the folder configs/."""
    return {'_base_': _base_files(exp), **_overrides(exp), **_names(exp, table)}


def _overrides(exp: Experiment) -> dict:
    cfg = dict(
        n_gpus=N_GPUS,
        seed=exp.seed,
        model=_model(exp),
        data=dict(samples_per_gpu=exp.batch_size, workers_per_gpu=exp.workers, train={}),
        optimizer=_optimizer(exp),
        runner=dict(type='IterBasedRunner', max_iters=exp.iterations),
        checkpoint_config=_checkpoints(exp),
        evaluation=_evaluation(exp))
    if exp.adapts:
        cfg.update(_adaptation(exp, cfg['data']['train']))
    if exp.warmup_iters is not None:
        cfg['lr_config'] = dict(warmup_iters=exp.warmup_iters)
    if exp.load_from is not None:
        cfg['load_from'] = exp.load_from
    exp.adapt(cfg)
    return cfg


def _base_files(exp: Experiment) -> list[str]:
    names = ['default_runtime.py',
             f'models/{ARCHITECTURES[exp.architecture].files[exp.backbone]}',
             exp.data_file,
             exp.optimizer_file,
             exp.schedule_file]
    if exp.adapts:
        names.append(exp.uda_file)
    return [f'_base_/{name}' for name in names]


def _model(exp: Experiment) -> dict:
    backbone = BACKBONES[exp.backbone]
    model = dict(pretrained=backbone.pretrained, backbone=dict(backbone.cfg))
    decode_head = dict(ARCHITECTURES[exp.architecture].decode_head)
    data = base_settings(exp.data_file)
    if '_num_classes' in data:  # another number than that of the networks' files
        decode_head['num_classes'] = data['_num_classes']
    return {**model, 'decode_head': decode_head} if decode_head else model


def _optimizer(exp: Experiment) -> dict:
    """What differs from the optimiser's file."""
    changes: dict[str, Any] = {}
    if exp.lr is not None:
        changes['lr'] = exp.lr
    if exp.head_lr_mult is not None:
        changes['paramwise_cfg'] = dict(custom_keys=dict(head=dict(lr_mult=exp.head_lr_mult)))
    return dict(student=changes) if exp.method.adversarial else changes


def _checkpoints(exp: Experiment) -> dict:
    keep = dict(interval=exp.checkpoint_interval, max_keep_ckpts=-1) if exp.checkpoint_interval else dict(
        interval=exp.iterations, max_keep_ckpts=1)
    return dict(by_epoch=False, **keep)


def _evaluation(exp: Experiment) -> dict:
    # a startup test of two iterations is evaluated once, at its end
    tenth = exp.iterations // 10 or exp.iterations
    evaluation = dict(interval=exp.evaluation_interval or tenth, metric='mIoU')
    return {**evaluation, 'save_best': 'mIoU'} if exp.save_best else evaluation


def _adaptation(exp: Experiment, train: dict) -> dict:
    """What a UDA method changes; rare class sampling goes into the ``train`` data set."""
    uda: dict[str, Any] = {}
    if exp.rare_class_sampling is not None:
        train['rare_class_sampling'] = exp.sampling
    if exp.crop_pseudo_labels:
        rows = exp.of_domains('_ignored_rows')
        uda.update(pseudo_weight_ignore_top=rows['top'], pseudo_weight_ignore_bottom=rows['bottom'])
    if exp.entropy_balance:
        uda['entropy_balance'] = {key: {**value, '_delete_': True} if isinstance(value, dict) else value
                                  for key, value in exp.entropy_balance.items()}
    return dict(uda=uda, optimizer_config=None)


def _names(exp: Experiment, table: int) -> dict:
    optimizer = base_settings(exp.optimizer_file)['optimizer']
    optimizer = optimizer['student'] if exp.method.adversarial else optimizer
    lr = optimizer['lr'] if exp.lr is None else exp.lr
    head = optimizer.get('paramwise_cfg', {}).get('custom_keys', {}).get('head', dict(lr_mult=1.0))
    head_lr_mult = head['lr_mult'] if exp.head_lr_mult is None else exp.head_lr_mult
    budget = f'{N_GPUS}x{exp.batch_size}_{exp.iterations // 1000}k'
    return dict(
        name=exp.name,
        exp=table,
        name_dataset=f'{exp.source}2{exp.target}',
        name_architecture=f'{exp.network_name}_{exp.backbone}',
        name_encoder=exp.backbone,
        name_decoder=exp.network_name,
        name_uda=exp.uda_name,
        name_opt=f'{exp.optimizer}_{lr}_pm{head_lr_mult != 1}_{exp.schedule}_{budget}')
