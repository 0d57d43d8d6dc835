"""What a failed start leaves, and where scores go."""
from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmseg.experiments.runs import CONSOLE, LOCK, NEW, PARTIAL, forget_failed_start
from run_experiments import parse_args
from tools import test as program

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('state, more, stays', [
    (NEW, (), False), (NEW, (LOCK,), False), (NEW, (CONSOLE,), True), (NEW, ('mine.txt',), True),
    (PARTIAL, (), True)])
def test_only_a_folder_with_nothing_but_its_config_goes(tmp_path, state, more, stays):
    folder = tmp_path / 'run'
    folder.mkdir()
    for name in ('run.json', *more):
        (folder / name).touch()
    forget_failed_start(SimpleNamespace(state=state, work_dir=folder, config_file=folder / 'run.json'))
    assert folder.exists() == stays


@pytest.mark.parametrize('name', ['--options', '--cfg-options'])
def test_the_launcher_takes_both_names_of_options(name):
    assert parse_args(['--exp', '1', name, 'a=1', 'b=2']).options == {'a': 1, 'b': 2}


@pytest.mark.parametrize('checkpoint, folder', [
    (ROOT / 'demo/net.pth', 'work_dirs/tests/net'), (ROOT / 'work_dirs/a/latest.pth', ROOT / 'work_dirs/a'),
    ('/elsewhere/net.pth', '/elsewhere')])
def test_scores_are_not_written_among_the_files_of_the_project(checkpoint, folder):
    assert program.result_dir(Namespace(work_dir=None, checkpoint=[str(checkpoint)])) == str(folder)
