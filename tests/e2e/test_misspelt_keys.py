"""Every key of the main configs, each misspelt by one letter: none that is used is taken in silence."""
from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from mmcv import ConfigDict
from on_meta import on_meta
from torch import nn

from mmseg.datasets.builder import DATASETS
from mmseg.datasets.pipelines import Compose
from mmseg.datasets.rare_class_sampling import RCS_KEYS
from mmseg.engine.optimizer import build_optimizers
from mmseg.engine.settings import check_settings
from mmseg.models.builder import build_train_model
from mmseg.utils import UserError, get_root_logger
from mmseg.utils.config import load_config
from mmseg.utils.config_check import LABELS, READ, UNREAD, check_config
from mmseg.utils.registry import _check_call, check_keys, find_type

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = [*sorted((ROOT / 'configs/ebda').glob('*.py')), *sorted((ROOT / 'configs/daformer').glob('*.py')),
           *sorted((ROOT / 'configs/toy').glob('*_s0.py')), *sorted((ROOT / 'configs/camvid').glob('*.py'))]
# one config of each data set beside those
DATA = sorted((ROOT / 'configs/_base_/datasets').glob('*.py'))
# Keys whose value names a run and changes nothing of it, and variables of the reference's configs.
# What stages change is looked at in the whole config of each of them (tests/unit/test_stages.py).
UNUSED = UNREAD | LABELS | {'workflow', 'stages'}
# MiT has no parameter of that name; it stands in every config of the reference
NO_EFFECT = {'pos_block'}


def misspelt(key: str) -> str:
    """With its first two letters exchanged, or its last one twice."""
    swapped = key[1] + key[0] + key[2:] if len(key) > 1 else key
    return swapped if swapped != key else key + key[-1]


def keys_of(node: Any, path: tuple = ()) -> Iterator[tuple]:
    """The path of every key below ``node``."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, key)
            yield from keys_of(value, (*path, key))
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from keys_of(value, (*path, number))


def with_misspelt(node: Any, path: tuple) -> tuple[Any, str]:
    """A copy in which the key at the end of ``path`` is misspelt, and how."""
    node = copy.deepcopy(node)
    parent = node
    for part in path[:-1]:
        parent = parent[part]
    new = misspelt(str(path[-1]))
    renamed = [(new if key == path[-1] else key, value) for key, value in parent.items()]
    for key in list(parent):
        del parent[key]
    for key, value in renamed:
        parent[key] = value
    return node, new


# ------------------------------------------------------------- what looks at the parts of a config

def check_top(cfg: ConfigDict) -> None:
    check_config(cfg)
    check_settings(cfg)


def check_model(cfg: ConfigDict) -> None:
    with on_meta():
        build_train_model(cfg)


def check_optimizer(cfg: ConfigDict) -> None:
    with on_meta():
        build_optimizers(model_of(json.dumps(
            {part: cfg.get(part) for part in ('model', 'uda', 'runner')})), cfg['optimizer'])


@lru_cache(1)
def model_of(parts: str) -> nn.Module:
    """One for all mistakes in the optimizer."""
    return build_train_model(ConfigDict(json.loads(parts)))


def check_data_set(cfg: Any) -> None:
    """As building it does, without its files."""
    if isinstance(cfg, (list, tuple)):
        for part in cfg:
            check_data_set(part)
        return
    if cfg.get('type') == 'UDADataset':
        check_keys(cfg, {'type', 'source', 'target', 'domains', 'rare_class_sampling', 'cfg',
                         'exclude_paired_source'}, 'data')
        check_keys(cfg.get('rare_class_sampling') or {}, RCS_KEYS, 'rare_class_sampling')
        check_data_set(cfg['source'])
        check_data_set(cfg['target'])
        for part in (cfg.get('domains') or {}).values():
            check_data_set({key: value for key, value in part.items() if key != 'paired_with'})
        return
    if cfg.get('type') == 'ConcatDataset':
        check_keys(cfg, {'type', 'datasets', 'test_mode'}, 'data')
        check_data_set(cfg['datasets'])
        return
    kind = find_type(cfg, DATASETS)
    settings = {key: value for key, value in cfg.items() if key != 'type'}
    _check_call(kind, settings, (), kind.__name__)
    Compose(settings['pipeline'])


def check_data(cfg: ConfigDict) -> None:
    for part in ('train', 'val', 'test'):
        if part in cfg['data']:
            check_data_set(cfg['data'][part])


CHECKS = {'model': check_model, 'uda': check_model, 'optimizer': check_optimizer, 'data': check_data}
SEEN: set[str] = set()


def check_of(cfg: ConfigDict, path: tuple):
    """What has to notice a mistake at ``path``; None if the same part of another config was looked at."""
    if len(path) == 1 or path[0] not in CHECKS or path[:2] == ('data', path[-1]):
        return check_top
    part = json.dumps([path, cfg[path[0]], cfg.get('uda') if path[0] == 'model' else None], default=str)
    if part in SEEN:
        return None
    SEEN.add(part)
    return CHECKS[path[0]]


@pytest.fixture
def told():
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    get_root_logger().addHandler(handler)
    yield lines
    get_root_logger().removeHandler(handler)


def taken_in_silence(cfg: ConfigDict, paths: list[tuple], told: list[str]) -> list[str]:
    taken = []
    for path in paths:
        check = check_of(cfg, path)
        if check is None:
            continue
        broken, new = with_misspelt(cfg, path)
        told.clear()
        try:
            check(broken)
        except UserError:
            continue
        if not any(new in line for line in told):
            taken.append('.'.join(map(str, path)))
    return taken


def used_paths(cfg: ConfigDict, sections: tuple | None = None) -> list[tuple]:
    """Keys that are used: not variables of the file, which other keys repeat, nor names of further domains,
    which a config chooses; a method asks for those that it needs."""
    return [path for path in keys_of(cfg) if path[0] in READ - UNUSED and path[-1] not in NO_EFFECT
            and path[-2:-1] != ('domains',)
            and (sections is None or path[0] in sections)]


@pytest.mark.parametrize('file', CONFIGS, ids=lambda path: path.stem)
def test_no_misspelt_key_is_taken_in_silence(file, told):
    cfg = load_config(file)._cfg_dict
    check_top(cfg)
    paths = used_paths(cfg)
    assert len(paths) > 100
    if cfg['model']['backbone']['type'].startswith('mit_b'):
        cfg['model']['backbone']['depths'] = (1, 1, 1, 1)  # it is built hundreds of times
    assert taken_in_silence(cfg, paths, told) == []


@pytest.mark.parametrize('file', DATA, ids=lambda path: path.stem)
def test_no_misspelt_key_of_a_data_set_is_taken_in_silence(file, told):
    cfg = load_config(file)._cfg_dict
    check_data(cfg)
    paths = [path for path in used_paths(cfg, ('data',)) if len(path) > 2]
    assert taken_in_silence(cfg, paths, told) == []


@pytest.mark.parametrize('key, value', [
    ('ep', [dict(type='Resize')]), ('rooot', 1), ('my_own_transforms', {}), ('train_pipeline', []), ('norm',
    {}),
    ('date', '2026-11-26'), ('sed', 'text'), ('modul', 3)])
def test_a_variable_of_a_config_is_fine_as_long_as_no_key_is_near(key, value):
    check_config({key: value})


@pytest.mark.parametrize('key, value, near', [
    ('date', dict(train={}), 'data'), ('sed', 3, 'seed'), ('modle', {}, 'model'), ('udaa', {}, 'uda')])
def test_a_variable_near_a_key_that_takes_such_a_value_is_told(key, value, near):
    with pytest.raises(UserError, match=f"did you mean '{near}'"):
        check_config({key: value})


@pytest.mark.parametrize('change, word', [
    ({'uda.alpha': 2}, 'uda.alpha is 2'), ({'uda.pseudo_threshold': -0.1}, 'pseudo_threshold'),
    ({'uda.pseudo_weight_ignore_top': -1}, 'ignore_top'), ({'uda.imnet_feature_dist_lambda': -1},
    'dist_lambda'),
    ({'uda.color_jitter_probability': 2}, 'color_jitter_probability'), ({'uda.color_jitter_strength.hue':
    0.9}, 'hue'),
    ({'uda.color_jitter_strength': 'much'}, 'color_jitter_strength'), ({'uda.alpha': True}, 'alpha'),
    ({'uda.entropy_balance.loss_weight': -0.1}, 'loss_weight'), ({'uda.entropy_balance.target': -1},
    'target'),
    ({'runner.max_iters': 10 ** 15}, 'max_iters'), ({'runner.max_iters': 1e15}, 'max_iters'),
    ({'optimizer_config': dict(grad_clip=dict(max_norm=-1))}, 'max_norm'),
    ({'optimizer.paramwise_cfg.custom_keys.head.lr_mult': -1}, 'lr_mult'),
    ({'uda.imnet_feature_dist_classes': [99], 'uda.imnet_feature_dist_scale_min_ratio': 0.5,
      'uda.imnet_feature_dist_lambda': 1.0}, 'imnet_feature_dist_classes')])
def test_values_out_of_range_are_told_before_anything_is_built(change, word):
    with pytest.raises(UserError, match=word):
        cfg = load_config(ROOT / 'configs/toy/streets_ebda_mitb0_s0.py', change)
        check_top(cfg._cfg_dict)
        check_optimizer(cfg._cfg_dict)


@pytest.mark.parametrize('hook, package', [('WandbLoggerHook', 'wandb'), ('MlflowLoggerHook', 'mlflow')])
def test_a_logger_without_its_package_is_told(hook, package, monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    cfg = load_config(ROOT / 'configs/toy/streets_ebda_mitb0_s0.py', {'log_config.hooks': [dict(type=hook)]})
    with pytest.raises(UserError, match=f'{hook} needs the package {package}: pip install {package}'):
        check_settings(cfg)


def test_names_of_python_become_what_json_holds(tmp_path):
    path = tmp_path / 'c.py'
    path.write_text('import numpy as np\nfrom math import log\nfrom pathlib import Path\ngpu_ids = range(0, '
                    '2)\n'
                    'root = Path("x") / "y"\nweights = dict(a=np.ones(2), b=np.float32(0.5), c={2, 1})\n'
                    'size = (3, 4)\n')
    cfg = load_config(path)._cfg_dict
    assert cfg == dict(gpu_ids=[0, 1], root='x/y', weights=dict(a=[1.0, 1.0], b=0.5, c=[1, 2]), size=(3, 4))


@pytest.mark.parametrize('given, expected', [
    (dict(type='SegFormerHead', decoder_params=dict(embed_dim=768)), dict(embed_dims=768)),
    (dict(type='DAFormerHead', decoder_params=dict(embed_dims=256)), dict(embed_dims=256))])
def test_the_references_names_of_a_decoders_settings_are_known(given, expected, tmp_path):
    path = tmp_path / 'c.json'
    path.write_text(json.dumps(dict(model=dict(backbone=dict(type='IMTRv21_5'), decode_head=given))))
    cfg = load_config(path)
    assert cfg.model.decode_head.decoder_params == expected
    assert cfg.model.backbone.type == 'mit_b5'


@pytest.mark.parametrize('module', ['my_own_data', 'package_that_is.not_there'])
def test_a_missing_custom_import_is_named(module, tmp_path):
    path = tmp_path / 'c.py'
    path.write_text(f'custom_imports = dict(imports=[{module!r}], allow_failed_imports=False)\n')
    with pytest.raises(UserError, match=module.split('.')[0]):
        load_config(path)
