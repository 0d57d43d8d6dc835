"""The table of compared methods: rows of config files, and the stages that a method has before its last one.

A row is a config as ``experiments.generate_experiment_cfgs`` gives it: base files, what changes, ``stages``
(see stages.py). What a method's settings are stands in its config files; here is how they follow one another.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .description import base_settings

LABELS, TRANSLATE = 'tools/make_pseudo_labels.py', 'tools/translate.py'
BETAS = (0.01, 0.05, 0.09)  # of FDA's three networks

Row = dict[str, Any]


def with_settings(cfg: Mapping[str, Any], settings: Mapping[str, Any]) -> Row:
    """``cfg`` with dotted keys set."""
    found = dict(cfg)
    for key, value in settings.items():
        first, _, rest = key.partition('.')
        found[first] = with_settings(found.get(first) or {}, {rest: value}) if rest else value
    return found


@dataclass(frozen=True)
class Benchmark:
    """Where methods are compared: how a config file is called, and what all trainings there have in common.

    Of the short name of a training, e.g. 'proda_stage1', ``files`` gives the base files and ``settings`` what
    changes in them, ``architecture`` is for names. ``start`` is a file with the network of the source alone;
    without one it is trained before, by the training that ``sources`` names for a method, or 'source-only'.
    """

    name: str
    architecture: Callable[[str], str]
    files: Callable[[str], list[str]]
    settings: Callable[[str], Mapping[str, Any]]
    start: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    translate: tuple[str, ...] = ()
    """Further arguments of tools/translate.py for MGCDA."""

    def training(self, short: str, seed: int, name: str | None = None, **settings: Any) -> Row:
        """A stage, or a row without any; ``settings`` has dotted keys with ``__`` for a dot."""
        dotted = {key.replace('__', '.'): value for key, value in settings.items()}
        name, architecture = name or short, self.architecture(short)
        return with_settings(dict(
            _base_=self.files(short), name=f'{self.name}_{name}_{architecture}_s{seed}', seed=seed,
            name_dataset=self.name, name_architecture=architecture, name_uda=name),
            {**self.settings(short), **dotted})


def program(path: str, stage: str, *args: str) -> Row:
    """A program on the config and the checkpoint of a stage."""
    return dict(program=path, args=[f'{{{stage}.config}}', f'{{{stage}}}', *args, '--out', '{out}'])


def labels(stage: str, rule: str, *args: str) -> Row:
    return program(LABELS, stage, '--rule', rule, *args)


def of_table(row: Row, table: int) -> Row:
    """``row`` with the table's number in it and in the trainings before it."""
    stages = {name: stage if 'program' in stage else {**stage, 'exp': table}
              for name, stage in row.get('stages', {}).items()}
    return {**row, 'exp': table, **(dict(stages=stages) if stages else {})}


def from_source(on: Benchmark, seed: int, method: str) -> tuple[str, dict[str, Row]]:
    """What refers to the network of the source alone, and the stage that makes it if there is no file."""
    if on.start:
        return on.start, {}
    return '{source}', dict(source=on.training(on.sources.get(method, 'source-only'), seed))


def bdl(on: Benchmark, seed: int) -> Row:
    """Translated source; a round without and one with pseudo-labels, each from the first weights."""
    segmenter, stages = from_source(on, seed, 'translation')
    translated = dict(data__train__source__translated='{translated}')
    return dict(
        on.training('bdl_ssl', seed, 'bdl', **translated, data__train__target__pseudo_labels='{labels}'),
        stages=dict(
            stages,
            translation=on.training('translation', seed, load_from=segmenter),
            translated=dict(program(TRANSLATE, 'translation'), name=f'{on.name}_translated_s{seed}'),
            adversarial=on.training('bdl', seed, 'bdl_round1', **translated),
            labels=labels('adversarial', 'bdl', '--upsample', 'softmax')))


def fda(on: Benchmark, seed: int) -> Row:
    """Three networks, whose average labels the target for another."""
    networks = {f'beta{round(100 * beta):03d}': on.training('fda', seed, f'fda_b{beta}'.replace('.', ''),
                                                            uda__beta=beta) for beta in BETAS}
    first, *others = networks
    average = labels(first, 'fda')
    average['args'][2:2] = [f'{{{name}}}' for name in others]
    return dict(on.training('fda_ssl', seed, 'fda', data__train__target__pseudo_labels='{labels}'),
                stages=dict(networks, labels=average))


def proda(on: Benchmark, seed: int) -> Row:
    """Warm-up, stage 1, and distillation twice."""
    return dict(
        on.training('proda_stage3', seed, 'proda', load_from='{stage2}', uda__teacher_from=None,
                    data__train__target__pseudo_labels='{labels2}'),
        stages=dict(
            warmup=on.training('proda_warmup', seed),
            stage1=on.training('proda_stage1', seed, load_from='{warmup}'),
            labels1=labels('stage1', 'proda'),
            stage2=on.training('proda_stage2', seed, uda__teacher_from='{stage1}',
                               data__train__target__pseudo_labels='{labels1}'),
            labels2=labels('stage2', 'proda')))


def mgcda(on: Benchmark, seed: int) -> Row:
    """Stylised source; the reference images with labels of the source's network, then the adverse ones with
    labels that these correct."""
    source, stages = from_source(on, seed, 'mgcda')
    lit = on.training('mgcda_step1', seed)
    translated = dict(data__train__source__translated='{stylised}')
    return dict(
        on.training('mgcda_step2', seed, 'mgcda', load_from='{step1}', **translated,
                    data__train__target__pseudo_labels='{corrected}'),
        stages=dict(
            stages,
            style=on.training('mgcda_translation', seed),
            stylised=dict(program(TRANSLATE, 'style', *on.translate), name=f'{on.name}_stylised_s{seed}'),
            lit=dict(program=LABELS, config=lit, args=[
                '{config}', source, '--rule', 'threshold', '--threshold', '0', '--out', '{out}']),
            step1=on.training('mgcda_step1', seed, load_from=source, **translated,
                              data__train__target__pseudo_labels='{lit}'),
            corrected=dict(program=LABELS, config=on.training('mgcda_step2', seed), args=[
                '{config}', '{step1}', '--rule', 'mgcda', '--references', '{step1.config}', '--upsample',
                'softmax', '--out', '{out}'])))


def dannet(on: Benchmark, seed: int) -> Row:
    source, stages = from_source(on, seed, 'dannet')
    row = on.training('dannet', seed, load_from=source)
    return dict(row, stages=stages) if stages else row


# ------------------------------------------------------------------------------------------- benchmarks

TOY_FILES = {
    'source-only': 'source', 'target-only': 'target', 'dacs': 'daformer', 'bdl_ssl': 'bdl', 'fda_ssl': 'fda',
    'translation': 'cyclegan', 'mgcda_translation': 'cyclegan', 'proda_stage2': 'proda_distillation',
    'proda_stage3': 'proda_distillation'}


def streets(steps: int) -> Benchmark:
    """The synthetic streets with their references, the small network, every training of ``steps`` steps."""
    def settings(short: str) -> Row:
        found = {'runner.max_iters': steps, 'checkpoint_config.interval': steps,
                 'log_config.interval': min(20, steps), 'data.workers_per_gpu': 1}
        if short == 'dacs':
            found['data.train.rare_class_sampling'] = None
        if short == 'mgcda_translation':  # a plain CycleGAN
            found['uda.weights'] = dict(semantic=0.0, restored_semantic=0.0)
        if TOY_FILES.get(short) == 'cyclegan':  # it has neither a score nor a warm-up
            return found
        return {**found, 'evaluation.interval': steps, 'lr_config.warmup_iters': min(50, steps // 2)}

    return Benchmark(
        'streets', lambda short: 'mitb0',
        lambda short: [f'toy/streets_{TOY_FILES.get(short, short)}_mitb0_s0.py'], settings,
        start='demo/streets_start_mitb0-47aba2bc.pth')


def on_streets(steps: int, seed: int) -> list[Row]:
    """Bounds, and every method once."""
    on = streets(steps)
    single = [on.training(short, seed) for short in (
        'source-only', 'target-only', 'minent', 'advent', 'dacs', 'daformer', 'ebda')]
    return [*single, *(make(on, seed) for make in (fda, bdl, proda, mgcda, dannet))]


# the folders of configs; what is not named has that of its own name
FOLDERS = {'minent': 'advent', 'bdl_ssl': 'bdl', 'fda_ssl': 'fda', 'mgcda_step1': 'mgcda',
           'mgcda_step2': 'mgcda', 'proda_warmup': 'proda', 'proda_stage1': 'proda', 'proda_stage2': 'proda',
           'proda_stage3': 'proda'}
RUNTIME = '_base_/default_runtime.py'
PAIRS = {'cs2acdc': 'cityscapes_to_acdc', 'gta2cs': 'gta_to_cityscapes'}


def _budget(steps: int, batch: int) -> Row:
    return {'runner': dict(type='IterBasedRunner', max_iters=steps), 'n_gpus': 1,
            'data.samples_per_gpu': batch, 'data.workers_per_gpu': 4,
            'checkpoint_config': dict(by_epoch=False, interval=steps, max_keep_ckpts=1),
            'evaluation': dict(interval=steps // 10, metric='mIoU')}


# trainings of the source alone, for which there is no config file: network, data, schedules, steps, batch
SOURCES = {
    'source_dlv2': ('deeplabv2_r101', 'advent', ('sgd_dlv2', 'poly09_over_250k'), 120000, 1),
    'source_daformer': ('daformer_sepaspp_mitb5', '512x512', ('adamw_mit', 'poly10warm'), 40000, 2),
    'source_dannet': ('deeplabv2_r101_dannet', 'dannet', ('sgd_dlv2', 'poly09'), 150000, 2),
    'source_mgcda': ('refinenet_r101', 'mgcda', ('sgd_mgcda',), 29750, 1),
}


def _architecture(short: str, network: str) -> str:
    if short in ('translation', 'source_dlv2'):
        return 'dlv2_r101'
    if short in ('source_mgcda', 'mgcda_translation'):
        return 'refinenet_r101'
    return 'refinenet_r101' if network == 'dlv2_r101' and short.startswith('mgcda') else network


def street_scenes(pair: str, network: str) -> Benchmark:
    """'cs2acdc' or 'gta2cs', with 'dlv2_r101' as the authors train it (MGCDA: RefineNet), or 'daformer_mitb5'
    with DAFormer's data and budget. The segmenter of BDL's translation is always DeepLabV2."""
    alone = 'source_dlv2' if network == 'dlv2_r101' else 'source_daformer'
    translations = {'translation': f'translation/{pair}_bdl_dlv2_r101_s0.py',
                    'mgcda_translation': f'translation/{pair}_mgcda_s0.py'}

    def files(short: str) -> list[str]:
        if short in translations:
            return [translations[short]]
        source = SOURCES.get(alone if short == 'source-only' else short)
        if source:
            model, data, schedules, _, _ = source
            return [RUNTIME, f'_base_/models/{model}.py', f'_base_/datasets/uda_{PAIRS[pair]}_{data}.py',
                    *(f'_base_/schedules/{name}.py' for name in schedules)]
        return [f'{FOLDERS.get(short, short)}/{pair}_{short}_{_architecture(short, network)}_s0.py']

    def settings(short: str) -> Row:
        source = SOURCES.get(alone if short == 'source-only' else short)
        if not source:
            return {}
        _, data, _, steps, batch = source
        labelled = base_settings(f'datasets/uda_{PAIRS[pair]}_{data}.py')['data']['train']['source']
        return {**_budget(steps, batch),
                'data.train': {**json.loads(json.dumps(labelled)), '_delete_': True}}

    return Benchmark(
        pair, lambda short: _architecture(short, network), files, settings,
        sources=dict(translation='source_dlv2') if alone == 'source_daformer' else dict(
            mgcda='source_mgcda', dannet='source_dannet'),
        translate=('--size', '720x360', '--enlarge'))


def on_street_scenes(pair: str, network: str, seed: int) -> list[Row]:
    """GTA to Cityscapes has no images of the target's places in good light: MGCDA and DANNet are left out."""
    on = street_scenes(pair, network)
    chains = (fda, bdl, proda, mgcda, dannet) if pair == 'cs2acdc' else (fda, bdl, proda)
    return [*(on.training(short, seed) for short in ('source-only', 'minent', 'advent', 'dacs')),
            *(make(on, seed) for make in chains)]


def with_balance(on: Benchmark, short: str, seed: int) -> Row:
    """A training of DACS's kind and the entropy balance, which other methods do not take yet."""
    balance = base_settings('uda/entropy_balance.py')['_entropy_balance']
    return on.training(short, seed, f'{short}_eb', uda__entropy_balance=balance)


def camvid(steps: int) -> Benchmark:
    """Day to dusk with EfficientNet-Lite0 from ImageNet, and the settings of experiment 901."""
    adversarial = ('advent', 'bdl', 'bdl_ssl', 'proda_warmup')
    methods = {'bdl_ssl': 'bdl', 'fda_ssl': 'fda', 'translation': 'cycle_gan',
               'proda_stage2': 'proda_distillation', 'proda_stage3': 'proda_distillation'}

    def files(short: str) -> list[str]:
        data = 'camvid_day_256x256' if short == 'source-only' else 'uda_camvid_day_to_dusk_256x256'
        found = [RUNTIME, '_base_/models/daformer_sepaspp_effnetlite0.py', f'_base_/datasets/{data}.py']
        if short != 'source-only':
            found.append(f'_base_/uda/{methods.get(short, short)}.py')
        if short == 'translation':
            return [*found, '_base_/schedules/adam_cycle_gan.py']
        optimizer = 'adamw_adam_toy' if short in adversarial else 'adamw_cnn'
        return [*found, f'_base_/schedules/{optimizer}.py', '_base_/schedules/poly10warm.py']

    def settings(short: str) -> Row:
        found = {**_budget(steps, 2), 'data.workers_per_gpu': 1, 'model.decode_head.num_classes': 11,
                 'evaluation.interval': steps}
        if short == 'translation':
            unlabelled = base_settings('datasets/uda_camvid_day_to_dusk_256x256.py')['target_train_pipeline']
            return {**found, 'evaluation': None, 'uda.blocks': 2, 'uda.channels': 16,
                    'data.train.source.pipeline': json.loads(json.dumps(unlabelled)),
                    'data.train.source.use_labels': False}
        if short == 'proda_stage1':
            found['data.train.target.full_images'] = True
        student = 'optimizer.student' if short in adversarial else 'optimizer'
        return {**found, f'{student}.lr': 2e-4, f'{student}.paramwise_cfg.custom_keys.head.lr_mult': 5.0,
                'lr_config.warmup_iters': min(100, steps // 2),
                **({} if short == 'source-only' else {'optimizer_config': None})}

    return Benchmark('camvid', lambda short: 'effnetlite0', files, settings)


def on_camvid(steps: int, seed: int) -> list[Row]:
    """CamVid shows no place twice, so MGCDA and DANNet are left out."""
    on = camvid(steps)
    return [*(on.training(short, seed) for short in ('source-only', 'minent', 'advent')),
            *(make(on, seed) for make in (fda, bdl, proda))]
