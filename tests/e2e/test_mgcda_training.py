"""MGCDA from its configs: translation, labels of lit images, a step, corrected labels, another step."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from programs import ROOT, write_tiny

from mmseg.apis import init_segmentor
from mmseg.checkpoint.weights import save_checkpoint

CHAIN = {'translation': 'cyclegan', 'step1': 'mgcda_step1', 'step2': 'mgcda_step2'}
SHORT = {'runner.max_iters': 2, 'checkpoint_config.interval': 1, 'checkpoint_config.max_keep_ckpts': 2,
         'log_config.interval': 1}
ARGS = ('--device', 'cpu')


@pytest.fixture
def configs(streets_with_references, tmp_path) -> dict[str, Path]:
    """The stages, with the folders that they take from one another."""
    def step(labels: str) -> dict:
        return {'data.train.source.translated': str(tmp_path / 'translated'), 'evaluation.interval': 2,
                'data.train.target.pseudo_labels': str(tmp_path / labels)}

    more = {'translation': {'uda.channels': 4, 'uda.blocks': 1}, 'step1': step('labels'),
            'step2': step('corrected')}
    return {stage: write_tiny(streets_with_references, tmp_path / f'{stage}.json',
                              f'configs/toy/streets_{name}_mitb0_s0.py', **SHORT, **more[stage])
            for stage, name in CHAIN.items()}


def test_the_chain_of_steps(configs, run_program, tmp_path):
    def train(stage: str, how: str, checkpoint: Path) -> Path:
        run_program('tools.train', configs[stage], *ARGS, '--work-dir', tmp_path / stage, how, checkpoint)
        return tmp_path / stage / 'iter_2.pth'

    def label(stage: str, checkpoint: Path, name: str, *rule) -> list[np.ndarray]:
        run_program('tools.make_pseudo_labels', configs[stage], checkpoint, *ARGS, '--out', tmp_path / name,
                    '--rule', *rule)
        paths = sorted((tmp_path / name / 'labels').rglob('*.png'))
        return [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths]

    source = tmp_path / 'source.pth'
    save_checkpoint(str(source), init_segmentor(str(configs['step1']), device='cpu'), meta={})
    translation = train('translation', '--load-from', source)
    run_program('tools.translate', configs['translation'], translation, *ARGS, '--out',
                tmp_path / 'translated')
    label('step1', source, 'labels', 'threshold', '--threshold', '0')
    first = train('step1', '--load-from', source)
    corrected = label('step2', first, 'corrected', 'mgcda', '--references', configs['step1'])
    assert len(corrected) == 6
    assert all(np.isin(found, range(19)).all() for found in corrected), 'every pixel has a label'
    last = torch.load(train('step2', '--load-from', first), weights_only=False)['state_dict']
    (tmp_path / 'step2/iter_2.pth').unlink()
    again = train('step2', '--resume-from', tmp_path / 'step2/iter_1.pth')
    again = torch.load(again, weights_only=False)['state_dict']
    assert all(torch.equal(value, again[key]) for key, value in last.items())


def test_the_chain_is_one_experiment(run_program, monkeypatch):
    monkeypatch.chdir(ROOT)
    shown = run_program('run_experiments', '--config', ROOT / 'configs/toy/streets_mgcda_mitb0_s0.py',
                        '--dry-run').out
    titles = [line.partition('streets_')[2] for line in shown.splitlines() if line.startswith('# [')]
    assert titles == ['cyclegan_mitb0_s0', 'mgcda_mitb0_s0_translated, after [1]', 'mgcda_mitb0_s0_labels',
                      'mgcda_step1_mitb0_s0, after [2], [3]', 'mgcda_mitb0_s0_corrected, after [4]',
                      'mgcda_mitb0_s0, after [4], [2], [5]']


def test_a_step_without_labels_is_refused(configs, refused, tmp_path):
    settings = json.loads(configs['step2'].read_text())
    del settings['data']['train']['source']['translated']
    del settings['data']['train']['target']['pseudo_labels']
    configs['step2'].write_text(json.dumps(settings))
    refused('tools.train', configs['step2'], *ARGS, '--work-dir', tmp_path / 'run',
            parts=('the target has no labels', 'tools/make_pseudo_labels.py'))
