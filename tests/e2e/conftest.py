"""Street scenes that are drawn once, and fixtures that start the real programs on them in this process."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from programs import STREETS_TEST, Ended, check_refusal, forget_loggers, start, state_of_files, write_tiny

# train and val images of each domain
SCENES = ['--train', '6', '--val', '2', '--test', '2', '--size', '128x64', '--seed', '3', '--nproc', '1']


@pytest.fixture(autouse=True)
def determinism_left_as_it_was(monkeypatch):
    """A program with --deterministic ends with its process, which is this one here."""
    monkeypatch.delenv('CUBLAS_WORKSPACE_CONFIG', raising=False)
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic
    yield
    torch.use_deterministic_algorithms(before[0])
    torch.backends.cudnn.deterministic = before[1]


@pytest.fixture
def run_program(capsys, monkeypatch, tmp_path):
    """Start a program in an empty folder, as a user would; see :func:`start`."""
    monkeypatch.chdir(tmp_path)

    def run(program: str, *argv, code: int = 0) -> Ended:
        capsys.readouterr()
        ended = Ended(start(program, *argv), *capsys.readouterr())
        assert ended.code == code, ended.out + ended.err
        return ended

    yield run
    forget_loggers()


@pytest.fixture
def refused(run_program, tmp_path):
    """Starts a program that has to end as :func:`check_refusal` wants. Files that were there stay as they
    are, and no checkpoint is added."""

    def refuse(program: str, *argv, parts: tuple = ()) -> None:
        before = state_of_files(tmp_path)
        check_refusal(run_program(program, *argv, code=1), *parts)
        after = state_of_files(tmp_path)
        assert {path: after.get(path) for path in before} == before
        assert not [path for path in after.keys() - before.keys() if path.endswith('.pth')]

    return refuse


@pytest.fixture(autouse=True)
def one_thread():
    """Sums of one thread have one order, so numbers can be compared to the bit."""
    threads, deterministic = torch.get_num_threads(), torch.backends.cudnn.benchmark
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = deterministic


@pytest.fixture(scope='session')
def streets(tmp_path_factory) -> Path:
    """The folder of both domains, converted. Shared: nobody writes into it."""
    root = tmp_path_factory.mktemp('data') / 'streets'
    assert start('tools.make_synthetic_streets', root, *SCENES) == 0
    assert start('tools.convert_datasets.cityscapes', root / 'cityscapes', '--nproc', '1') == 0
    return root


@pytest.fixture(scope='session')
def streets_with_references(tmp_path_factory) -> Path:
    """As ``streets``, with clear pictures of the adverse places."""
    root = tmp_path_factory.mktemp('pairs') / 'streets'
    assert start('tools.make_synthetic_streets', root, *SCENES, '--references') == 0
    assert start('tools.convert_datasets.cityscapes', root / 'cityscapes', '--nproc', '1') == 0
    return root


@pytest.fixture
def tiny(streets, tmp_path):
    """Writes a training config for 128x64 scenes and 64x64 crops, and gives its path."""
    def write(base: Path | str = STREETS_TEST, name: str = 'tiny.json', **options) -> Path:
        return write_tiny(streets, tmp_path / name, base, **options)

    return write
