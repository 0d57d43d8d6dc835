"""EBDA on CamVid's photographs: the config, shortened. Skipped where the data set is not there."""
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from programs import ROOT, start

CAMVID = Path(os.environ.get('CAMVID_ROOT') or ROOT.parent / 'shared' / 'data' / 'camvid')
CONFIG = ROOT / 'configs' / 'camvid' / 'camvid_day2dusk_ebda_effnetlite0_s0.py'
EVALUATED = 2

pytestmark = pytest.mark.skipif(not (CAMVID / 'day' / 'images').is_dir(),
                                reason=f'no CamVid in {CAMVID} (CAMVID_ROOT names its folder)')


def test_camvid_from_statistics_to_scores(run_program, tmp_path):
    """The data are read only: statistics and split lists lie elsewhere."""
    assert start('tools.convert_datasets.camvid', CAMVID, '-o', tmp_path / 'stats', '--nproc', '1') == 0
    stats = json.loads((tmp_path / 'stats' / 'sample_class_stats.json').read_text())
    assert {int(c) for entry in stats for c in entry if c != 'file'} == set(range(11))

    names = sorted(path.stem for path in (CAMVID / 'dusk_val' / 'images').iterdir())[:EVALUATED]
    (tmp_path / 'two.txt').write_text('\n'.join(names))
    ended = run_program(
        'run_experiments', '--config', CONFIG, '--data-root', f'data/camvid={CAMVID}', '--options',
        f'data.train.rare_class_sampling.stats_dir={tmp_path}/stats', f'data.val.split={tmp_path}/two.txt',
        f'data.test.split={tmp_path}/two.txt', 'data.samples_per_gpu=1', 'data.workers_per_gpu=0',
        'data.train.source.pipeline.2.crop_size=(128,128)', 'data.train.source.pipeline.5.size=(128,128)',
        'data.train.target.pipeline.1.crop_size=(128,128)', 'data.train.target.pipeline.4.size=(128,128)',
        'runner.max_iters=2', 'log_config.interval=1', 'evaluation.interval=2')
    assert '1 of 1 runs finished' in ended.out
    [run] = (tmp_path / 'work_dirs' / 'local-basic').iterdir()
    log = [json.loads(line) for line in next(run.glob('*.log.json')).read_text().splitlines()][1:]
    assert [record['mode'] for record in log] == ['train', 'train', 'val']
    assert 0 <= log[-1]['mIoU'] <= 1 and log[-1]['iter'] == 2
    assert len([key for key in log[-1] if key.startswith('IoU.')]) == 11

    run_program('tools.test', run / f'{run.name}.json', run / 'latest.pth', '--eval', 'mIoU',
                '--work-dir', tmp_path / 'scores')
    [scores] = (json.loads(path.read_text()) for path in (tmp_path / 'scores').glob('eval_*.json'))
    assert len(scores['classes']) == 11 and scores['images'] == EVALUATED
    assert scores['scores']['mIoU'] == pytest.approx(log[-1]['mIoU'], abs=1e-4)
