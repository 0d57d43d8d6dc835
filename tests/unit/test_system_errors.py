"""What the system refuses ends a program in one line; a bug keeps its traceback."""
from __future__ import annotations

import errno
import gc
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tqdm import tqdm

from mmseg.utils import UserError, get_root_logger, one_line_errors

ROOT = Path(__file__).resolve().parents[2]


def test_a_log_on_a_full_disk_is_one_line(capsys, tmp_path):
    @one_line_errors
    def program():
        logger = get_root_logger('/dev/full')
        try:
            logger.info('a line')
        finally:
            for handler in [h for h in logger.handlers if isinstance(h, logging.FileHandler)]:
                logger.removeHandler(handler)

    logging.getLogger('mmseg').handlers.clear()
    from mmcv.utils import logging as mmcv_logging
    mmcv_logging.logger_initialized.pop('mmseg', None)
    with pytest.raises(SystemExit) as end:
        program()
    mmcv_logging.logger_initialized.pop('mmseg', None)
    logging.getLogger('mmseg').handlers.clear()
    assert end.value.code == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if ' - mmseg - ' not in line]
    assert len(lines) == 1 and 'error: cannot write' in lines[0] and 'No space left' in lines[0]


def test_other_errors_of_the_system_keep_their_traceback():
    @one_line_errors
    def program():
        raise OSError(errno.EINVAL, 'a mistake of ours')

    with pytest.raises(OSError, match='ours'):
        program()


def test_an_error_has_a_line_of_its_own_below_a_bar(capsys):
    """As in an evaluation that is interrupted while its bar is open and somebody holds it."""
    bar = tqdm(total=10, mininterval=0)
    bar.update()

    @one_line_errors
    def program():
        raise UserError('a mistake')

    with pytest.raises(SystemExit):
        program()
    assert capsys.readouterr().err.endswith('\nerror: a mistake\n')
    bar.close()


@pytest.mark.parametrize('main', ["lambda: print('text')", "lambda: [print('text'), sys.exit(0)]"])
def test_what_nobody_reads_any_more_is_no_error(main, monkeypatch):
    """Small output is written when the program ends, and head may have ended before."""
    monkeypatch.delenv('PYTHONUNBUFFERED', raising=False)
    code = f"import runpy, sys; runpy.run_path('mmseg/utils/errors.py')['one_line_errors']({main})()"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b'')


def test_a_program_collects_garbage_once_it_has_imported_all():
    """What it has imported is left out; a main function called by Python changes nothing of that."""
    seen = []

    @one_line_errors
    def program():
        seen.append((gc.isenabled(), gc.get_freeze_count() > 1000))

    gc.unfreeze()
    gc.disable()
    try:
        for _ in range(2):
            with pytest.raises(SystemExit):
                program()
            gc.unfreeze()
    finally:
        gc.enable()
    assert seen == [(True, True), (True, False)]
