"""What configs and experiments say once their base files are merged in, against values kept from commit
f877847: how the files share their content is free, the values of a run are not.

``python tests/unit/test_resolved_configs.py`` writes the golden file again, for a change that is meant.
"""
from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from experiments import generate_experiment_cfgs, resolve
from mmseg.experiments.description import CONFIG_DIR
from mmseg.experiments.runs import read

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden_configs.json.gz'
CASES = json.loads(gzip.decompress(GOLDEN.read_bytes())) if GOLDEN.exists() else {'files': {}, 'tables': {}}
# a shipped config → (its table, its row)
ROWS = {
    'daformer/gta2cs_uda_warm_fdthings_rcs_croppl_a999_daformer_mitb5_s0.py': (6, 36),
    'daformer/cs2acdc_uda_warm_fdthings_rcs_croppl_a999_daformer_mitb5_s0.py': (8, 0),
    'ebda/cs2acdc_ebda_daformer_mitb5_s0.py': (21, 0),
    'ebda/cs2acdc_ebda_released_daformer_mitb5_s0.py': (20, 0),
    'camvid/camvid_day2dusk_ebda_effnetlite0_s0.py': (901, 2),
    'hrda/gtaHR2csHR_hrda.py': (40, 0),
    'hrda/synHR2csHR_hrda.py': (40, 3),
    'hrda/csHR2acdcHR_hrda.py': (49, 0),
    'hrda/csHR2dzurHR_hrda.py': (49, 3),
    'hrda/csHR2foggyrainHR_hrda.py': (48, 0),
    'mic/gtaHR2csHR_mic_hrda.py': (80, 0),
    'mic/synHR2csHR_mic_hrda.py': (80, 3),
    'mic/csHR2acdcHR_mic_hrda.py': (80, 6),
    'mic/csHR2dzurHR_mic_hrda.py': (80, 9),
    'mic/csHR2foggyrainHR_mic_hrda.py': (48, 3),
    'mic/csHR2acdcHR_ebda_mic_hrda.py': (47, 6),
    'mic/gta2cs_mic_daformer.py': (81, 15),
    'toy/streets_source_mitb0_s0.py': (900, 0),
    'toy/streets_daformer_mitb0_s0.py': (900, 3),
    'toy/streets_ebda_mitb0_s0.py': (900, 6),
    'toy/streets_target_mitb0_s0.py': (900, 9),
}
# what the minutes of the demo's configs have otherwise than the hours of table 900
DEMO_BUDGET = {
    'runner.max_iters': (800, 4000), 'checkpoint_config.interval': (800, 4000),
    'evaluation.interval': (800, 1000), 'log_config.interval': (20, 50), 'data.workers_per_gpu': (2, 4)}


def canonical(cfg: dict) -> Any:
    """As json holds it: tuples are lists, keys are in order."""
    return json.loads(json.dumps(cfg, sort_keys=True))


def shipped(file: str) -> dict:
    return read(CONFIG_DIR / file)


def differences(first: Any, second: Any, path: str = '') -> dict[str, tuple]:
    """Dotted key → (first's value, second's), where they are not the same."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {key: value for name in sorted({*first, *second})
                for key, value in differences(first.get(name), second.get(name), f'{path}.{name}').items()}
    return {} if first == second else {path.lstrip('.'): (first, second)}


@pytest.mark.parametrize('file', CASES['files'])
def test_config_file_resolves_to_the_golden_values(file):
    assert differences(CASES['files'][file], canonical(shipped(file))) == {}


@pytest.mark.parametrize('table', CASES['tables'])
def test_rows_resolve_to_the_golden_values(table):
    rows = [canonical(resolve(cfg)) for cfg in generate_experiment_cfgs(int(table))]
    assert len(rows) == len(CASES['tables'][table])
    for golden, row in zip(CASES['tables'][table], rows):
        assert differences(golden, row) == {}, row['name']


@pytest.mark.parametrize('file', ROWS)
def test_a_shipped_config_is_the_run_of_its_row(file):
    table, number = ROWS[file]
    row = canonical(resolve(generate_experiment_cfgs(table)[number]))
    found = differences(canonical(shipped(file)), row)
    assert found.pop('exp') == ('basic', table)
    for label in [key for key in found if key == 'gpu_model' or key.startswith('name')]:
        del found[label]
    assert found == (DEMO_BUDGET if table == 900 else {})


def test_names_of_config_files_alone_reach_no_run(tmp_path):
    (tmp_path / 'base.py').write_text('_size = 4\nmodel = dict(_private=1)\n')
    (tmp_path / 'top.py').write_text("_base_ = ['base.py']\nmodel = dict(size={{_base_._size}})\n")
    assert read(tmp_path / 'top.py') == dict(model=dict(_private=1, size=4))


def test_every_shipped_config_of_a_benchmark_has_a_row():
    files = {str(path.relative_to(CONFIG_DIR)) for path in CONFIG_DIR.glob('*/*.py')
             if path.parent.name != '_base_'}
    # the run that makes the demo's weights, its continuation, the four steps of the tests and the compared
    # methods, whose rows are of stages (test_comparison_tables.py), have none
    compared = [f'{name}_mitb0_s0' for name in (
        'advent', 'advseg', 'minent', 'bdl', 'bdl_ssl', 'cyclegan', 'fda', 'dannet', 'mgcda',
        'mgcda_step1', 'mgcda_step2', 'proda_warmup', 'proda_stage1', 'proda_distillation', 'hrda')]
    folders = ('advent', 'bdl', 'dacs', 'dannet', 'fda', 'mgcda', 'proda', 'translation')
    compared += [f'{name}_mitb0_s0' for name in ('mic', 'mic_hrda')]
    assert {file for file in files - {*ROWS} if Path(file).parent.name not in folders} == {
        f'toy/streets_{name}.py' for name in ('start_mitb0', 'start_robust_mitb0', 'test', *compared)}


if __name__ == '__main__':
    from experiments import list_experiments
    paths = [str(path.relative_to(CONFIG_DIR)) for path in sorted(CONFIG_DIR.rglob('*.py'))]
    content = dict(
        files={path: canonical(shipped(path)) for path in paths},
        tables={table: [canonical(resolve(cfg)) for cfg in generate_experiment_cfgs(table)]
                for table, _, _ in list_experiments()})
    GOLDEN.write_bytes(gzip.compress(json.dumps(content, sort_keys=True).encode(), mtime=0))
