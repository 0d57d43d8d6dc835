"""The kinds of value that a config's own keys take. What is inside a network, a data set or a transform is
checked where that is built."""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from .errors import ConfigError

LARGEST_SEED = 2 ** 32 - 1
MOST_STEPS = 10 ** 9


class Kind(NamedTuple):
    """Of values: what a message calls it, and the test."""

    name: str
    holds: Callable[[Any], bool]


def _whole(low: int, high: float = float('inf'), name: str = '') -> Kind:
    def holds(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    return Kind(name or f'a whole number from {low} on', holds)


def _or_none(kind: Kind) -> Kind:
    return Kind(f'{kind.name} or None', lambda value: value is None or kind.holds(value))


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_data_set(value: Any) -> bool:
    return isinstance(value, Mapping) or (_is_list(value) and all(map(_is_data_set, value)))


SWITCH = Kind('True or False', lambda value: isinstance(value, bool))
DICT = Kind('a dict', lambda value: isinstance(value, Mapping))
DICTS = Kind('a list of dicts', lambda value: _is_list(value) and all(map(DICT.holds, value)))
TEXT = Kind('text', lambda value: isinstance(value, str))
LOGGERS = Kind("names of loggers as 'tensorboard', or dicts of their settings",
               lambda value: TEXT.holds(value) or (_is_list(value) and all(
                   TEXT.holds(one) or DICT.holds(one) for one in value)))
NAME = Kind("a name (text without '/')", lambda value: isinstance(value, str) and bool(value.strip())
            and not set(value) & set('/\0'))
DATA_SET = Kind('the config of a data set (a dict) or a list of them', _is_data_set)
LEVELS = ('CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG')
COUNT, NUMBER = _whole(1), _whole(0)
LEVEL = Kind(f'one of {", ".join(LEVELS)}', lambda value: value in LEVELS or NUMBER.holds(value))

KINDS: dict[str, Kind] = {
    'model': DICT, 'model.pretrained': _or_none(TEXT), 'data': DICT,
    'uda': _or_none(DICT), 'optimizer': DICT,
    'optimizer.paramwise_cfg': _or_none(DICT), 'optimizer.paramwise_cfg.custom_keys': _or_none(DICT),
    'lr_config': DICT, 'lr_config.by_optimizer': _or_none(DICT), 'runner': DICT,
    'optimizer_config': _or_none(DICT), 'optimizer_config.grad_clip': _or_none(DICT),
    'optimizer_config.cumulative_iters': COUNT, 'amp': _or_none(DICT), 'fp16': _or_none(DICT),
    'ddp_compression': _or_none(Kind("'bfloat16'", lambda value: value == 'bfloat16')),
    'tf32': _or_none(SWITCH), 'data.train': DATA_SET, 'data.val': DATA_SET, 'data.test': DATA_SET,
    'data.samples_per_gpu': COUNT, 'data.workers_per_gpu': NUMBER,
    'runner.max_iters': _whole(1, MOST_STEPS, f'a whole number from 1 to {MOST_STEPS}'), 'n_gpus': COUNT,
    'checkpoint_config': _or_none(DICT), 'checkpoint_config.interval': COUNT,
    'checkpoint_config.max_keep_ckpts': _whole(-1),
    'evaluation': _or_none(DICT), 'evaluation.interval': COUNT,
    'log_config': _or_none(DICT), 'log_config.interval': COUNT, 'log_config.img_interval': COUNT,
    'log_config.hooks': LOGGERS,
    'custom_hooks': _or_none(DICTS), 'stages': _or_none(DICT), 'name': NAME, 'work_dir': _or_none(TEXT),
    'log_level': LEVEL, 'load_from': _or_none(TEXT), 'resume_from': _or_none(TEXT),
    'seed': _or_none(_whole(0, LARGEST_SEED, f'a whole number from 0 to {LARGEST_SEED}')),
}


# The keys of the top level that a program reads, and those of the reference's configs that none does.
READ = frozenset({
    *(key for key in KINDS if '.' not in key), 'compile', 'custom_imports', 'cudnn_benchmark',
    'deterministic', 'exp',
    'workflow', 'train_cfg', 'test_cfg', 'gpu_model', 'name_dataset', 'name_architecture', 'name_encoder',
    'name_decoder', 'name_uda', 'name_opt'})
# those that name a run and change nothing of it
LABELS = frozenset({'exp', 'gpu_model', 'name', *(key for key in READ if key.startswith('name_'))})
UNREAD = frozenset({'dist_params', 'use_ddp_wrapper', 'find_unused_parameters', 'gpu_ids', 'gpus', 'device',
                    'launcher', 'momentum_config', 'git_rev', 'norm_cfg', 'img_norm_cfg', 'crop_size',
                    'dataset_type', 'data_root'})


def check_config(cfg: Mapping) -> None:
    """
    Raises:
        ConfigError: the value of a key is of the wrong kind, or a key of the top level is nearly one that is
            read; names it.
    """
    check_top_level(cfg)
    for dotted, kind in KINDS.items():
        node: Any = cfg
        for part in dotted.split('.'):
            if not isinstance(node, Mapping) or part not in node:
                break
            node = node[part]
        else:
            if not kind.holds(node):
                raise ConfigError(f'config: {dotted} is {_short(node)}, expected {kind.name}')
    _check_types(cfg, '')


def check_top_level(cfg: Mapping) -> None:
    """Whether no key is a misspelt one. Other keys are variables of the config file, and left alone.

    Raises:
        ConfigError: a key that nothing reads is a letter or two away from one that is read.
    """
    for key, value in cfg.items():
        if key in READ or key in UNREAD:
            continue
        # what stands under a misspelt key is of the kind of the right one; a variable of another kind is none
        possible = [known for known in READ - LABELS if known not in KINDS or KINDS[known].holds(value)]
        near = min(possible, key=lambda known: (edits(str(key), known), known))
        if edits(str(key), near) <= (1 if len(near) <= 5 else 2):
            raise ConfigError(f"unknown key '{key}' in the config: did you mean '{near}'?")


def check_options(options: Iterable[str], own: Collection[str], cfg: Mapping) -> None:
    """Whether no option is meant for what lies further down. Other new keys are left alone, as in a file.

    Args:
        options: dotted keys.
        own: keys of the config's top level without them.
        cfg: the config with them.

    Raises:
        ConfigError: a key of the top level that is new and read by nothing, and there are such keys further
            down; names them.
    """
    for option in options:
        if option.split('.')[0] not in {*own, *READ, *UNREAD}:
            there = [key for key in _dotted(cfg) if key.endswith(f'.{option}')]
            if there:
                raise ConfigError(f"option '{option}': nothing reads such a key of the config: "
                                  f'is it {" or ".join(there[:3])}?')


def _dotted(node: Mapping, prefix: str = '') -> Iterator[str]:
    for key, value in node.items():
        yield f'{prefix}{key}'
        if isinstance(value, Mapping):
            yield from _dotted(value, f'{prefix}{key}.')


def edits(a: str, b: str) -> int:
    """How many letters have to be left out, added, changed or exchanged with their neighbour to turn one word
    into the other (optimal string alignment)."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (x != y)))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[-1] = min(row[-1], before[j - 2] + 1)
        before, last = last, row
    return last[-1]


def _check_types(node: Any, where: str) -> None:
    """What stands under a key ``type`` names something to be built, or is it."""
    if isinstance(node, Mapping):
        if 'type' in node and not (isinstance(node['type'], str) or callable(node['type'])):
            raise ConfigError(f'config: {where}type is {_short(node["type"])}, expected a name')
        for key, value in node.items():
            _check_types(value, f'{where}{key}.')
    elif _is_list(node):
        for number, value in enumerate(node):
            _check_types(value, f'{where}{number}.')


def _short(value: Any, most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= most else f'{text[:most]}…'


def needed(cfg: Mapping, key: str, what: str) -> Any:
    """``cfg[key]``.

    Raises:
        ConfigError: there is no such key; ``what`` needs it.
    """
    if key not in cfg:
        raise ConfigError(f"the config has no key '{key}', which {what} needs")
    return cfg[key]
