"""Experiment trackers: TensorBoard, Weights & Biases and MLflow, with the training's pictures.

mmcv's hooks, made to work with the packages of today; a picture goes to those that have ``log_picture``.
"""
from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmcv import runner as mmcv_hooks
from mmcv.runner import HOOKS, master_only
from PIL import Image

from mmseg.utils import UserError


def log_picture(runner: Any, name: str, path: str) -> None:
    """Show a picture in the trackers of a run, at the step that is being made."""
    for hook in runner.hooks:
        if hasattr(hook, 'log_picture'):
            hook.log_picture(runner, name, path)


def pixels_of(path: str) -> np.ndarray:
    """RGB uint8 (H W 3)."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert('RGB'))


@contextlib.contextmanager
def refusals_told(package: str, hint: str) -> Iterator[None]:
    """What a tracker's own package raises in the block, such as a missing login, is for the user to mend."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.split('.')[0] != package:
            raise
        raise UserError(f"{package} refuses to start: {' '.join(str(error).split())} ({hint})") from error


@HOOKS.register_module(force=True)
class TensorboardLoggerHook(mmcv_hooks.TensorboardLoggerHook):
    """Event files in ``tf_logs`` of the run's folder."""

    @master_only
    def log_picture(self, runner: Any, name: str, path: str) -> None:
        self.writer.add_image(name, pixels_of(path), self.get_iter(runner), dataformats='HWC')


@HOOKS.register_module(force=True)
class WandbLoggerHook(mmcv_hooks.WandbLoggerHook):
    """A run named as the run's folder, where its files lie too; ``init_kwargs`` are of ``wandb.init``."""

    @master_only
    def before_run(self, runner: Any) -> None:
        self.init_kwargs = {'dir': runner.work_dir, 'name': _name_of(runner), **(self.init_kwargs or {})}
        with refusals_told('wandb', 'wandb login, or the environment variable WANDB_MODE=offline'):
            super().before_run(runner)

    @master_only
    def log_picture(self, runner: Any, name: str, path: str) -> None:
        self.wandb.log({name: self.wandb.Image(path)}, step=self.get_iter(runner), commit=False)

    @master_only
    def after_run(self, runner: Any) -> None:
        self.wandb.join = self.wandb.finish  # its name in older versions, which mmcv calls
        super().after_run(runner)


@HOOKS.register_module(force=True)
class MlflowLoggerHook(mmcv_hooks.MlflowLoggerHook):
    """A run named as the run's folder, where MLFLOW_TRACKING_URI says."""

    @master_only
    def before_run(self, runner: Any) -> None:
        with refusals_told('mlflow', 'MLFLOW_TRACKING_URI says where its runs are kept'):
            if self.exp_name is not None:
                self.mlflow.set_experiment(self.exp_name)
            self.mlflow.start_run(run_name=_name_of(runner))
            super().before_run(runner)

    @master_only
    def log_picture(self, runner: Any, name: str, path: str) -> None:
        self.mlflow.log_image(pixels_of(path), key=name, step=self.get_iter(runner))

    @master_only
    def after_run(self, runner: Any) -> None:
        super().after_run(runner)
        self.mlflow.end_run()


def _name_of(runner: Any) -> str:
    return os.path.basename(os.path.abspath(runner.work_dir))
