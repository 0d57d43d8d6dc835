"""Training runs as an array of slurm jobs, which go on in the next job when their time is up."""
from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg.utils.errors import UserError
from mmseg.utils.files import write_bytes
from mmseg.utils.project import PROJECT

from .launch import SECONDS_TO_SAVE, start, training_command
from .runs import SLURM_JOB, Run, write_config

DAY = 24 * 60  # minutes
# A training of days in a queue of hours is requeued many times; submitit's own limit is 3.
MOST_TIMEOUTS = 1000


class TrainingJob:
    """Trains the run of a kept config from its latest checkpoint on, or from the start.

    When the scheduler signals that the time is up, submitit calls ``checkpoint``, which has the training
    write one and end, and puts what it returns into the queue again.
    """

    def __init__(self, config: Path, devices: int):
        self.config, self.devices = Path(config).absolute(), devices
        self.directory = os.getcwd()  # relative paths in the config start here
        self._pid: int | None = None

    def __call__(self) -> str:
        """The folder of the finished run.

        Raises:
            RuntimeError: the training failed; its last words are in the job's log.
        """
        folder = self.config.parent
        child = start(training_command(self.config, self.devices), cwd=self.directory)
        self._pid = child.pid
        self._wait()
        code = child.wait()
        if code:
            raise RuntimeError(f'{folder}: the training ended with exit code {code}')
        return str(folder)

    def checkpoint(self):
        """End the training and describe the job that goes on with it."""
        from submitit.helpers import DelayedSubmission
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, 15)
            self._wait()
        return DelayedSubmission(TrainingJob(self.config, self.devices))

    def _wait(self) -> None:
        """Until the training has ended. ``Popen.wait`` has a lock that it may hold when the signal comes, and
        would wait for itself in the signal's handler."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)


def submit(runs: Sequence[Run], settings: Mapping[str, Any], folder: Path) -> list:
    """Submit the runs as one array.

    Args:
        settings: of submitit's ``AutoExecutor``, e.g. ``timeout_min``, ``slurm_partition``;
            ``cluster='local'`` runs the jobs on this machine.
        folder: of the jobs' logs.

    Returns:
        submitit's jobs, in the order of ``runs``.

    Raises:
        UserError: submitit is not installed, or it or slurm does not accept the settings.
    """
    if not runs:
        return []
    executor = _executor(runs, settings, folder)
    # where the package is not installed, the jobs find that of this checkout
    paths = [str(PROJECT), os.environ.get('PYTHONPATH')]
    os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, paths))
    import submitit
    try:
        with executor.batch():
            jobs = [executor.submit(TrainingJob(write_config(run), run.devices)) for run in runs]
    except (submitit.core.utils.FailedSubmissionError, OSError) as error:
        raise UserError(f'slurm did not take the jobs: {error}') from error
    for run, job in zip(runs, jobs):
        write_bytes(run.work_dir / SLURM_JOB, f'{job.job_id}\n'.encode())
    return jobs


def _executor(runs: Sequence[Run], settings: Mapping[str, Any], folder: Path):
    try:
        import submitit
    except ImportError:
        raise UserError("--machine slurm needs submitit: pip install 'submitit>=1.5,<2'") from None
    settings = dict(settings)
    cluster = settings.pop('cluster', 'slurm')
    devices = max(run.devices for run in runs)
    workers = max(run.cfg['data'].get('workers_per_gpu', 0) for run in runs)
    defaults = dict(name=folder.parent.name, timeout_min=DAY, gpus_per_node=devices,
                    cpus_per_task=devices * (workers + 1), slurm_signal_delay_s=SECONDS_TO_SAVE)
    try:
        executor = submitit.AutoExecutor(folder, cluster, slurm_max_num_timeout=MOST_TIMEOUTS,
                                         local_max_num_timeout=MOST_TIMEOUTS)
        executor.update_parameters(**{**defaults, **settings})
    # RuntimeError: there is no srun here
    except (NameError, ValueError, AssertionError, TypeError, RuntimeError) as error:
        raise UserError(f'--slurm {_as_typed(settings, cluster)}: {error}') from error
    return executor


def _as_typed(settings: Mapping[str, Any], cluster: str) -> str:
    return ' '.join(f'{key}={value}' for key, value in {'cluster': cluster, **settings}.items())
