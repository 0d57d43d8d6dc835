"""The folders of training runs: what is kept in them, which are finished, which are being trained."""
from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from glob import escape
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mmseg.checkpoint.files import EVALUATION_DUE
from mmseg.checkpoint.safe_load import read_pickled
from mmseg.checkpoint.weights import load_file
from mmseg.utils.config import load_config
from mmseg.utils.errors import UserError
from mmseg.utils.files import unused_path, write_json

from .inputs import INPUTS, identities, kept_inputs, placeless

# what of a config says where a run works, not what it computes
PLACE_KEYS = ('work_dir', 'resume_from')
SLURM_JOB = 'slurm_job.txt'
LOCK = '.lock'
CONSOLE = 'console.txt'  # what a run says that trains beside others
# of a program: what it makes, that it has made all of it, and the config that it is given
OUTPUT, DONE, OWN_CONFIG = 'output', 'done.json', 'config.json'
LOOK_SECONDS = 1.0
NEW, PARTIAL, RUNNING, FINISHED = 'new', 'partial', 'running', 'finished'


@dataclass(frozen=True)
class Run:
    """One training: its whole config, the config it is a difference from, where it works. A stage of an
    experiment may also be a program: its ``cfg`` has ``program``, a file of this project, and its ``args``.

    ``state`` is NEW, PARTIAL (goes on from its latest checkpoint), RUNNING (another process trains it, or it
    is queued) or FINISHED. ``inputs`` are the files and folders that it takes from the runs in the folders
    ``needs``; ``is_row`` tells a row of its experiment from what is only a stage of one.
    """

    cfg: dict[str, Any]
    base: dict[str, Any]
    work_dir: Path
    state: str = NEW
    inputs: tuple[Path, ...] = ()
    needs: tuple[Path, ...] = ()
    is_row: bool = True

    @property
    def config_file(self) -> Path:
        return self.work_dir / f'{self.work_dir.name}.json'

    @property
    def devices(self) -> int:
        """Number of GPUs that the config asks for."""
        count = self.cfg.get('n_gpus', 1)
        if not isinstance(count, int) or count < 1:
            raise UserError(f"'{self.cfg.get('name')}': n_gpus is {count!r}, expected a number from 1 on")
        return count

    @property
    def output(self) -> Path:
        """What a later stage takes from it: a program's folder, a training's last checkpoint."""
        if 'program' in self.cfg:
            return self.work_dir / OUTPUT
        last = self.work_dir / f'iter_{self.cfg["runner"]["max_iters"]}.pth'
        latest = self.work_dir / 'latest.pth'
        return latest if self.state == FINISHED and not last.is_file() else last


def read(path: str | Path) -> dict[str, Any]:
    """A config file with its base files merged in, as a plain dict."""
    return load_config(path)._cfg_dict.to_dict()


def as_text(cfg: dict) -> str:
    """For comparing: reading turns some of json's lists back into tuples. The folder of another run is known
    by its name, wherever it lies."""
    content = {key: value for key, value in cfg.items() if key not in PLACE_KEYS}
    return json.dumps(placeless(content), sort_keys=True, default=str)


def unique_name(name: str) -> str:
    return f'{datetime.now():%y%m%d_%H%M}_{name}_{uuid.uuid4().hex[:5]}'


def plain_name(folder: str) -> str:
    """The name of the run that a folder's name has, without date and id; another name as it is."""
    return re.sub(r'^\d{6}_\d{4}_(.+)_[0-9a-f]{5}$', r'\1', folder)


def find_kept_config(folder: Path) -> Path:
    """The resolved config in the folder of a run."""
    if not folder.is_dir():
        raise UserError(f"--resume: there is no folder '{folder}'")
    named = folder / f'{folder.resolve().name}.json'
    found = [named] if named.is_file() else [
        path for path in sorted(folder.glob('*.json'))
        if path.name not in (INPUTS, DONE) and not path.name.endswith('.log.json')
        and not path.name.startswith(('eval_', 'env'))]
    if len(found) != 1:
        raise UserError(f"--resume: '{folder}' has {len(found)} config files (*.json), expected one: "
                        'give the folder of a single run')
    return found[0]


def checkpoints(folder: Path) -> dict[int, Path]:
    """Step → ``iter_<step>.pth``, in order."""
    found = {int(match[1]): path for path in folder.glob('iter_*.pth')
             if (match := re.fullmatch(r'iter_(\d+)\.pth', path.name))}
    return dict(sorted(found.items()))


def forget_failed_start(run: Run) -> None:
    """Remove the folder of a new run that failed before it had anything to keep but its config. A console
    stays: it may hold the only traceback."""
    if run.state != NEW or not run.work_dir.is_dir():
        return
    if {path.name for path in run.work_dir.iterdir()} <= {run.config_file.name, LOCK, INPUTS, OWN_CONFIG}:
        shutil.rmtree(run.work_dir)


def can_go_on(folder: Path) -> bool:
    """Whether the folder has a checkpoint, or a part of a program's output."""
    return any((folder / name).exists() for name in ('latest.pth', OUTPUT)) or bool(checkpoints(folder))


def is_done(folder: Path, cfg: dict) -> bool:
    """Whether the folder has the checkpoint of the config's last step, or all of a program's output."""
    if 'program' in cfg:
        return (folder / DONE).is_file() and (folder / OUTPUT).is_dir()
    last = (cfg.get('runner') or {}).get('max_iters')
    found = checkpoints(folder)
    if found:
        # their names say it without reading gigabytes
        return last in found and not _evaluation_is_due(found[last])
    latest = folder / 'latest.pth'
    return latest.is_file() and load_file(str(latest)).get('meta', {}).get('iter') == last


def _evaluation_is_due(checkpoint: Path) -> bool:
    """Whether the evaluation after the last step failed. The tensors are not read."""
    with contextlib.suppress(UserError):
        return bool(read_pickled(str(checkpoint), mmap=True).get('meta', {}).get(EVALUATION_DUE))
    return False


def state_of(folder: Path, cfg: dict) -> str:
    """One of NEW, PARTIAL, RUNNING and FINISHED."""
    if is_done(folder, cfg):
        return FINISHED
    if is_held(folder) or is_queued(folder):
        return RUNNING
    return PARTIAL if can_go_on(folder) else NEW


def earlier_runs(group: Path, cfg: dict) -> dict[Path, str]:
    """The folders below ``group`` whose kept config equals ``cfg``, the newest first, and their states."""
    wanted, found = as_text(cfg), {}
    for folder in sorted(group.glob(f'*_{escape(cfg["name"])}_*'), reverse=True):
        kept = folder / f'{folder.name}.json'
        with contextlib.suppress(UserError):  # a damaged folder is no earlier run
            if kept.is_file() and as_text(read(kept)) == wanted:
                found[folder] = state_of(folder, cfg)
    return found


def find_or_create_run(cfg: dict, base: dict, group: Path, rerun: bool = False,
                       inputs: Sequence[Path] = (), **settings: Any) -> Run:
    """``cfg`` as a run of ``group``: in its earlier folder, unless it left nothing there to go on with, was
    begun with other ``inputs``, or ``rerun`` asks for a new one. ``settings``: further fields of the run."""
    earlier = {} if rerun else earlier_runs(group, cfg)
    settings['inputs'] = tuple(inputs)
    for state in (FINISHED, RUNNING, PARTIAL):
        for folder in (folder for folder, found in earlier.items() if found == state):
            if kept_inputs(folder) in (None, identities(inputs)):
                return Run({**cfg, 'work_dir': str(folder)}, base, folder, state, **settings)
    folder = group / unique_name(cfg['name'])
    return Run({**cfg, 'work_dir': str(folder)}, base, folder, **settings)


def write_config(run: Run) -> Path:
    """Keep the resolved config in the folder of the run; a resumed run's earlier one stays, but for where the
    inputs of a stage lie now."""
    path = run.config_file
    if path.exists() and as_text(read(path)) != as_text(run.cfg):
        path = Path(unused_path(path))
    if not path.exists() or run.inputs:
        write_json(path, run.cfg)
    return path


# ------------------------------------------------------------------- who trains in a folder

@contextlib.contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Inside the block the folder, which is made if need be, is this process's to train in. One that was made
    and has nothing in it afterwards is removed.

    Raises:
        UserError: another process trains in it, or it cannot be made.
    """
    made = not folder.exists()
    lock = _taken(folder)
    try:
        yield
    finally:
        if made and os.listdir(folder) == [LOCK]:
            (folder / LOCK).unlink()
            folder.rmdir()
        lock.release()


def _taken(folder: Path) -> FileLock:
    """The folder's lock. Those who only look whether it is in use have it for a moment."""
    lock = FileLock(folder / LOCK, timeout=LOOK_SECONDS)
    try:
        while True:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            if (folder / LOCK).exists():  # who had it before may have removed the folder
                return lock
            lock.release()
    except Timeout:
        raise UserError(f"'{folder}' is in use: another process trains in it") from None
    except OSError as error:
        raise UserError(f"cannot write into '{folder}': {error.strerror or error}") from error


def is_held(folder: Path) -> bool:
    """Whether a process trains in the folder."""
    if not os.access(folder / LOCK, os.W_OK):
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True


def is_queued(folder: Path) -> bool:
    """Whether slurm still has the job that was submitted for a folder."""
    note = folder / SLURM_JOB
    if not note.is_file() or shutil.which('squeue') is None:
        return False
    command = ['squeue', '--noheader', '--jobs', note.read_text().strip()]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return bool(listed.returncode == 0 and listed.stdout.strip())
