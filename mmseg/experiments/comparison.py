"""The table of compared methods: rows of config files, and the stages that a method has before its last one.

A row is a config as ``experiments.generate_experiment_cfgs`` gives it: base files, what changes, ``stages``
(see stages.py). What a method's settings are stands in its config files; here is how they follow one another.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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

    Of the short name of a training, e.g. 'proda_stage1', ``file`` gives the config file and ``settings`` what
    changes in it. ``start`` is a file with the network of the source alone; without one it is trained before.
    """

    name: str
    architecture: str
    file: Callable[[str], str]
    settings: Callable[[str], Mapping[str, Any]]
    start: str | None = None
    translate: tuple[str, ...] = ()
    """Further arguments of tools/translate.py for MGCDA."""

    def training(self, short: str, seed: int, name: str | None = None, **settings: Any) -> Row:
        """A stage, or a row without any; ``settings`` has dotted keys with ``__`` for a dot."""
        dotted = {key.replace('__', '.'): value for key, value in settings.items()}
        name = name or short
        return with_settings(dict(
            _base_=[self.file(short)], name=f'{self.name}_{name}_{self.architecture}_s{seed}', seed=seed,
            name_dataset=self.name, name_architecture=self.architecture, name_uda=name),
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


def from_source(on: Benchmark, seed: int, short: str = 'source') -> tuple[str, dict[str, Row]]:
    """What refers to the network of the source alone, and the stage that makes it if there is no file."""
    return (on.start, {}) if on.start else ('{source}', dict(source=on.training(short, seed)))


def bdl(on: Benchmark, seed: int) -> Row:
    """Translated source; a round without and one with pseudo-labels, each from the first weights."""
    segmenter, stages = from_source(on, seed)
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
    source, stages = from_source(on, seed, 'mgcda_source')
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
    source, stages = from_source(on, seed, 'dannet_source')
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
        if short == 'proda_stage1':
            found['uda.prototype_steps'] = max(1, steps // 8)
        if TOY_FILES.get(short) == 'cyclegan':  # it has neither a score nor a warm-up
            return found
        return {**found, 'evaluation.interval': steps, 'lr_config.warmup_iters': min(50, steps // 2)}

    return Benchmark(
        'streets', 'mitb0', lambda short: f'toy/streets_{TOY_FILES.get(short, short)}_mitb0_s0.py', settings,
        'demo/streets_start_mitb0-47aba2bc.pth')


def on_streets(steps: int, seed: int) -> list[Row]:
    """Bounds, and every method once."""
    on = streets(steps)
    single = [on.training(short, seed) for short in (
        'source-only', 'target-only', 'minent', 'advent', 'dacs', 'daformer', 'ebda')]
    return [*single, *(make(on, seed) for make in (fda, bdl, proda, mgcda, dannet))]
