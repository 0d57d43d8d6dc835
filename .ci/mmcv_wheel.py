"""Build the wheel of mmcv-full 1.7.2, mended for the Pythons and the setuptools of today; prints its path.

    python .ci/mmcv_wheel.py [FOLDER]

The source archive comes by pip, which checks its hash. Three things of it are mended: its setup.py reads
the version from what ``exec`` left in ``locals()``, which Python 3.13 no longer has; ``pkgutil.find_loader``
is gone in Python 3.14; and ``pkg_resources``, which setup.py imports, is gone in setuptools 81. Its compiled
ops are left out, since torch is not there when it is built: the wheel is pure Python and serves every
version. One that lies in FOLDER (default: build/wheels) already is taken.
"""
from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = ('mmcv-full==1.7.2 --hash=sha256:'
          'aa276a2c68fa84db9bbcdcf6ae941e30f0cb4a7f175bd283516669e00bab3759\n')
NAME = 'mmcv_full-1.7.2-*.whl'
FOLDER = Path(__file__).resolve().parents[1] / 'build' / 'wheels'
MENDED = {
    'setup.py': ('    with open(version_file, encoding=\'utf-8\') as f:\n'
                 '        exec(compile(f.read(), version_file, \'exec\'))\n'
                 '    return locals()[\'__version__\']\n',
                 '    names = {}\n'
                 '    with open(version_file, encoding=\'utf-8\') as f:\n'
                 '        exec(compile(f.read(), version_file, \'exec\'), names)\n'
                 '    return names[\'__version__\']\n'),
    'mmcv/utils/ext_loader.py': ('    ext_loader = pkgutil.find_loader(\'mmcv._ext\')\n',
                                 '    ext_loader = importlib.util.find_spec(\'mmcv._ext\')\n'),
}
BUILD_SYSTEM = ('[build-system]\n'
                'requires = ["setuptools<81", "wheel"]\n'
                'build-backend = "setuptools.build_meta:__legacy__"\n')


def pip(*arguments: str, **settings) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--no-input', *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **settings)


def fetch(folder: Path) -> Path:
    """The unpacked source archive, in ``folder``.

    pip asks every source archive that it downloads for its metadata, which runs the very setup.py that is to
    be mended. Whether that fails is of no interest: with --no-clean the source stays where it was unpacked.
    """
    requirements = folder / 'requirements.txt'
    requirements.write_text(SOURCE)
    done = pip('download', '--no-deps', '--no-binary', 'mmcv-full', '--no-build-isolation', '--no-clean',
               '--requirement', str(requirements), '--dest', str(folder / 'archive'),
               env={**os.environ, 'TMPDIR': str(folder)})
    for setup in folder.glob('pip-*/mmcv-full_*/setup.py'):
        return setup.parent
    sys.exit(f"{done.stdout}error: the source archive of mmcv-full could not be had (pip's message is above)")


def mend(source: Path) -> None:
    for name, (old, new) in MENDED.items():
        text = (source / name).read_text(encoding='utf-8')
        if text.count(old) != 1:
            sys.exit(f'error: {name} of mmcv-full is not the one that is to be mended')
        text = text.replace(old, new).replace('import pkgutil\n', 'import importlib.util\n')
        (source / name).write_text(text, encoding='utf-8')
    (source / 'pyproject.toml').write_text(BUILD_SYSTEM)


def build(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        source = fetch(Path(work))
        mend(source)
        done = pip('wheel', '--no-deps', '--wheel-dir', work, str(source))
        if done.returncode:
            sys.exit(f"{done.stdout}error: mmcv-full could not be built (pip's message is above)")
        [wheel] = Path(work).glob(NAME)
        wheel.rename(folder / wheel.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', nargs='?', type=Path, default=FOLDER,
                        help='for the wheel (default: %(default)s)')
    folder = parser.parse_args().folder
    if not list(folder.glob(NAME)):
        build(folder)
    [wheel] = folder.glob(NAME)
    print(wheel)


if __name__ == '__main__':
    main()
