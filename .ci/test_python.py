"""Test the package on other Pythons than that of .venv, where they are found; says so where not.

    .venv/bin/python .ci/test_python.py 3.13 3.14

Each gets an environment, .venv-VERSION, with the versions of the packages that .venv has. The libraries of
CUDA are the same for every Python and several GB: they are linked. A few unit tests run: training steps,
losses, the loader's processes, checkpoints; others with TESTS='tests/unit/…' in the environment.
"""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = Path(distribution('torch').locate_file('nvidia'))
LINKED = ('nvidia', 'cuda', 'triton')
TOOLS = ('pytest', 'pytest-timeout', 'hypothesis')
TESTS = ('test_golden_steps', 'test_loader', 'test_checkpoint_files', 'test_losses')


def interpreter(version: str) -> Path | None:
    """python3.X of the path, or the newest of pyenv's."""
    pyenv = Path(os.environ.get('PYENV_ROOT', Path.home() / '.pyenv')) / 'versions'
    found = [shutil.which(f'python{version}'), *sorted(pyenv.glob(f'{version}*/bin/python'), reverse=True)]
    for path in filter(None, found):
        told = subprocess.run([path, '-c', 'import sys; print("%d.%d" % sys.version_info[:2])'],
                              capture_output=True, text=True)
        if told.stdout.strip() == version:  # a shim of pyenv may stand for no Python
            return Path(path)
    return None


def needed(names: list[str], version: str) -> Iterator[str]:
    """What these packages need on that Python, each as NAME==VERSION of this environment."""
    seen: set[str] = set()
    while names:
        name = names.pop().lower().replace('_', '-')
        if name in seen or name.startswith(LINKED):
            continue
        seen.add(name)
        try:
            package = distribution(name)
        except PackageNotFoundError:  # what that Python alone needs
            yield name
            continue
        if name != 'ebda':
            yield f'{name}=={package.version}'
        for requirement in map(Requirement, package.requires or ()):
            marker = requirement.marker
            if marker is None or marker.evaluate({'extra': '', 'python_version': version,
                                                  'python_full_version': f'{version}.0'}):
                names.append(requirement.name)


def make_environment(python: Path, version: str) -> Path:
    """Its interpreter; an environment that is there already is brought up to date."""
    folder = ROOT / f'.venv-{version}'
    own = folder / 'bin/python'
    if not own.exists():
        subprocess.run([python, '-m', 'venv', '--clear', folder], check=True)
    build = [sys.executable, ROOT / '.ci/mmcv_wheel.py', Path(sys.prefix) / 'wheels']
    mmcv = subprocess.run(build, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    packages = [p for p in needed(['ebda', 'setuptools', *TOOLS], version) if not p.startswith('mmcv-full')]
    subprocess.run([sys.executable, ROOT / '.ci/install.py', own, '--no-deps', *packages, mmcv], check=True)
    link = folder / f'lib/python{version}/site-packages/nvidia'
    if LIBRARIES.is_dir() and not link.is_symlink():
        link.symlink_to(LIBRARIES)
    return own


def main(versions: list[str]) -> int:
    failed = []
    for version in versions:
        python = interpreter(version)
        if python is None:
            print(f'Python {version} is not here: not tested with it', flush=True)
            continue
        own = make_environment(python, version)
        print(f'Python {version} ({python}):', flush=True)
        tests = os.environ.get('TESTS', ' '.join(f'tests/unit/{name}.py' for name in TESTS)).split()
        done = subprocess.run([own, '-m', 'pytest', '-p', 'no:cacheprovider', *tests], cwd=ROOT,
                              env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})
        failed += [version] * bool(done.returncode)
    return len(failed)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
