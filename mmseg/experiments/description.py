"""What a training run of the lineage consists of, and how it is written as a config.

An experiment is a frozen dataclass. What an architecture, a backbone, a UDA method or a pair of
domains stands for is looked up by its exact name in the tables below; an unknown name or field is
an error. The tables of the papers are in experiments.py at the top of the repository.

A config is base files, what the experiment changes in them, and names. The settings of methods and domains
stand in the base files alone, where the configs of configs/ have them from too; here they are read.
"""
from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from mmseg.utils.config import Config
from mmseg.utils.errors import UserError, did_you_mean
from mmseg.utils.registry import check_keys

CONFIG_DIR = Path(__file__).resolve().parents[2] / 'configs'
N_GPUS = 1


@dataclass(frozen=True)
class Architecture:
    """A decoder: the file under _base_/models for each backbone that it goes with."""

    files: dict[str, str]
    decode_head: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Backbone:
    cfg: dict[str, Any]
    pretrained: str | None
    is_transformer: bool = False
    """Weight decay then spares norms and position embeddings."""


@dataclass(frozen=True)
class Domains:
    """A pair of domains: files under _base_/datasets."""

    name: str
    uda: str
    source_only: str | None = None
    target_only: str | None = None


@dataclass(frozen=True)
class Method:
    """How to train: the field of Domains naming the data, and the files under _base_/uda without and with the
    entropy balance."""

    data: str
    file: str | None = None
    balanced: str | None = None


def _resnet_like(file: str) -> dict[str, str]:
    return dict.fromkeys(('r50v1c', 'r101v1c', 'x50-32', 'x101-32', 's50', 's101', 's200'), file)


def _daformer(name: str) -> Architecture:
    return Architecture({'mitb5': f'{name}_mitb5.py'})


def _resnest(depth: int, stem_channels: int) -> Backbone:
    return Backbone(dict(type='ResNeSt', depth=depth, stem_channels=stem_channels, radix=2,
                         reduction_factor=4, avg_down_stride=True), f'open-mmlab://resnest{depth}')


def _resnext(depth: int) -> Backbone:
    return Backbone(dict(type='ResNeXt', depth=depth, groups=32, base_width=4),
                    f'open-mmlab://resnext{depth}_32x4d')


def _mit(size: int) -> Backbone:
    return Backbone(dict(type=f'mit_b{size}'), f'pretrained/mit_b{size}.pth', is_transformer=True)


NO_NORM = dict(norm_cfg=None)  # the "nodbn" of the names: no batch norm in the decoder
ARCHITECTURES = {
    'dlv2red': Architecture(_resnet_like('deeplabv2red_r50-d8.py')),
    'dlv3p_nodbn': Architecture(_resnet_like('deeplabv3plus_r50-d8.py'), NO_NORM),
    'da_nodbn': Architecture(_resnet_like('danet_r50-d8.py'), NO_NORM),
    'isa_nodbn': Architecture(_resnet_like('isanet_r50-d8.py'), NO_NORM),
    'sfa_dlv3p_nodbn': Architecture({'mitb5-del': 'sfa_deeplabv3plus_mitb5.py'}, NO_NORM),
    'segformer': Architecture({
        'mitb3': 'segformer_b5.py', 'mitb4': 'segformer_b5.py', 'mitb5': 'segformer_b5.py',
        'r101v1c': 'segformer_r101.py'}),
    'upernet': Architecture({'mitb5': 'upernet_mit.py'}),
    'upernet_ch256': Architecture({'mitb5': 'upernet_ch256_mit.py'}),
    'daformer_conv1': _daformer('daformer_conv1'),
    'daformer_isa': _daformer('daformer_isa'),
    'daformer_aspp': _daformer('daformer_aspp'),
    'daformer_sepaspp': _daformer('daformer_sepaspp'),
    'daformer_sepaspp_bottleneck': _daformer('daformer_sepaspp_bottleneck'),
    'daformer_sepaspp_128': Architecture({'efficientnet_lite0': 'daformer_sepaspp_effnetlite0.py'}),
    'daformer_sepaspp_narrow': Architecture({'mitb0': 'daformer_sepaspp_mitb0_narrow.py'}),
}
BACKBONES = {
    'r50v1c': Backbone(dict(depth=50), 'open-mmlab://resnet50_v1c'),
    'r101v1c': Backbone(dict(depth=101), 'open-mmlab://resnet101_v1c'),
    'x50-32': _resnext(50),
    'x101-32': _resnext(101),
    's50': _resnest(50, 64),
    's101': _resnest(101, 128),
    's200': _resnest(200, 128),
    'mitb0': Backbone(dict(type='mit_b0'), None, is_transformer=True),
    'mitb3': _mit(3),
    'mitb4': _mit(4),
    'mitb5': _mit(5),
    'mitb5-del': _mit(5),
    'efficientnet_lite0': Backbone({}, 'package:efficientnet_lite0'),
}
DOMAINS = {
    ('gta', 'cityscapes'): Domains(
        'gta2cs', 'uda_gta_to_cityscapes_512x512.py', 'gta_to_cityscapes_512x512.py',
        'cityscapes_half_512x512.py'),
    ('synthia', 'cityscapes'): Domains(
        'syn2cs', 'uda_synthia_to_cityscapes_512x512.py', 'synthia_to_cityscapes_512x512.py',
        'cityscapes_half_512x512.py'),
    ('cityscapes', 'acdc'): Domains(
        'cs2acdc', 'uda_cityscapes_to_acdc_512x512.py', 'cityscapes_to_acdc_512x512.py',
        'acdc_half_512x512.py'),
    ('cityscapes', 'darkzurich'): Domains(
        'cs2dzur', 'uda_cityscapes_to_darkzurich_512x512.py',
        'cityscapes_to_darkzurich_512x512.py'),
    ('clear_streets', 'adverse_streets'): Domains(
        'streets', 'uda_streets_256x128.py', 'streets_source_256x128.py',
        'streets_target_256x128.py'),
    ('camvid_day', 'camvid_dusk'): Domains(
        'camvid', 'uda_camvid_day_to_dusk_256x256.py', 'camvid_day_256x256.py',
        'camvid_dusk_256x256.py'),
}
METHODS = {
    'source-only': Method('source_only'),
    'target-only': Method('target_only'),
    'dacs': Method('uda', 'dacs.py'),
    'dacs_fd': Method('uda', 'dacs_fd.py'),
    'dacs_fdthings': Method('uda', 'dacs_fdthings.py'),
    'dacs_fd_camvid': Method('uda', 'dacs_fd_camvid.py', 'ebda_camvid.py'),
    'dacs_toy': Method('uda', 'dacs_toy.py', 'ebda_toy.py'),
    'dacs_a999': Method('uda', 'dacs_a999.py', 'ebda_nofd.py'),
    'dacs_a999_fdthings': Method('uda', 'dacs_a999_fdthings.py', 'ebda.py'),
}
OPTIMIZERS = {'adamw': 'adamw.py', 'sgd': 'sgd.py'}
SCHEDULES = {'poly10': 'poly10.py', 'poly10warm': 'poly10warm.py'}


def _check(value: Any, known: Iterable, what: str) -> None:
    if value not in known:
        raise UserError(f"experiment: unknown {what} '{value}': {did_you_mean(value, known)}")


@cache
def _read(file: str) -> dict:
    return Config.fromfile(str(CONFIG_DIR / '_base_' / file))._cfg_dict.to_dict()


def base_settings(file: str) -> dict:
    """The content of a file under configs/_base_, with the names that no run sees; the caller's to change."""
    return deepcopy(_read(file))


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
    lr: float = 6e-5
    head_lr_mult: float = 10.0
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
        if getattr(self.domains, self.method.data) is None:
            raise UserError(f"experiment: no data for '{self.uda}' of {self.domains.name}")
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
        h = f'q{target["quantile"]}' if isinstance(target, dict) else target
        return f'eb{h}x{balance["loss_weight"]}'

    @property
    def data_file(self) -> str:
        return f'datasets/{getattr(self.domains, self.method.data)}'

    @property
    def uda_file(self) -> str:
        return f'uda/{self.method.file if self.entropy_balance is None else self.method.balanced}'

    @property
    def uda_settings(self) -> dict:
        return base_settings(self.uda_file)

    @property
    def sampling(self) -> dict:
        """Rare class sampling: the domains' and the method's settings, and what this experiment changes."""
        method = self.uda_settings
        return dict(min_pixels=base_settings(self.data_file)['_min_pixels'], class_temp=method['_class_temp'],
                    min_crop_ratio=method['_min_crop_ratio']) | self.rare_class_sampling

    @property
    def name(self) -> str:
        parts = (self.domains.name, self.uda_name, self.architecture, self.backbone, self.schedule,
                 self.tag, f's{self.seed}')
        return '_'.join(filter(None, parts)).replace('.', '')


def describe(**settings: Any) -> Experiment:
    """An ``Experiment``; an unknown field is an error that names the nearest one."""
    check_keys(settings, [f.name for f in fields(Experiment)], 'an experiment')
    return Experiment(**settings)


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
    return cfg


def _base_files(exp: Experiment) -> list[str]:
    names = ['default_runtime.py',
             f'models/{ARCHITECTURES[exp.architecture].files[exp.backbone]}',
             exp.data_file,
             f'schedules/{OPTIMIZERS[exp.optimizer]}',
             f'schedules/{SCHEDULES[exp.schedule]}']
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
    keys = dict(head=dict(lr_mult=exp.head_lr_mult))
    if BACKBONES[exp.backbone].is_transformer:
        keys.update(pos_block=dict(decay_mult=0.0), norm=dict(decay_mult=0.0))
    return dict(lr=exp.lr, paramwise_cfg=dict(custom_keys=keys))


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
        rows = base_settings(exp.data_file)['_ignored_rows']
        uda.update(pseudo_weight_ignore_top=rows['top'], pseudo_weight_ignore_bottom=rows['bottom'])
    if exp.entropy_balance:
        uda['entropy_balance'] = {key: {**value, '_delete_': True} if isinstance(value, dict) else value
                                  for key, value in exp.entropy_balance.items()}
    return dict(uda=uda, optimizer_config=None)


def _names(exp: Experiment, table: int) -> dict:
    budget = f'{N_GPUS}x{exp.batch_size}_{exp.iterations // 1000}k'
    return dict(
        name=exp.name,
        exp=table,
        name_dataset=f'{exp.source}2{exp.target}',
        name_architecture=f'{exp.architecture}_{exp.backbone}',
        name_encoder=exp.backbone,
        name_decoder=exp.architecture,
        name_uda=exp.uda_name,
        name_opt=f'{exp.optimizer}_{exp.lr}_pm{exp.head_lr_mult != 1}_{exp.schedule}_{budget}')
