"""test.sh finds the files of a run and hands them on, under every shell at hand."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHELLS = [shell for shell in ('dash', 'bash', 'sh', 'ksh', 'zsh') if shutil.which(shell)]


@pytest.fixture
def run_dir(tmp_path):
    """A run's folder, with a space in its path; PYTHON prints its arguments one a line."""
    folder = tmp_path / 'local basic' / '261122_run_1a2b'
    folder.mkdir(parents=True)
    for name in (f'{folder.name}.json', '20261122.log.json', 'eval_latest_1.json', 'environment.json',
                 'latest.pth'):
        (folder / name).write_text('{}')
    (tmp_path / 'python').write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / 'python').chmod(0o755)
    return folder


def call(shell, run_dir, *args, cwd=ROOT):
    env = {**os.environ, 'PYTHON': str(run_dir.parents[1] / 'python')}
    return subprocess.run([shell, str(ROOT / 'test.sh'), *args], cwd=cwd, env=env, text=True,
                          capture_output=True, check=False)


def expected(run_dir, config, checkpoint, *more):
    return [str(ROOT / 'tools/test.py'), f'{run_dir}/{config}', f'{run_dir}/{checkpoint}', '--eval',
            'mIoU', '--show-dir', f'{run_dir}/preds', '--opacity', '1', *more]


@pytest.mark.parametrize('slash', ['', '/', '//'])
@pytest.mark.parametrize('shell', SHELLS)
def test_the_runs_own_files_are_tested(run_dir, shell, slash):
    done = call(shell, run_dir, f'{run_dir}{slash}', '--options', 'a=b c')
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[3:] == expected(
        run_dir, f'{run_dir.name}.json', 'latest.pth', '--options', 'a=b c')


@pytest.mark.parametrize('shell', SHELLS)
@pytest.mark.parametrize('more', [('--format-only',), ('--submission', 'acdc'), ('--submission=acdc',)])
def test_without_scores_where_labels_are_not_needed(run_dir, shell, more):
    given = call(shell, run_dir, str(run_dir), *more).stdout.splitlines()
    assert '--eval' not in given and given[-len(more):] == list(more)


@pytest.mark.parametrize('shell', SHELLS)
def test_relative_folders_and_the_folder_itself(run_dir, shell):
    for cwd, name in ((run_dir.parent, run_dir.name), (run_dir, '.')):
        done = call(shell, run_dir, name, cwd=cwd)
        assert f'{name}/{run_dir.name}.json' in done.stdout.splitlines()


def test_a_renamed_folder_still_has_its_config(run_dir):
    moved = run_dir.rename(run_dir.with_name('renamed'))
    done = call('sh', moved, str(moved))
    assert done.stdout.splitlines()[3:] == expected(moved, f'{run_dir.name}.json', 'latest.pth')


def test_the_best_checkpoint_stands_in_for_the_last_one(run_dir):
    (run_dir / 'latest.pth').rename(run_dir / 'best_mIoU_iter_40.pth')
    done = call('sh', run_dir, str(run_dir))
    assert f'{run_dir}/best_mIoU_iter_40.pth' in done.stdout.splitlines()


@pytest.mark.parametrize('shell', SHELLS)
@pytest.mark.parametrize('spoil, message', [
    (lambda d: shutil.rmtree(d), 'does not exist'),
    (lambda d: (d / 'latest.pth').unlink(), 'holds no checkpoint'),
    (lambda d: (d / f'{d.name}.json').unlink(), 'holds no config'),
    (lambda d: [(d / f'{d.name}.json').rename(d / 'a.json'), (d / 'b.py').touch()], 'several configs')])
def test_what_is_missing_is_told_in_one_line(run_dir, shell, spoil, message):
    spoil(run_dir)
    done = call(shell, run_dir, str(run_dir))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and message in done.stderr
    assert done.stderr.startswith('error: ')


def test_without_a_folder_the_usage_is_shown(run_dir):
    done = call('sh', run_dir)
    assert done.returncode == 1 and 'usage: sh test.sh' in done.stderr


def test_the_programs_exit_code_is_passed_on(run_dir):
    (run_dir.parents[1] / 'python').write_text('#!/bin/sh\nexit 3\n')
    assert call('sh', run_dir, str(run_dir)).returncode == 3
