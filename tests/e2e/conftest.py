"""Street scenes that are drawn once, and what starts the real programs on them in this process."""
from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from mmcv.utils import logging as mmcv_logging

ROOT = Path(__file__).resolve().parents[2]
STREETS_TEST = ROOT / 'configs' / 'toy' / 'streets_test.py'
# train and val images of each domain; a few small scenes hold some classes with a few pixels only
SCENES = ['--train', '6', '--val', '2', '--test', '2', '--size', '128x64', '--seed', '3', '--nproc', '1']
MIN_PIXELS = 5
SMALL_WH, CROP = (128, 64), (64, 64)


class Ended(NamedTuple):
    """How a program ended."""

    code: int
    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        """The lines of stderr that are neither a log line nor a progress bar."""
        return [line for line in self.err.replace('\r', '\n').splitlines()
                if line.strip() and ' - mmseg - ' not in line and '%|' not in line]


def start(program: str, *argv) -> int:
    """Run the main function of a program, e.g. 'tools.train'; its exit code."""
    forget_loggers()
    with pytest.raises(SystemExit) as end:
        importlib.import_module(program).main([str(word) for word in argv])
    return end.value.code


def forget_loggers() -> None:
    """As in a new process: the next logger has a file of its own."""
    logger = logging.getLogger('mmseg')
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    mmcv_logging.logger_initialized.pop('mmseg', None)


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


def state_of_files(*folders: Path) -> dict[str, tuple]:
    """What changes when a file is written again."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns, path.stat().st_ino)
            for folder in folders for path in folder.rglob('*') if path.is_file()}


def check_refusal(ended: Ended, *parts) -> None:
    """One line on stderr, which holds all of ``parts``; log lines may stand before it."""
    assert ended.code in (1, 2), ended
    assert len(ended.complaints) == 1, ended.err
    [line] = ended.complaints
    assert line.startswith('error: ') and 'Traceback' not in ended.out + ended.err
    assert all(str(part) in line for part in parts), line


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


def write_tiny(streets: Path, path: Path, base: Path | str = STREETS_TEST, **options) -> Path:
    from mmseg.utils.config import load_config

    cfg = load_config(ROOT / base)
    shrink(cfg._cfg_dict, streets)
    rcs = cfg.data.train.get('rare_class_sampling')
    if rcs:
        rcs.min_pixels = MIN_PIXELS
    load_config(cfg, {'data.samples_per_gpu': 1, 'data.workers_per_gpu': 0, 'name': 'tiny',
                      'load_from': None,  # the shipped start is that of a wider network
                      'model.decode_head.channels': 16,
                      'model.decode_head.decoder_params.embed_dims': 16, **options})
    cfg.dump(str(path))
    return path


def shrink(node, streets: Path) -> None:
    """Put the sizes and folders of the tests into a config, in place."""
    if isinstance(node, dict):
        if 'img_scale' in node:
            node['img_scale'] = SMALL_WH
        if node.get('type') == 'RandomCrop':
            node['crop_size'] = CROP
        if node.get('type') == 'Pad':
            node['size'] = CROP
        if str(node.get('data_root', '')).startswith('data/streets'):
            node['data_root'] = str(streets) + node['data_root'].removeprefix('data/streets')
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ():
        shrink(child, streets)
