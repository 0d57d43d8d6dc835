"""From drawn scenes to a submission, by the real programs; drawn once for all tests."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from programs import MIN_PIXELS, SMALL_WH, STREETS_TEST, start

import run_experiments
from experiments import generate_experiment_cfgs
from mmseg.checkpoint.weights import load_file
from mmseg.utils.config import load_config

TEST_IMAGES = 2


@pytest.fixture(scope='module')
def run_dir(streets, tmp_path_factory) -> Path:
    """The folder that run_experiments.py makes of the config of the tests."""
    folder = tmp_path_factory.mktemp('runs')
    assert start('run_experiments', '--config', STREETS_TEST, '--data-root', f'data/streets={streets}',
                 '--work-dirs', folder, '--options', 'data.samples_per_gpu=1',
                 f'data.train.rare_class_sampling.min_pixels={MIN_PIXELS}') == 0
    [run] = (folder / 'local-basic').iterdir()
    return run


def test_a_run_keeps_what_is_needed_to_repeat_it(run_dir, streets):
    cfg = json.loads((run_dir / f'{run_dir.name}.json').read_text())
    assert '_base_' not in cfg
    assert cfg['runner'] == {'type': 'IterBasedRunner', 'max_iters': 4}
    assert cfg['data']['train']['source']['data_root'] == f'{streets}/cityscapes'
    [environment] = run_dir.glob('*.env.txt')
    lines = dict(line.split(': ', 1) for line in environment.read_text().splitlines() if ': ' in line)
    revision = lines['git revision'].removesuffix('+')
    assert revision == 'unknown' or len(revision) == 40
    assert {'Python', 'PyTorch', 'MMCV', 'mmseg'} <= set(lines)


def test_a_run_writes_both_logs(run_dir):
    [text] = run_dir.glob('*.log')
    assert 'Iter [4/4]' in text.read_text() and '| road' in text.read_text().replace('|  ', '| ')
    [log] = run_dir.glob('*.log.json')
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(r['mode'], r['iter']) for r in records[1:]] == [('train', 2), ('train', 4), ('val', 4)]
    assert {'decode.loss_seg', 'decode.acc_seg', 'mix.decode.loss_seg', 'mix.decode.acc_seg', 'mix.entropy',
            'l.pseudo_weight'} <= set(records[1])
    assert 0 <= records[-1]['mIoU'] <= 1


def test_a_run_keeps_its_last_checkpoint_and_pictures(run_dir):
    checkpoint = load_file(str(run_dir / 'latest.pth'))
    assert checkpoint['meta']['iter'] == checkpoint['training']['local_iter'] == 4
    assert len(checkpoint['meta']['CLASSES']) == 19
    assert {name.split('.')[0] for name in checkpoint['state_dict']} == {'model', 'ema_model'}
    pictures = sorted((run_dir / 'class_mix_debug').iterdir())
    assert [p.name for p in pictures] == ['000000_0.png', '000002_0.png']
    assert cv2.imread(str(pictures[0])).std() > 10


def test_the_run_is_tested_and_shown(run_dir, streets, run_program, tmp_path):
    config, checkpoint = run_dir / f'{run_dir.name}.json', run_dir / 'latest.pth'
    ended = run_program('tools.test', config, checkpoint, '--eval', 'mIoU', '--show-dir', tmp_path / 'preds',
                        '--work-dir', tmp_path)
    scores = json.loads(next(tmp_path.glob('eval_*.json')).read_text())
    assert ended.out.splitlines()[-1] == f"mIoU: {100 * scores['scores']['mIoU']:.2f} %"
    val = sorted((streets / 'acdc' / 'rgb_anon').glob('*/val/*/*_rgb_anon.png'))
    assert len(list((tmp_path / 'preds').rglob('*.png'))) == len(val) == scores['images']

    overlay = tmp_path / 'overlay.png'
    run_program('demo.image_demo', val[0], config, checkpoint, '--out', overlay, '--opacity', '1')
    shown = {tuple(colour) for colour in cv2.imread(str(overlay))[..., ::-1].reshape(-1, 3).tolist()}
    palette = {tuple(colour) for colour in load_file(str(checkpoint))['meta']['PALETTE']}
    assert cv2.imread(str(overlay)).shape[1::-1] == SMALL_WH and shown <= palette


def test_predictions_for_the_server_have_its_names_sizes_and_ids(run_dir, streets, run_program, tmp_path):
    run_program('tools.test', run_dir / f'{run_dir.name}.json', run_dir / 'latest.pth', '--test-set',
                '--format-only', '--eval-options', f'imgfile_prefix={tmp_path}/labelTrainIds',
                'to_label_id=False')
    images = sorted((streets / 'acdc' / 'rgb_anon').glob('*/test/*/*.png'))
    written = sorted((tmp_path / 'labelTrainIds').rglob('*'))
    assert len(images) == TEST_IMAGES
    assert [p.name for p in written] == sorted(p.name for p in images)
    for path in written:
        ids = np.asarray(Image.open(path))
        assert (ids.dtype, ids.shape) == (np.uint8, SMALL_WH[::-1]) and ids.max() < 19


def tiny_toy_benchmark(streets) -> list[str]:
    return ['--exp', '900', '--data-root', f'data/streets={streets}', '--options', 'runner.max_iters=2',
            'data.samples_per_gpu=1', 'data.workers_per_gpu=0', 'checkpoint_config.interval=2',
            'evaluation.interval=2', 'log_config.interval=1', 'load_from=None']


def test_a_dry_run_prints_the_configs_and_writes_nothing(streets, run_program, monkeypatch, tmp_path):
    monkeypatch.setattr(run_experiments, 'generate_experiment_cfgs', only_first_and_last)
    shown = run_program('run_experiments', *tiny_toy_benchmark(streets), '--dry-run').out
    assert shown.startswith('# [1/2] streets_source-only_') and '\n# [2/2] streets_target-only_' in shown
    assert shown.count('~ runner.max_iters = 2 ') + shown.count('+ runner.max_iters = 2') == 2
    assert not list(tmp_path.iterdir())


def test_a_run_of_the_toy_benchmark_trains(streets, run_program, monkeypatch, tmp_path):
    """The first of its twelve; the others differ in the config, and start in processes of their own."""
    monkeypatch.setattr(run_experiments, 'generate_experiment_cfgs',
                        lambda number: only_first_and_last(number)[:1])
    shown = run_program('run_experiments', *tiny_toy_benchmark(streets)).out
    assert '1 of 1 runs finished' in shown
    score, time, result = shown.splitlines()[-4:-1]
    assert score.startswith('score:  mIoU ')
    assert time.startswith('time:   0:0') and time.endswith(' for 2 of 2 steps')
    [run] = (tmp_path / 'work_dirs' / 'local-exp900').iterdir()
    assert load_config(run / f'{run.name}.json').exp == 900
    assert load_file(str(run / 'latest.pth'))['meta']['iter'] == 2
    folder = run.relative_to(tmp_path)
    assert result == f'result: {folder}/latest.pth; report: python -m tools.report {folder}'
    kept = json.loads((run / 'evaluation' / 'images.json').read_text())['images']
    assert len(kept) == len(list((run / 'evaluation').glob('*_entropy.jpg'))) > 0
    assert run_program('tools.report', folder).out.startswith('1 run, ')
    assert (tmp_path / 'report.html').is_file()


def only_first_and_last(number: int) -> list[dict]:
    return generate_experiment_cfgs(number)[::len(generate_experiment_cfgs(number)) - 1]
