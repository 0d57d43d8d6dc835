"""Start the real programs in the process of the test, and small configs for them."""
from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import NamedTuple

import pytest
from mmcv.utils import logging as mmcv_logging

from mmseg.utils.config import load_config

ROOT = Path(__file__).resolve().parents[2]
STREETS_TEST = ROOT / 'configs' / 'toy' / 'streets_test.py'
# the small scenes hold some classes with a few pixels only
MIN_PIXELS = 5
SMALL_WH, CROP = (128, 64), (64, 64)
# a network of one narrow block a stage, for tests of what goes on around it
NARROW = {'model.backbone.embed_dims': (4, 8, 20, 16), 'model.backbone.depths': (1, 1, 1, 1),
          'model.decode_head.in_channels': (4, 8, 20, 16), 'model.decode_head.channels': 8,
          'model.decode_head.decoder_params.embed_dims': 8}


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


def write_tiny(streets: Path, path: Path, base: Path | str = STREETS_TEST, **options) -> Path:
    cfg = load_config(ROOT / base)
    shrink(cfg._cfg_dict, streets)
    rcs = cfg.data.train.get('rare_class_sampling')
    if rcs:
        rcs.min_pixels = MIN_PIXELS
    load_config(cfg, {'data.samples_per_gpu': 1, 'data.workers_per_gpu': 0, 'name': 'tiny',
                      'load_from': None,  # the shipped start is that of a wider network
                      **NARROW, **options})
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
