"""The wheel, installed into an empty folder and used outside of the checkout."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
# what the build needs of a checkout, and nothing that lies there beside it
SHIPPED = ('configs', 'demo', 'tools', 'experiments.py', 'run_experiments.py', 'test.sh')
SOURCES = (*SHIPPED, 'ebda', 'mmseg', 'LICENSE', 'MANIFEST.in', 'README.md', 'pyproject.toml',
           'requirements.txt', 'setup.py')
START = 'demo/streets_start_mitb0-47aba2bc.pth'


def pip(*words: str | Path) -> None:
    done = subprocess.run([sys.executable, '-m', 'pip', '--disable-pip-version-check', '--no-input', *words],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy2(ROOT / name, source / name)
    pip('wheel', '--no-deps', '--no-build-isolation', '--wheel-dir', folder, source)
    [built] = folder.glob('*.whl')
    return built


@pytest.fixture(scope='module')
def site(wheel) -> Path:
    folder = wheel.parent / 'site'
    pip('install', '--no-deps', '--target', folder, wheel)
    return folder


def call(site: Path, folder: Path, command: str, *words: str | Path) -> subprocess.CompletedProcess:
    """A console command of the installed wheel, in ``folder``."""
    program = [sys.executable] if command == 'python' else [sys.executable, site / 'bin' / command]
    return subprocess.run([*program, *words], cwd=folder, env={**os.environ, 'PYTHONPATH': str(site)},
                          capture_output=True, text=True, timeout=300)


def test_it_carries_library_programs_and_configs_and_nothing_else(wheel):
    def files(name: str) -> set[str]:
        found = [ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob('*')
        return {str(path.relative_to(ROOT)) for path in found
                if path.is_file() and '__pycache__' not in path.parts}

    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if '.dist-info/' not in name}
        about = {Path(name).name: file.read(name).decode() for name in file.namelist() if name not in held}
    entry_points, metadata = about['entry_points.txt'], about['METADATA']
    assert 'mmseg/py.typed' in held
    programs = {f'ebda/{name}' for name in set().union(*map(files, SHIPPED))}
    assert held == files('mmseg') | files('ebda') | programs
    commands = {line.split()[0] for line in entry_points.splitlines() if '=' in line}
    assert commands >= {f'ebda-{name}' for name in ('train', 'test', 'experiments', 'demo', 'report')}
    assert 'mmcv-full==1.7.2' in Parser().parsestr(metadata).get_all('Requires-Dist')


def test_an_image_is_predicted_outside_of_the_checkout(site, tmp_path):
    """Config and checkpoint are those of the wheel; the picture is that of the checkout's network."""
    image = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'street.png'), image)
    done = call(site, tmp_path, 'ebda-demo', 'street.png', 'configs/toy/streets_source_mitb0_s0.py', START,
                '--out', 'overlay.png', '--device', 'cpu')
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(tmp_path / 'overlay.png')).shape == image.shape
    assert sorted(path.name for path in tmp_path.iterdir()) == ['overlay.png', 'street.png']


def test_a_training_starts_from_what_the_wheel_carries(site, tmp_path, streets):
    done = call(site, tmp_path, 'ebda-experiments', '--config', 'configs/toy/streets_source_mitb0_s0.py',
                '--data-root', f'data/streets={streets}', '--options', 'runner.max_iters=1',
                'data.workers_per_gpu=0', 'data.samples_per_gpu=1', 'evaluation.interval=1',
                'checkpoint_config.interval=1')
    assert done.returncode == 0, done.stdout + done.stderr
    assert '1 of 1 runs finished' in done.stdout and 'report: ebda-report ' in done.stdout
    [run] = (tmp_path / 'work_dirs/local-basic').iterdir()
    [environment] = run.glob('*.env.txt')
    assert environment.read_text().startswith('git revision: unknown\n')
    assert (run / 'latest.pth').is_file()

    done = call(site, tmp_path, 'ebda-report', run, '--out', 'report.html')
    assert done.returncode == 0 and (tmp_path / 'report.html').is_file(), done.stderr


def test_stages_are_programs_of_the_wheel(site, tmp_path):
    done = call(site, tmp_path, 'ebda-experiments', '--exp', '130', '--only', 'proda', '--dry-run')
    assert done.returncode == 0, done.stderr
    assert 'python tools/make_pseudo_labels.py' in done.stdout
    config = tmp_path / 'stage/stage.json'
    config.parent.mkdir()
    config.write_text('{"name": "x", "program": "tools/make_pseudo_labels.py", "args": ["--help"]}')
    done = call(site, tmp_path, 'python', '-m', 'mmseg.experiments.programs', config)
    assert done.returncode == 0 and '--references' in done.stdout, done.stderr


def test_beside_mmsegmentation_it_refuses_in_one_line(site, tmp_path):
    other = tmp_path / 'other/mmsegmentation-0.30.0.dist-info'
    other.mkdir(parents=True)
    (other / 'METADATA').write_text('Metadata-Version: 2.1\nName: mmsegmentation\nVersion: 0.30.0\n')
    both = f'{site}{os.pathsep}{other.parent}'
    for command in ('ebda-train', 'ebda-experiments'):
        done = subprocess.run([sys.executable, site / 'bin' / command, '--help'], cwd=tmp_path, timeout=60,
                              env={**os.environ, 'PYTHONPATH': both}, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, '')
        [line] = done.stderr.splitlines()
        assert line.startswith('error: mmsegmentation 0.30.0 is installed here')
    done = subprocess.run([sys.executable, '-c', 'import mmseg'], cwd=tmp_path, timeout=60,
                          env={**os.environ, 'PYTHONPATH': both}, capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith('ImportError: mmsegmentation 0.30.0 and ebda 0.1.0 are both installed')
