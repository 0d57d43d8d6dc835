"""What a training run of the lineage consists of, and how it is written as a config.

An experiment is a frozen dataclass. What an architecture, a backbone, a UDA method or a pair of
domains stands for is looked up by its exact name in the tables below; an unknown name or field is
an error. The tables of the papers are in experiments.py at the top of the repository.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from mmseg.utils.errors import UserError, did_you_mean

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
    """A pair of domains: files under _base_/datasets, and what its labels need."""

    name: str
    uda: str
    source_only: str | None = None
    target_only: str | None = None
    num_classes: int = 19
    min_pixels: int = 3000
    """Of a rare class, for an image to be drawn for it."""


@dataclass(frozen=True)
class Method:
    """How to train: the field of Domains naming the data, and the file under _base_/uda."""

    data: str
    file: str | None = None


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
        'streets_target_256x128.py', min_pixels=200),
    ('camvid_day', 'camvid_dusk'): Domains(
        'camvid', 'uda_camvid_day_to_dusk_256x256.py', 'camvid_day_256x256.py',
        'camvid_dusk_256x256.py', num_classes=11, min_pixels=500),
}
METHODS = {
    'source-only': Method('source_only'),
    'target-only': Method('target_only'),
    'dacs': Method('uda', 'dacs.py'),
    'dacs_fd': Method('uda', 'dacs_fd.py'),
    'dacs_fdthings': Method('uda', 'dacs_fdthings.py'),
    'dacs_fd_camvid': Method('uda', 'dacs_fd_camvid.py'),
    'dacs_toy': Method('uda', 'dacs_toy.py'),
    'dacs_a999': Method('uda', 'dacs_a999.py'),
    'dacs_a999_fdthings': Method('uda', 'dacs_a999_fdthings.py'),
}
OPTIMIZERS = {'adamw': 'adamw.py', 'sgd': 'sgd.py'}
SCHEDULES = {'poly10': 'poly10.py', 'poly10warm': 'poly10warm.py'}


def _check(value: Any, known: Iterable, what: str) -> None:
    if value not in known:
        raise UserError(f"experiment: unknown {what} '{value}': {did_you_mean(value, known)}")


@dataclass(frozen=True)
class EntropyBalance:
    """λ_EB·mean((H − h)²) on the mixed image; h in nats, or a running quantile of H."""

    target: float | None = 0.4
    loss_weight: float = 0.1
    quantile: float | None = None
    """If given, h follows this quantile of the batch's entropies with momentum 0.9999."""

    def __post_init__(self) -> None:
        if (self.target is None) == (self.quantile is None):
            raise UserError('experiment: an entropy balance has either a target or a quantile')

    def render(self) -> dict:
        target = self.target if self.quantile is None else dict(
            type='RunningQuantile', quantile=self.quantile, momentum=0.9999)
        return dict(type='EntropyBalanceLoss', target=target, loss_weight=self.loss_weight)

    @property
    def name(self) -> str:
        h = self.target if self.quantile is None else f'q{self.quantile}'
        return f'eb{h}x{self.loss_weight}'


@dataclass(frozen=True)
class Experiment:
    """One training run. The defaults are DAFormer's budget: 40k iterations of batch 2."""

    source: str = 'gta'
    target: str = 'cityscapes'
    uda: str = 'source-only'
    rcs_temperature: float | None = None
    crop_pseudo_labels: bool = False
    entropy_balance: EntropyBalance | None = None
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
        extras = (self.rcs_temperature, self.entropy_balance, self.crop_pseudo_labels or None)
        if not self.adapts and any(extra is not None for extra in extras):
            raise UserError(f"experiment: '{self.uda}' has no rare class sampling, no "
                            'pseudo-labels and no entropy balance')

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
        if self.rcs_temperature is not None:
            parts.append(f'rcs{self.rcs_temperature}')
        if self.crop_pseudo_labels:
            parts.append('cpl')
        if self.entropy_balance is not None:
            parts.append(self.entropy_balance.name)
        return '_'.join(parts)

    @property
    def name(self) -> str:
        parts = (self.domains.name, self.uda_name, self.architecture, self.backbone, self.schedule,
                 self.tag, f's{self.seed}')
        return '_'.join(filter(None, parts)).replace('.', '')


def describe(**settings: Any) -> Experiment:
    """An ``Experiment``; an unknown field is an error that names the nearest one."""
    known = [f.name for f in fields(Experiment)]
    for key in settings:
        _check(key, known, 'field of an experiment')
    return Experiment(**settings)


def render(exp: Experiment, table: int) -> dict:
    """The config of ``exp`` as a plain dict, its ``_base_`` relative to the folder configs/."""
    cfg = dict(
        _base_=_base_files(exp),
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
    return {**cfg, **_names(exp, table)}


def _base_files(exp: Experiment) -> list[str]:
    names = ['default_runtime.py',
             f'models/{ARCHITECTURES[exp.architecture].files[exp.backbone]}',
             f'datasets/{getattr(exp.domains, exp.method.data)}',
             f'schedules/{OPTIMIZERS[exp.optimizer]}',
             f'schedules/{SCHEDULES[exp.schedule]}']
    if exp.adapts:
        names.append(f'uda/{exp.method.file}')
    return [f'_base_/{name}' for name in names]


def _model(exp: Experiment) -> dict:
    backbone = BACKBONES[exp.backbone]
    model = dict(pretrained=backbone.pretrained, backbone=dict(backbone.cfg))
    decode_head = dict(ARCHITECTURES[exp.architecture].decode_head)
    if exp.domains.num_classes != Domains.num_classes:
        decode_head['num_classes'] = exp.domains.num_classes
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
    if exp.rcs_temperature is not None:
        train['rare_class_sampling'] = dict(
            min_pixels=exp.domains.min_pixels, class_temp=exp.rcs_temperature, min_crop_ratio=0.5)
    if exp.crop_pseudo_labels:
        # Cityscapes' rectification border above, the ego vehicle's bonnet below
        uda.update(pseudo_weight_ignore_top=15, pseudo_weight_ignore_bottom=120)
    if exp.entropy_balance is not None:
        uda['entropy_balance'] = exp.entropy_balance.render()
    # the UDA method takes the optimiser's step itself
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
