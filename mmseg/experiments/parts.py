"""What the names in an experiment stand for: architectures, backbones, domains, methods, schedules."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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
    uda: str | None = None
    source_only: str | None = None
    target_only: str | None = None
    counted: str | None = None
    """``uda`` with a hook that counts right pseudo-labels."""


@dataclass(frozen=True)
class Method:
    """How to train: the field of Domains naming the data, and the files under _base_/uda without and with the
    entropy balance."""

    data: str
    file: str | None = None
    balanced: str | None = None
    adversarial: bool = False
    """Discriminators have an optimiser beside the network's: see ``ADVERSARIAL``."""


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
    'hrda_daformer_sepaspp': _daformer('hrda_daformer_sepaspp'),
    'hrda_dlv2red': Architecture({'r101v1c': 'hrda_deeplabv2red_r101.py'}),
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
    ('cityscapes', 'foggyrain'): Domains('cs2foggyrain', 'uda_cityscapes_to_foggyrain_512x512.py'),
    ('cityscapes', 'cityscapes'): Domains(
        'cs2cs', 'uda_cityscapes_to_cityscapes_512x512.py', target_only='cityscapes_half_512x512.py'),
    ('', 'cityscapes'): Domains('2cs', target_only='cityscapes_half_512x512.py'),
    ('', 'cityscapesHR'): Domains('2csHR', target_only='cityscapesHR_1024x1024.py'),
    ('gtaHR', 'cityscapesHR'): Domains(
        'gtaHR2csHR_1024x1024', 'uda_gtaHR_to_cityscapesHR_1024x1024.py'),
    ('gtaCAug', 'cityscapes'): Domains('gtaCAug2cs', 'uda_gtaCAug_to_cityscapes_512x512.py'),
    ('gtaCAugHR', 'cityscapesHR'): Domains(
        'gtaCAugHR2csHR_1024x1024', 'uda_gtaCAugHR_to_cityscapesHR_1024x1024.py'),
    ('synthiaHR', 'cityscapesHR'): Domains(
        'synHR2csHR_1024x1024', 'uda_synthiaHR_to_cityscapesHR_1024x1024.py'),
    ('cityscapesHR', 'acdcHR'): Domains(
        'csHR2acdcHR_1024x1024', 'uda_cityscapesHR_to_acdcHR_1024x1024.py'),
    ('cityscapesHR', 'darkzurichHR'): Domains(
        'csHR2dzurHR_1024x1024', 'uda_cityscapesHR_to_darkzurichHR_1024x1024.py'),
    ('cityscapesHR', 'foggyrainHR'): Domains(
        'csHR2foggyrainHR_1024x1024', 'uda_cityscapesHR_to_foggyrainHR_1024x1024.py'),
    ('clear_streets', 'adverse_streets'): Domains(
        'streets', 'uda_streets_256x128.py', 'streets_source_256x128.py',
        'streets_target_256x128.py', 'uda_streets_counted_256x128.py'),
    ('camvid_day', 'camvid_dusk'): Domains(
        'camvid', 'uda_camvid_day_to_dusk_256x256.py', 'camvid_day_256x256.py',
        'camvid_dusk_256x256.py', 'uda_camvid_day_to_dusk_counted_256x256.py'),
}
METHODS = {
    'source-only': Method('source_only'),
    'target-only': Method('target_only'),
    'advseg': Method('uda', 'advseg.py', adversarial=True),
    'minent': Method('uda', 'minent.py'),
    'dacs': Method('uda', 'dacs.py'),
    'dacs_fd': Method('uda', 'dacs_fd.py'),
    'dacs_fdthings': Method('uda', 'dacs_fdthings.py'),
    'dacs_fd_camvid': Method('uda', 'dacs_fd_camvid.py', 'ebda_camvid.py'),
    'dacs_toy': Method('uda', 'dacs_toy.py', 'ebda_toy.py'),
    'dacs_srconly': Method('uda', 'dacs_srconly.py'),
    'dacs_a999': Method('uda', 'dacs_a999.py', 'ebda_nofd.py'),
    'dacs_a999_fdthings': Method('uda', 'dacs_a999_fdthings.py', 'ebda.py'),
}
# (for Mix Transformers, for other encoders)
OPTIMIZERS = {'adamw': ('adamw_mit.py', 'adamw_cnn.py'), 'sgd': ('sgd.py', 'sgd.py')}
SCHEDULES = {'poly10': 'poly10.py', 'poly10warm': 'poly10warm.py'}
# optimiser or schedule → its file with one for the discriminators of an adversarial method
ADVERSARIAL = {'sgd': 'sgd_adam.py', 'poly10warm': 'poly10warm_advseg.py'}
