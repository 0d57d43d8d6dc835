"""Registries of data sets and transforms, and the function that builds data sets from a config."""
from __future__ import annotations

from typing import Any

from mmcv.utils import Registry
from torch.utils.data import Dataset

from mmseg.utils import ConfigError, UserError, build_from_cfg
from mmseg.utils.registry import check_keys, config_error_context, find_type

from .loading.loader import build_dataloader, build_train_loader

DATASETS = Registry('dataset', build_func=build_from_cfg)
PIPELINES = Registry('pipeline', build_func=build_from_cfg)

__all__ = ['DATASETS', 'PIPELINES', 'build_dataloader', 'build_dataset', 'build_train_dataset',
           'build_train_loader', 'leaf_configs']


def build_dataset(cfg: dict | list | tuple, default_args: dict | None = None) -> Dataset:
    """Build the data set that ``cfg`` describes.

    A list of configs becomes their concatenation, as does a config with a list of ``img_dir`` (with
    a list of ``ann_dir`` of the same length, or none) or of ``split``. ``RepeatDataset``,
    ``ConcatDataset`` and ``UDADataset`` build what is inside them.

    Args:
        cfg: a data-set config, or a list of them.
        default_args: arguments used where the (inner) config has none, e.g.
            ``dict(test_mode=True)``.

    Raises:
        UserError: unknown type or key, missing folder, image without label.
    """
    if isinstance(cfg, list | tuple):
        return DATASETS.get('ConcatDataset')([build_dataset(c, default_args) for c in cfg])
    if not isinstance(cfg, dict):
        raise UserError(f'config of a dataset must be a dict or a list of them, got {cfg!r}')
    kind = cfg.get('type', (default_args or {}).get('type'))
    if kind == 'UDADataset':
        return _build_uda(cfg, default_args)
    if kind == 'RepeatDataset':
        parts = _only_keys(cfg, kind, {'dataset', 'times'}, required=('dataset', 'times'))
        return DATASETS.get(kind)(build_dataset(parts['dataset'], default_args), parts['times'])
    if kind == 'ConcatDataset':
        parts = _only_keys(cfg, kind, {'datasets', 'test_mode'}, required=('datasets',))
        inner = {key: value for key, value in parts.items() if key == 'test_mode'}
        return build_dataset(list(parts['datasets']), {**(default_args or {}), **inner})
    if any(isinstance(cfg.get(key), list | tuple) for key in ('img_dir', 'split')):
        return build_dataset(_spread(cfg), default_args)
    own = find_type({**(default_args or {}), **cfg}, DATASETS)
    if own.__init__ is object.__init__:  # it sets nothing later, and would be told of arguments that it lacks
        _require_attributes(own, own.__name__, ('CLASSES', 'PALETTE'))
    dataset = DATASETS.build(cfg, default_args=default_args)
    _require_attributes(dataset, type(dataset).__name__, ('CLASSES', 'PALETTE', 'ignore_index'))
    return dataset


def _require_attributes(where: Any, kind: str, names: tuple[str, ...]) -> None:
    for name in names:
        if not hasattr(where, name):
            raise ConfigError(f"dataset '{kind}' has no {name}: derive it from CustomDataset, which has it")


def build_train_dataset(data: dict) -> Dataset:
    """The training set of a config's ``data``: ``data['train']``, with ``data['cache_dir']``, if that is
    set, as the ``cache`` of every data set in it that names none of its own."""
    return build_dataset(data['train'], {'cache': data['cache_dir']} if data.get('cache_dir') else None)


def leaf_configs(cfg: dict | list | tuple) -> list[dict]:
    """The configs of single data sets inside ``cfg``, in order: of the parts of a list or
    ConcatDataset, of what is repeated, of source, target and further domains."""
    if isinstance(cfg, list | tuple):
        return [leaf for part in cfg for leaf in leaf_configs(part)]
    if not isinstance(cfg, dict):
        raise UserError(f'config of a dataset must be a dict or a list of them, got {cfg!r}')
    inner = [cfg[key] for key in ('datasets', 'dataset', 'source', 'target') if key in cfg]
    inner += [*(cfg.get('domains') or {}).values()]
    return leaf_configs(inner) if inner else [cfg]


def _build_uda(cfg: dict, default_args: dict | None) -> Dataset:
    options = {'rare_class_sampling', 'cfg', 'exclude_paired_source', 'sync_crop_size'}
    parts = _only_keys(cfg, 'UDADataset', {'source', 'target', 'domains', *options},
                       required=('source', 'target'))
    source = build_dataset(parts['source'], default_args)
    # Labels of other domains must not reach training unasked, so they are not even opened.
    unlabelled = {**(default_args or {}), 'use_labels': False}
    target = build_dataset(parts['target'], unlabelled)
    further = parts.get('domains') or {}
    if not isinstance(further, dict) or not all(isinstance(part, dict) for part in further.values()):
        raise ConfigError(f"domains of the dataset 'UDADataset' is {further!r}, expected a config for each "
                          'name')
    domains = {name: build_dataset({k: v for k, v in part.items() if k != 'paired_with'}, unlabelled)
               for name, part in further.items()}
    paired = {name: part['paired_with'] for name, part in further.items() if 'paired_with' in part}
    kwargs = {key: parts[key] for key in options if key in parts}
    with config_error_context("dataset 'UDADataset' cannot be built with these settings"):
        return DATASETS.get('UDADataset')(source=source, target=target, domains=domains, paired=paired,
                                          **kwargs)


def _only_keys(cfg: dict, kind: str, known: set[str], required: tuple[str, ...]) -> dict[str, Any]:
    parts = {key: value for key, value in cfg.items() if key != 'type'}
    check_keys(parts, known, f"dataset '{kind}'")
    for key in required:
        if key not in parts:
            raise UserError(f"key '{key}' is missing in dataset '{kind}'")
    return parts


def _spread(cfg: dict) -> list[dict]:
    """One config per entry of the lists ``img_dir``, ``ann_dir`` and ``split``."""
    lists = {key: cfg[key] for key in ('img_dir', 'ann_dir', 'split')
             if isinstance(cfg.get(key), list | tuple)}
    lengths = {key: len(values) for key, values in lists.items()}
    if len(set(lengths.values())) != 1:
        raise UserError(f'lists of different length in a dataset: {lengths}; give one entry per part')
    count = next(iter(lengths.values()))
    return [{**cfg, **{key: values[i] for key, values in lists.items()}} for i in range(count)]
