"""The set-up's way of refusing; that it installs is shown by every run of the tests in a fresh clone."""
from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmseg import commands

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / '.ci/setup.sh'


def set_up(**variables: str | Path) -> subprocess.CompletedProcess:
    env = {**os.environ, **{key: str(value) for key, value in variables.items()}}
    return subprocess.run(['sh', SETUP], env=env, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60)


@pytest.fixture
def newer_python(tmp_path) -> Path:
    """An interpreter that says of itself that it is Python 3.13 (the check of the version fails)."""
    path = tmp_path / 'python3.13'
    path.write_text('#!/bin/sh\ncase "$2" in *platform*) echo 3.13.0 ;; *) exit 1 ;; esac\n')
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
    assert_refused(result, '3.13.0', '3.10, 3.11 or 3.12', 'mmcv-full')
    assert not (tmp_path / 'venv').exists()


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
    named = ', '.join(f'3.{minor}' for minor in range(int(low), int(high) - 1)) + f' or 3.{int(high) - 1}'
    assert f"SUPPORTED='{named}'" in SETUP.read_text()
    assert f'(3, {low}) <= sys.version_info[:2] < (3, {high})' in SETUP.read_text()
    assert named in (ROOT / 'README.md').read_text()


@pytest.mark.parametrize('command', ['train', 'test', 'experiments', 'demo'])
def test_console_commands_run_the_programs_of_their_checkout(tmp_path, command):
    project = (ROOT / 'pyproject.toml').read_text()
    [[module, function]] = re.findall(rf'^ebda-{command} = "([\w.]+):(\w+)"$', project, re.MULTILINE)
    code = f'import {module} as m; m.{function}()'
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run([sys.executable, '-c', code, '--help'], cwd=tmp_path, env=env, capture_output=True,
                          text=True, timeout=120)
    program = dict(train='train.py', test='test.py', experiments='run_experiments.py', demo='image_demo.py')
    assert done.returncode == 0 and f'usage: {program[command]}' in done.stdout, done.stderr


def test_a_command_without_its_checkout_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(commands, 'CHECKOUT', tmp_path)
    with pytest.raises(SystemExit) as end:
        commands.train()
    err = capsys.readouterr().err
    assert end.value.code == 1 and err.startswith('error: ') and 'pip install -e .' in err
