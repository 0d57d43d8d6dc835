"""An experiment of several stages: trainings, and programs that make files for them, one after another.

A row's config may have ``stages``, a dict from a name to what has to be done before the row itself, in this
order: a training (a config, whose ``_base_`` is relative to configs/) or a program (``program``, ``args``).
In the values of later stages, and of the row,

    '{NAME}'         is what stage NAME made: a training's last checkpoint, the folder of a program's files,
    '{NAME.config}'  the kept config of a training,
    '{out}'          in the arguments of a program: where it puts its files,
    '{config}'       there too: the file of the stage's own ``config``, if it has one.

A stage is a run with a folder of its own. Rows with the same stage share it.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmseg.utils.errors import ConfigError, did_you_mean

from .programs import OWN, check_program
from .runs import Run, as_text, find_or_create_run

REFERENCE = re.compile(r'\{(\w+)(\.config)?\}')


@dataclass(frozen=True)
class Row:
    """What an experiment trains: the whole config, the config that it is a difference from, and the same two
    of each stage before it, by name."""

    cfg: dict[str, Any]
    base: dict[str, Any]
    stages: dict[str, tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """All in their order, the row itself last."""
        yield from self.stages.values()
        yield self.cfg, self.base


def is_program(cfg: Mapping) -> bool:
    return 'program' in cfg


def refers(value: Any) -> bool:
    """Whether a value of a config is made by an earlier stage."""
    return isinstance(value, str) and bool(REFERENCE.search(value))


def unfold(cfg: dict, base: dict, resolve: Callable[[dict], dict]) -> Row:
    """A row of its config.

    Args:
        resolve: merges base files in.

    Raises:
        ConfigError: a stage is neither a training nor a program.
    """
    stages = {}
    for name, stage in (cfg.get('stages') or {}).items():
        if not isinstance(stage, Mapping) or ('program' in stage) == ('_base_' in stage):
            raise ConfigError(f"stage '{name}' of '{cfg['name']}': expected a dict with _base_ (a training) "
                              'or program')
        if f'{{{name}}}' in OWN or not REFERENCE.fullmatch(f'{{{name}}}'):
            raise ConfigError(f"stage '{name}' of '{cfg['name']}': expected a word as its name, and none of "
                              f'{", ".join(OWN)}')
        named = {'name': f'{cfg["name"]}_{name}'}
        if is_program(stage):
            check_program(name, stage)
            own = {'config': resolve(dict(stage['config']))} if 'config' in stage else {}
            stages[name] = {**named, **stage, **own}, {}
        else:
            stages[name] = {**named, **resolve(dict(stage))}, resolve({'_base_': stage['_base_']})
    return Row({key: value for key, value in cfg.items() if key != 'stages'}, base, stages)


class Plan:
    """The runs of an experiment, each once and none before those that it needs."""

    def __init__(self, group: Path, rerun: bool = False):
        self.group, self.rerun = group, rerun
        self._runs: dict[str, Run] = {}

    @property
    def runs(self) -> list[Run]:
        return list(self._runs.values())

    def add(self, row: Row) -> Run:
        """
        Raises:
            ConfigError: a value refers to what is no earlier stage.
        """
        made: dict[str, Run] = {}
        for name, (cfg, base) in row.stages.items():
            made[name] = self._run(cfg, base, made, is_row=False)
        return self._run(row.cfg, row.base, made, is_row=True) if row.stages else self._one(row.cfg, row.base)

    def _run(self, cfg: dict, base: dict, made: Mapping[str, Run], is_row: bool) -> Run:
        used: dict[Path, Run] = {}
        filled = fill(cfg, made, used)
        return self._one(filled, base, is_row, inputs=[run.output.absolute() for run in used.values()],
                         needs=tuple(run.work_dir for run in used.values()))

    def _one(self, cfg: dict, base: dict, is_row: bool = True, **settings: Any) -> Run:
        text = as_text(cfg)
        if text not in self._runs:
            self._runs[text] = find_or_create_run(
                cfg, base, self.group, self.rerun, is_row=is_row, **settings)
        elif is_row:
            self._runs[text] = replace(self._runs[text], is_row=True)
        return self._runs[text]


def fill(node: Any, made: Mapping[str, Run], used: dict[Path, Run]) -> Any:
    """``node`` with the paths in it that it refers to; the runs that make them come into ``used``, by
    their folders.

    Raises:
        ConfigError: there is no earlier stage of that name.
    """
    if isinstance(node, Mapping):
        return {key: fill(value, made, used) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(fill(value, made, used) for value in node)

    def path(match: re.Match) -> str:
        name, config = match.groups()
        if match[0] in OWN:
            return match[0]
        if name not in made:
            raise ConfigError(f"'{node}' refers to what is no earlier stage: {did_you_mean(name, made)}")
        used[made[name].work_dir] = made[name]
        return str((made[name].config_file if config else made[name].output).absolute())

    return REFERENCE.sub(path, node) if isinstance(node, str) else node
