from __future__ import annotations

import ast
import copy
from pathlib import Path

import pytest
from on_meta import on_meta, shorten_known_encoder

from mmseg.datasets.builder import DATASETS
from mmseg.models.builder import build_train_model
from mmseg.utils.config import Config, load_config

CONFIGS = Path(__file__).parents[2] / 'configs'
FILES = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.glob('*/*.py')
               if path.parent.name != '_base_')
REQUIRED = ('model', 'data', 'optimizer', 'lr_config', 'runner', 'checkpoint_config', 'evaluation',
            'log_config', 'workflow', 'seed', 'n_gpus', 'name', 'exp')


@pytest.fixture(scope='module')
def configs() -> dict[str, Config]:
    return {file: load_config(CONFIGS / file) for file in FILES}


@pytest.fixture(scope='module')
def known() -> set[str]:
    """The encoders that were built."""
    return set()


def test_the_reported_rows_are_there():
    for file in ('daformer/gta2cs_uda_warm_fdthings_rcs_croppl_a999_daformer_mitb5_s0.py',
                 'daformer/cs2acdc_uda_warm_fdthings_rcs_croppl_a999_daformer_mitb5_s0.py',
                 'ebda/cs2acdc_ebda_daformer_mitb5_s0.py',
                 'ebda/cs2acdc_ebda_released_daformer_mitb5_s0.py',
                 'toy/streets_ebda_mitb0_s0.py', 'camvid/camvid_day2dusk_ebda_effnetlite0_s0.py'):
        assert file in FILES


@pytest.mark.parametrize('file', FILES)
def test_config_is_complete(file, configs):
    cfg = configs[file]
    assert not [key for key in REQUIRED if key not in cfg]
    assert cfg.name == Path(file).stem
    assert cfg.runner.type == 'IterBasedRunner'
    if 'uda' in cfg:
        assert cfg.optimizer_config is None
        assert {'source', 'target'} <= set(cfg.data.train)
    for split in ('val', 'test'):
        assert cfg.data[split].type in DATASETS


@pytest.mark.parametrize('file', FILES)
def test_config_builds(file, configs, known):
    cfg = copy.deepcopy(configs[file])
    cfg.model.pretrained = None
    shorten_known_encoder(cfg.model.backbone, known)
    with on_meta():
        model = build_train_model(cfg)
    has_teacher = (cfg.get('uda') or {}).get('type') in ('DACS', 'ProDA')
    assert any(name.startswith('ema_model.') for name in model.state_dict()) == has_teacher
    assert any(name.startswith('model.decode_head.') for name in model.state_dict()) == ('uda' in cfg)


@pytest.mark.parametrize('file', FILES)
def test_docstring_has_command_score_and_cost(file):
    doc = ast.get_docstring(ast.parse((CONFIGS / file).read_text()))
    assert f'python run_experiments.py --config configs/{file}' in doc
    assert 'Score:' in doc and 'Cost:' in doc


def test_ebda_twin_adds_only_the_entropy_balance(configs):
    ebda = configs['ebda/cs2acdc_ebda_daformer_mitb5_s0.py']._cfg_dict.to_dict()
    daformer = configs['daformer/cs2acdc_uda_warm_fdthings_rcs_croppl_a999_daformer_mitb5_s0.py']
    assert ebda['uda'].pop('entropy_balance') == dict(
        type='EntropyBalanceLoss', target=0.4, loss_weight=0.1)
    for key in ('name', 'name_uda'):
        ebda[key] = daformer[key]
    assert ebda == daformer._cfg_dict.to_dict()


def test_released_setting(configs):
    cfg = configs['ebda/cs2acdc_ebda_released_daformer_mitb5_s0.py']
    assert (cfg.runner.max_iters, cfg.data.samples_per_gpu, cfg.seed) == (50000, 1, 0)
    assert (cfg.evaluation.interval, cfg.evaluation.save_best) == (2000, 'mIoU')
    assert (cfg.uda.pseudo_weight_ignore_top, cfg.uda.pseudo_weight_ignore_bottom) == (15, 120)


def test_toy_runs_compare_like_with_like(configs):
    runs = [configs[f'toy/streets_{kind}_mitb0_s0.py']
            for kind in ('source', 'daformer', 'ebda', 'target')]
    for key in ('model', 'optimizer', 'lr_config', 'runner', 'load_from', 'seed'):
        assert all(run[key] == runs[0][key] for run in runs)
    assert len({run.data.samples_per_gpu for run in runs}) == 1
