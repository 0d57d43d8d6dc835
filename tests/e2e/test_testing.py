"""The testing programs as a user starts them."""
from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest
from programs import ROOT, start
from tiny_run import NAMES, SIZE_HW, make_run


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp('a run'))


def run(*command, code=0):
    # found there also where the package is not installed
    env = {**os.environ, 'PYTHON': sys.executable, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=env, text=True,
                          capture_output=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout, done.stderr


def test_test_sh_scores_and_paints(run_dir):
    out, err = run('sh', 'test.sh', f'{run_dir}/')
    [result] = [json.loads(p.read_text()) for p in run_dir.glob('eval_*.json')]
    assert out.splitlines()[-1] == f"mIoU: {100 * result['scores']['mIoU']:.2f} %"
    assert 'Traceback' not in err and '3/3' in err  # the progress bar
    assert all((run_dir / 'preds' / f'{name}_leftImg8bit.png').is_file() for name in NAMES)


def test_two_processes_find_what_one_finds(run_dir, tmp_path):
    def arguments(name: str) -> list:
        return [run_dir / 'run.json', run_dir / 'latest.pth', '--eval', 'mIoU', '--device', 'cpu',
                '--work-dir', tmp_path / name, '--out', tmp_path / f'{name}.pkl']

    assert start('tools.test', *arguments('one')) == 0
    run(sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2', 'tools/test.py',
        *arguments('two'))
    one, two = (json.loads(next((tmp_path / n).glob('*.json')).read_text()) for n in ('one', 'two'))
    assert one['confusion_matrix'] == two['confusion_matrix'] and one['scores'] == two['scores']
    maps = [pickle.loads((tmp_path / f'{n}.pkl').read_bytes()) for n in ('one', 'two')]
    np.testing.assert_array_equal(*maps)


def test_the_image_demo_writes_its_picture(run_dir, tmp_path):
    img = run_dir.parent / 'data' / 'leftImg8bit' / 'val' / f'{NAMES[0]}_leftImg8bit.png'
    demo = [sys.executable, '-m', 'demo.image_demo']
    out, _ = run(*demo, img, run_dir / 'run.json', run_dir / 'latest.pth', '--palette', 'cityscapes',
                 '--out', tmp_path / 'o.png', '--device', 'cpu')
    assert f"overlay written to {tmp_path / 'o.png'}" in out
    assert cv2.imread(str(tmp_path / 'o.png')).shape == (*SIZE_HW, 3)
