"""The set-up's way of refusing; that it installs is shown by every run of the tests in a fresh clone."""
from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ebda import commands
from mmseg.utils import ArgumentParser
from mmseg.utils.project import shipped

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / '.ci/setup.sh'
_SPEC = importlib.util.spec_from_file_location('install', ROOT / '.ci/install.py')
install = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(install)


def set_up(**variables: str | Path) -> subprocess.CompletedProcess:
    env = {**os.environ, **{key: str(value) for key, value in variables.items()}}
    return subprocess.run(['sh', SETUP], env=env, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60)


@pytest.fixture
def newer_python(tmp_path) -> Path:
    """An interpreter that says of itself that it is Python 3.15 (the check of the version fails)."""
    path = tmp_path / 'python3.15'
    path.write_text('#!/bin/sh\ncase "$2" in *platform*) echo 3.15.0 ;; *) exit 1 ;; esac\n')
    path.chmod(0o755)
    return path


def assert_refused(result: subprocess.CompletedProcess, *words: str) -> None:
    assert result.returncode == 1
    assert result.stdout == ''
    assert re.fullmatch(r'error: .*\n', result.stderr)
    for word in words:
        assert word in result.stderr


def test_a_newer_python_is_refused_in_one_line(tmp_path, newer_python):
    result = set_up(PYTHON=newer_python, VENV=tmp_path / 'venv')
    assert_refused(result, '3.15.0', '3.10, 3.11, 3.12, 3.13 or 3.14')
    assert not (tmp_path / 'venv').exists()


@pytest.fixture
def unsupported_alone(tmp_path) -> Path:
    """A folder of commands where every python is too new, and what the set-up needs beside it."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    for minor in ('', '3', *(f'3.{minor}' for minor in range(10, 15))):
        script(folder / f'python{minor}', 'case "$2" in *platform*) echo 3.15.0 ;; *) exit 1 ;; esac')
    for tool in ('sh', 'dirname', 'cat', 'cksum'):
        (folder / tool).symlink_to(shutil.which(tool))
    return folder


def script(path: Path, text: str) -> None:
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)


def test_without_a_supported_python_uv_is_named(tmp_path, unsupported_alone):
    result = set_up(PATH=unsupported_alone, PYTHON='', VENV=tmp_path / 'venv')
    assert_refused(result, 'found is 3.15.0', 'uv', 'PYTHON=')


def test_without_a_supported_python_uv_fetches_one(tmp_path, unsupported_alone):
    """It makes the environment with the interpreter that uv names; here that one writes what it is asked."""
    fetched = tmp_path / 'fetched'
    script(fetched, f'[ "$1" = -c ] && exit 0; echo "$@" >>{tmp_path}/asked; exit 1')
    script(unsupported_alone / 'uv', f'echo "$@" >>{tmp_path}/uv; [ "$2" = find ] && echo {fetched}; exit 0')
    result = set_up(PATH=unsupported_alone, PYTHON='', VENV=tmp_path / 'venv')
    assert (tmp_path / 'uv').read_text() == 'python install 3.12\npython find --managed-python 3.12\n'
    assert 'uv fetches Python 3.12' in result.stdout and f'({fetched})' in result.stdout
    assert (tmp_path / 'asked').read_text().splitlines()[-1] == f'-m venv --clear {tmp_path}/venv'
    assert result.returncode == 1 and 'could not create' in result.stderr


def test_uv_that_cannot_fetch_is_told_in_one_line(tmp_path, unsupported_alone):
    script(unsupported_alone / 'uv', 'exit 2')
    result = set_up(PATH=unsupported_alone, PYTHON='', VENV=tmp_path / 'venv')
    assert result.returncode == 1 and re.fullmatch('error: uv could not fetch.*\n', result.stderr)


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path):
    mine = tmp_path / 'a folder/notes.txt'
    mine.parent.mkdir()
    mine.write_text('mine')
    assert_refused(set_up(VENV=mine.parent), str(mine.parent), 'no virtual environment')
    assert mine.read_text() == 'mine'


def test_supported_versions_are_those_of_the_package():
    """setup.sh, pyproject.toml and the README name the same versions of Python."""
    project = (ROOT / 'pyproject.toml').read_text()
    low, high = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', project).groups()
    for minor in range(int(low), int(high)):
        assert f'"Programming Language :: Python :: 3.{minor}"' in project
    named = ', '.join(f'3.{minor}' for minor in range(int(low), int(high) - 1)) + f' or 3.{int(high) - 1}'
    assert f"SUPPORTED='{named}'" in SETUP.read_text()
    assert f'(3, {low}) <= sys.version_info[:2] < (3, {high})' in SETUP.read_text()
    assert named in (ROOT / 'README.md').read_text()


# as `pip config list` of pip 24 prints it
CONFIGURED = '''global.constraint='/etc/pip/constraints.txt'
global.extra-index-url='https://one.example/simple https://two.example/simple'
global.cert='/etc/ssl/ours.pem'
install.extra-index-url='https://three.example/simple'
download.find-links='/not/for/install'
:env:.cert='/home/me/mine.pem'
:env:.no-input='1'
'''


@pytest.fixture
def installation(monkeypatch):
    """Installs with a uv that ends with a code, and gives the commands that ran, with their variables."""
    def run(uv_ends_with: int, configured: str = CONFIGURED) -> list[tuple[list[str], dict]]:
        commands = []

        def recorded(command, env=None, **settings):
            commands.append((command, env))
            ended = uv_ends_with if Path(command[0]).name == 'uv' else 0
            return subprocess.CompletedProcess(command, ended, stdout=configured)

        monkeypatch.setattr(install.subprocess, 'run', recorded)
        assert install.main('/venv/bin/python', '--no-deps', 'torch') == 0
        return commands[2:]  # after `pip install uv` and `pip config list`

    monkeypatch.delenv('PYTHONDONTWRITEBYTECODE', raising=False)
    return run


def test_uv_installs_what_pip_would(installation):
    """The settings of `pip install`, where the user's environment comes before the user's files."""
    [(command, variables)] = installation(uv_ends_with=0)
    assert Path(command[0]) == Path(sys.executable).with_name('uv')
    assert command[1:5] == ['pip', 'install', '--python', '/venv/bin/python']
    assert command[command.index('unsafe-best-match') + 1:] == [
        '--constraint', '/etc/pip/constraints.txt', '--index', 'https://three.example/simple',
        '--no-deps', 'torch']
    assert variables['SSL_CERT_FILE'] == '/home/me/mine.pem'


def test_where_uv_fails_pip_installs(installation, capsys):
    (first, _), (second, _) = installation(uv_ends_with=2)
    assert first[1:3] == ['pip', 'install'] and second[:3] == ['/venv/bin/python', '-m', 'pip']
    assert second[-3:] == ['--no-compile', '--no-deps', 'torch']
    assert capsys.readouterr().out == 'uv could not install them (its message is above): pip does\n'


def test_a_setting_that_uv_does_not_have_leaves_the_work_to_pip(installation):
    [(command, _)] = installation(uv_ends_with=0, configured="global.no-binary=':all:'\n")
    assert command[:3] == ['/venv/bin/python', '-m', 'pip']


def test_where_python_may_not_keep_what_it_compiles_all_is_compiled(installation, monkeypatch):
    monkeypatch.setenv('PYTHONDONTWRITEBYTECODE', '1')
    (first, _), (second, _) = installation(uv_ends_with=1)
    assert '--compile-bytecode' in first and '--compile' in second


PROGRAMS = dict(train='train.py', test='test.py', experiments='run_experiments.py', demo='image_demo.py',
                report='report.py')


@pytest.mark.parametrize('command', PROGRAMS)
def test_console_commands_run_the_programs_of_the_project(monkeypatch, capsys, command):
    project = (ROOT / 'pyproject.toml').read_text()
    [[module, function]] = re.findall(rf'^ebda-{command} = "([\w.]+):(\w+)"$', project, re.MULTILINE)
    monkeypatch.setattr(sys, 'path', [*sys.path])
    monkeypatch.setattr(sys, 'argv', [f'/usr/bin/ebda-{command}', '--help'])
    monkeypatch.setattr(ArgumentParser, 'commands', {})
    with pytest.raises(SystemExit) as end:
        getattr(importlib.import_module(module), function)()
    assert end.value.code == 0
    assert ArgumentParser.commands == {PROGRAMS[command]: f'ebda-{command}'}
    assert capsys.readouterr().out.startswith(f'usage: ebda-{command} '), 'the help calls it as it was called'


def test_any_program_of_tools_has_a_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'path', [*sys.path])
    monkeypatch.setattr(ArgumentParser, 'commands', {})
    monkeypatch.setattr(sys, 'argv', ['ebda'])
    commands.any_program()
    listed = capsys.readouterr().out.split()
    assert 'tools/convert_datasets/cityscapes.py' in listed and 'tools/print_config.py' in listed

    monkeypatch.setattr(sys, 'argv', ['ebda', 'tools/print_config.py', '--help'])
    with pytest.raises(SystemExit) as end:
        commands.any_program()
    assert end.value.code == 0 and 'usage: ebda tools/print_config.py ' in capsys.readouterr().out

    monkeypatch.setattr(sys, 'argv', ['ebda', 'tools/no_such.py'])
    with pytest.raises(SystemExit, match="^error: there is no program 'tools/no_such.py'"):
        commands.any_program()


def test_what_the_project_ships_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = 'configs/toy/streets_source_mitb0_s0.py'
    assert shipped(config) == str(ROOT / config)
    assert shipped('configs/no_such.py') == 'configs/no_such.py'
    (tmp_path / config).parent.mkdir(parents=True)
    (tmp_path / config).touch()
    assert shipped(config) == config  # the user's own goes first
