"""Runs as slurm jobs, which go on in the next job when their time is up: an array of those that need nothing,
and one job that waits for others for each that does."""
from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg.utils.errors import UserError
from mmseg.utils.files import write_bytes
from mmseg.utils.project import PROJECT

from .inputs import keep_inputs
from .launch import SECONDS_TO_SAVE, start, training_command
from .programs import program_command
from .runs import SLURM_JOB, Run, is_queued, write_config

DAY = 24 * 60  # minutes
# A training of days in a queue of hours is requeued many times; submitit's own limit is 3.
MOST_TIMEOUTS = 1000


class RunJob:
    """Does the run of a kept config, from its latest checkpoint on or from the start.

    When the scheduler signals that the time is up, submitit calls ``checkpoint``, which has the training
    write one and end, and puts what it returns into the queue again.
    """

    def __init__(self, folder: Path, command: Sequence[str], inputs: Sequence[Path] = ()):
        self.folder, self.command, self.inputs = folder, list(command), tuple(inputs)
        self.directory = os.getcwd()  # relative paths in the config start here
        self._pid: int | None = None

    def __call__(self) -> str:
        """The folder of the finished run.

        Raises:
            RuntimeError: it failed; its last words are in the job's log.
        """
        keep_inputs(self.folder, self.inputs)
        child = start(self.command, cwd=self.directory)
        self._pid = child.pid
        self._wait()
        code = child.wait()
        if code:
            raise RuntimeError(f'{self.folder}: it ended with exit code {code}')
        return str(self.folder)

    def checkpoint(self):
        """End the training and describe the job that goes on with it."""
        from submitit.helpers import DelayedSubmission
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, 15)
            self._wait()
        return DelayedSubmission(RunJob(self.folder, self.command, self.inputs))

    def _wait(self) -> None:
        """Until the training has ended. ``Popen.wait`` has a lock that it may hold when the signal comes, and
        would wait for itself in the signal's handler."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)


def submit(runs: Sequence[Run], settings: Mapping[str, Any], folder: Path) -> list:
    """Submit the runs: as one array, but for those that need others; these wait for them.

    Args:
        runs: none before those that it needs.
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
    jobs: dict[Path, Any] = {}
    alone, others = [run for run in runs if not run.needs], [run for run in runs if run.needs]
    import submitit
    try:
        with executor.batch() if alone else contextlib.nullcontext():
            jobs.update({run.work_dir: executor.submit(_job(run)) for run in alone})
        for run in alone:
            _note(run, jobs[run.work_dir])
        for run in others:
            _wait_for_needed(executor, run, jobs, settings)
            jobs[run.work_dir] = executor.submit(_job(run))
            _note(run, jobs[run.work_dir])
    except (submitit.core.utils.FailedSubmissionError, OSError) as error:
        raise UserError(f'slurm did not take the jobs: {error}') from error
    return [jobs[run.work_dir] for run in runs]


def _note(run: Run, job: Any) -> None:
    """Write down at once which job has a run: the same command leaves it alone though a later one was not
    taken."""
    write_bytes(run.work_dir / SLURM_JOB, f'{job.job_id}\n'.encode())


def _job(run: Run) -> RunJob:
    config = write_config(run).absolute()
    command = program_command(config) if 'program' in run.cfg else training_command(config, run.devices)
    return RunJob(run.work_dir.absolute(), command, run.inputs)


def _wait_for_needed(executor: Any, run: Run, jobs: Mapping[Path, Any], settings: Mapping[str, Any]) -> None:
    """Let the next job begin when those of the runs that ``run`` needs have ended well. If one cannot any
    more, slurm takes the job out of the queue. Where there is no queue, they are waited for here."""
    here = [jobs[folder] for folder in run.needs if folder in jobs]
    if executor.cluster != 'slurm':
        for job in here:
            job.wait()
        return
    earlier = [(folder / SLURM_JOB).read_text().strip() for folder in run.needs
               if folder not in jobs and is_queued(folder)]
    after = ':'.join([*(job.job_id for job in here), *earlier])
    conditions = [settings.get('slurm_dependency'), f'afterok:{after}' if after else None]
    executor.update_parameters(
        slurm_dependency=','.join(filter(None, conditions)) or None,
        slurm_additional_parameters={**settings.get('slurm_additional_parameters', {}),
                                     'kill-on-invalid-dep': 'yes'})


def _executor(runs: Sequence[Run], settings: Mapping[str, Any], folder: Path):
    try:
        import submitit
    except ImportError:
        raise UserError("--machine slurm needs submitit: pip install 'submitit>=1.5,<2'") from None
    settings = dict(settings)
    cluster = settings.pop('cluster', 'slurm')
    devices = max(run.devices for run in runs)
    workers = max(run.cfg.get('data', {}).get('workers_per_gpu', 0) for run in runs)
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
