"""The experiments of the papers on DAFormer, HRDA and MIC and of EBDA, by the id of their table.

``generate_experiment_cfgs(id)`` gives the configs of one table as plain dicts. Their ``_base_`` is
relative to the folder configs/ (as the reference implementation's scripts expect); ``resolve`` merges it in.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import product

from mmseg.experiments import hrda_tables
from mmseg.experiments.comparison import (
    Row,
    of_table,
    on_camvid,
    on_street_scenes,
    on_streets,
    street_scenes,
    with_balance,
)
from mmseg.experiments.description import Experiment, config_file, describe, render
from mmseg.utils import UserError
from mmseg.utils.config import Config, plain

SEEDS = (0, 1, 2)
DACS = dict(uda='dacs')
FD_THINGS = dict(uda='dacs_fdthings')
RCS = dict(rare_class_sampling={})
DAFORMER = dict(uda='dacs_a999_fdthings', crop_pseudo_labels=True, **RCS)
BALANCE = dict(entropy_balance={})
RUNNING_BALANCE = dict(entropy_balance=dict(
    target=dict(type='RunningQuantile', quantile=0.6, momentum=0.9999)))
EBDA = dict(BALANCE, **DAFORMER)
SOURCE_ONLY = dict(uda='source-only')
TARGET_ONLY = dict(uda='target-only')
SEGFORMER = dict(architecture='segformer', backbone='mitb5')
DEEPLABV2 = dict(architecture='dlv2red', backbone='r101v1c')
ACDC = dict(source='cityscapes', target='acdc')
STARTUP = dict(iterations=2)


def _grid(*axes: Iterable[dict]) -> list[Experiment]:
    """All combinations of the settings on the axes, the last axis running fastest."""
    return [describe(**{k: v for settings in combination for k, v in settings.items()})
            for combination in product(*axes)]


def _networks(*names: str) -> list[dict]:
    """'architecture/backbone' of each name."""
    return [dict(zip(('architecture', 'backbone'), name.split('/'))) for name in names]


def _seeds(seeds: Iterable[int] = SEEDS) -> list[dict]:
    return [dict(seed=seed) for seed in seeds]


def architectures_and_methods() -> list[Experiment]:
    networks = _networks('dlv2red/r101v1c', 'da_nodbn/r101v1c', 'isa_nodbn/r101v1c',
                         'dlv3p_nodbn/r101v1c', 'segformer/mitb5')
    return _grid(networks, [SOURCE_ONLY, DACS, TARGET_ONLY], _seeds())


def exchanged_decoders() -> list[Experiment]:
    networks = _networks('sfa_dlv3p_nodbn/mitb5-del', 'segformer/r101v1c')
    return _grid(networks, [DACS, TARGET_ONLY], _seeds())


def encoder_sizes() -> list[Experiment]:
    networks = _networks('dlv2red/r50v1c', 'dlv2red/s50', 'dlv2red/s101', 'dlv2red/s200',
                         'segformer/mitb3', 'segformer/mitb4')
    return _grid(networks, [SOURCE_ONLY, DACS, TARGET_ONLY], _seeds([0]))


def without_warmup() -> list[Experiment]:
    return _grid([DEEPLABV2, SEGFORMER], [DACS, TARGET_ONLY], [dict(schedule='poly10')],
                 _seeds([0]))


def _steps_to_daformer() -> list[dict]:
    """Each ingredient of DAFormer's training on its own, then together."""
    uniform = dict(rare_class_sampling=dict(class_temp=float('inf')))
    return [dict(DACS, **uniform), dict(DACS, **RCS), dict(uda='dacs_fd'), FD_THINGS,
            dict(FD_THINGS, **RCS), DAFORMER]


def ingredients() -> list[Experiment]:
    return _grid([SEGFORMER], _steps_to_daformer(), _seeds()) + _grid(
        [DEEPLABV2], [DAFORMER], _seeds())


def decoders() -> list[Experiment]:
    networks = _networks(
        'daformer_conv1/mitb5', 'upernet/mitb5', 'upernet_ch256/mitb5', 'daformer_isa/mitb5',
        'daformer_sepaspp_bottleneck/mitb5', 'daformer_aspp/mitb5', 'daformer_sepaspp/mitb5')
    return _grid(networks, [DAFORMER, TARGET_ONLY], _seeds())


def daformer_on_synthia() -> list[Experiment]:
    return _grid([DAFORMER], [dict(source='synthia')], _seeds())


def daformer_on_adverse() -> list[Experiment]:
    return _grid([DAFORMER], [ACDC, dict(ACDC, target='darkzurich')], _seeds())


def ebda_released() -> list[Experiment]:
    return [describe(**EBDA, **ACDC, iterations=50000, batch_size=1, evaluation_interval=2000,
                     save_best=True, tag='b1_50k')]


def ebda_fair_twin() -> list[Experiment]:
    return _grid([EBDA], [ACDC], _seeds())


def ebda_against_daformer() -> list[Experiment]:
    return _grid([DAFORMER, EBDA], [ACDC], _seeds())


def _balances() -> list[dict]:
    """The grid of targets (nats) and weights."""
    return [dict(entropy_balance=dict(target=h, loss_weight=weight))
            for h, weight in product((0.2, 0.4, 0.6, 0.8), (0.05, 0.1, 0.2))]


def ebda_ablation() -> list[Experiment]:
    return _grid([DAFORMER], [ACDC], [{}, *_balances(), RUNNING_BALANCE])


def ebda_elsewhere() -> list[Experiment]:
    domains = [dict(source='gta'), dict(source='synthia'), dict(ACDC, target='darkzurich')]
    return _grid([EBDA], domains, _seeds())


def architectures_startup() -> list[Experiment]:
    networks = _networks(
        'dlv2red/r101v1c', 'dlv3p_nodbn/r101v1c', 'da_nodbn/r101v1c', 'segformer/mitb5',
        'isa_nodbn/r101v1c', 'dlv2red/r50v1c', 'dlv2red/s50', 'dlv2red/s101', 'dlv2red/s200',
        'dlv2red/x50-32', 'dlv2red/x101-32', 'segformer/mitb4', 'segformer/mitb3',
        'sfa_dlv3p_nodbn/mitb5-del', 'segformer/r101v1c', 'daformer_conv1/mitb5',
        'daformer_isa/mitb5', 'daformer_sepaspp_bottleneck/mitb5', 'daformer_aspp/mitb5',
        'daformer_sepaspp/mitb5', 'upernet/mitb5', 'upernet_ch256/mitb5')
    return _grid([STARTUP], networks, [TARGET_ONLY])


def methods_startup() -> list[Experiment]:
    methods = [SOURCE_ONLY, TARGET_ONLY, DACS, *_steps_to_daformer()]
    return _grid([STARTUP], [SEGFORMER], methods)


def ebda_startup() -> list[Experiment]:
    return [describe(**EBDA, **ACDC, **STARTUP)]


STREETS = dict(source='clear_streets', target='adverse_streets', architecture='daformer_sepaspp_narrow',
               backbone='mitb0', iterations=4000, lr=3e-4, head_lr_mult=1.0, warmup_iters=50,
               evaluation_interval=1000, load_from='demo/streets_start_mitb0-47aba2bc.pth')
STREETS_DAFORMER = dict(uda='dacs_toy', **RCS)


def toy_benchmark() -> list[Experiment]:
    """Bounds, baseline and EBDA with the small network, which has no ImageNet weights and so no
    feature distance.
    """
    return _grid([STREETS], [SOURCE_ONLY, STREETS_DAFORMER, dict(STREETS_DAFORMER, **BALANCE), TARGET_ONLY],
                 _seeds())


def streets_pseudo_labels() -> list[Experiment]:
    return _counted(STREETS, STREETS_DAFORMER)


CAMVID = dict(source='camvid_day', target='camvid_dusk', architecture='daformer_sepaspp_128',
              backbone='efficientnet_lite0', iterations=1200, lr=2e-4, head_lr_mult=5.0, warmup_iters=100,
              workers=1, evaluation_interval=300, checkpoint_interval=200)
CAMVID_DAFORMER = dict(uda='dacs_fd_camvid', **RCS)


def camvid_day_to_dusk() -> list[Experiment]:
    """Seeds on the outer axis, so that each seed's comparison is whole before the next one begins."""
    methods = [SOURCE_ONLY, CAMVID_DAFORMER, dict(CAMVID_DAFORMER, **BALANCE),
               TARGET_ONLY, DACS,
               dict(CAMVID_DAFORMER, **RUNNING_BALANCE)]
    return _grid([CAMVID], _seeds(), methods)


def camvid_balance_grid() -> list[Experiment]:
    return _grid([CAMVID], _seeds([0]), [CAMVID_DAFORMER], _balances())


def camvid_pseudo_labels() -> list[Experiment]:
    return _counted(CAMVID, CAMVID_DAFORMER)


def _counted(network: dict, daformer: dict) -> list[Experiment]:
    """DAFormer and EBDA with their pseudo-labels counted; and targets h that need no label of the target."""
    follows = dict(entropy_balance=dict(target=dict(type='RunningQuantile', quantile=0.6, momentum=0.99)))
    of_source = dict(entropy_balance=dict(target=dict(type='SourceMedian')))
    balances = [{}, BALANCE, dict(follows, tag='m099'), of_source]
    return _grid([network], _seeds(), [dict(daformer, **balance, count_pseudo_labels=True)
                                       for balance in balances])


def compared_on_acdc() -> list[Experiment | Row]:
    return [row for seed in SEEDS for row in [
        *on_street_scenes('cs2acdc', 'dlv2_r101', seed), *_grid([DAFORMER, EBDA], [ACDC], _seeds([seed]))]]


def compared_on_cityscapes() -> list[Experiment | Row]:
    return [row for seed in SEEDS for row in [
        *on_street_scenes('gta2cs', 'dlv2_r101', seed), *_grid([DAFORMER, EBDA], _seeds([seed]))]]


def compared_with_one_network() -> list[Experiment | Row]:
    return [row for seed in SEEDS for row in [
        *on_street_scenes('cs2acdc', 'daformer_mitb5', seed),
        *_grid([DAFORMER, EBDA], [ACDC], _seeds([seed]))]]


def self_training_with_balance() -> list[Experiment | Row]:
    """DACS as its authors train it and with DAFormer's network, and DAFormer. BDL, FDA, ProDA and MGCDA have
    no mixed images, and no key for the entropy balance."""
    dacs = [street_scenes('cs2acdc', network) for network in ('dlv2_r101', 'daformer_mitb5')]
    return [row for seed in SEEDS for row in [
        *(make for on in dacs for make in (on.training('dacs', seed), with_balance(on, 'dacs', seed))),
        *_grid([DAFORMER, EBDA], [ACDC], _seeds([seed]))]]


def compared_on_streets() -> list[Row]:
    """Seeds on the outer axis: each is a whole table."""
    return [row for seed in SEEDS for row in on_streets(200, seed)]


def compared_on_camvid() -> list[Experiment | Row]:
    """DACS, DAFormer, EBDA and the upper bound as in table 901."""
    short = dict(CAMVID, iterations=300, evaluation_interval=300, checkpoint_interval=None)
    own = [TARGET_ONLY, DACS, CAMVID_DAFORMER, dict(CAMVID_DAFORMER, **BALANCE)]
    return [row for seed in SEEDS for row in [*on_camvid(300, seed), *_grid([short], own, _seeds([seed]))]]


def compared_startup() -> list[Row]:
    return on_streets(2, 0)


TABLES: dict[int, tuple[str, Callable[[], Sequence[Experiment | Row]]]] = {
    1: ('DAFormer: UDA methods on network architectures, GTA to Cityscapes',
        architectures_and_methods),
    2: ('DAFormer: encoder and decoder exchanged', exchanged_decoders),
    3: ('DAFormer: size of the encoder', encoder_sizes),
    4: ('DAFormer: without learning-rate warm-up', without_warmup),
    5: ('DAFormer: rare class sampling, feature distance, cropped pseudo-labels', ingredients),
    6: ('DAFormer: decoders', decoders),
    7: ('DAFormer: SYNTHIA to Cityscapes', daformer_on_synthia),
    8: ('DAFormer: Cityscapes to ACDC and to Dark Zurich', daformer_on_adverse),
    20: ('EBDA: Cityscapes to ACDC, as released (50k iterations of batch 1)', ebda_released),
    21: ('EBDA: Cityscapes to ACDC at the budget of DAFormer (40k of batch 2)', ebda_fair_twin),
    22: ('EBDA against DAFormer on Cityscapes to ACDC, three seeds', ebda_against_daformer),
    23: ('EBDA: ablation of target and weight, and the running quantile', ebda_ablation),
    24: ('EBDA: GTA and SYNTHIA to Cityscapes, Cityscapes to Dark Zurich', ebda_elsewhere),
    30: ('compared methods on Cityscapes to ACDC, each with the network of its authors', compared_on_acdc),
    31: ('compared methods on GTA to Cityscapes, each with the network of its authors',
         compared_on_cityscapes),
    32: ("compared methods on Cityscapes to ACDC with DAFormer's network", compared_with_one_network),
    33: ('self-training with and without entropy balance on Cityscapes to ACDC', self_training_with_balance),
    **hrda_tables.TABLES,
    100: ('startup test of every architecture (2 iterations)', architectures_startup),
    101: ('startup test of every UDA method (2 iterations)', methods_startup),
    120: ('startup test of EBDA (2 iterations)', ebda_startup),
    130: ('startup test of every compared method on synthetic streets (2 iterations)', compared_startup),
    900: ('toy benchmark: clear to adverse synthetic streets, small network', toy_benchmark),
    901: ('CamVid from day to dusk: EfficientNet-Lite0 from ImageNet, three seeds', camvid_day_to_dusk),
    902: ('CamVid from day to dusk: target and weight of the entropy balance', camvid_balance_grid),
    903: ('CamVid from day to dusk: right pseudo-labels, and a target that follows', camvid_pseudo_labels),
    904: ('synthetic streets: right pseudo-labels, and a target that follows', streets_pseudo_labels),
    930: ('compared methods on synthetic streets, small network, short schedules', compared_on_streets),
    931: ('compared methods on CamVid from day to dusk, short schedules', compared_on_camvid),
}


def list_experiments() -> list[tuple[int, str, int]]:
    """(id, title, number of runs) of every table."""
    return [(id, title, len(make())) for id, (title, make) in TABLES.items()]


def generate_experiment_cfgs(id: int) -> list[dict]:
    """The configs of table ``id`` in order, as plain dicts; every call makes new ones.

    Raises:
        UserError: there is no such table.
    """
    if id not in TABLES:
        raise UserError(f'there is no experiment {id}: known are '
                        f'{", ".join(map(str, TABLES))} (`--list` prints their titles)')
    return [of_table(row, id) if isinstance(row, dict) else render(row, id) for row in TABLES[id][1]()]


def resolve(cfg: dict) -> dict:
    """``cfg`` with the files of its ``_base_`` (relative to configs/) merged in, as a plain dict. It is what
    mmcv makes of a file with this content; each base is read once.

    Raises:
        UserError: a file of ``_base_`` does not exist.
        KeyError: two of them set the same.
    """
    own = json.loads(json.dumps(cfg))
    bases = own.pop('_base_', [])
    merged: dict = {}
    for file in [bases] if isinstance(bases, str) else bases:
        base = config_file(file)
        if merged.keys() & base.keys():
            raise KeyError(f'{file}: another base sets {sorted(merged.keys() & base.keys())} too')
        merged.update(base)
    return plain(Config(Config._merge_a_into_b(own, merged)))._cfg_dict.to_dict()
