"""TensorBoard, W&B and MLflow from one key each, with pictures; their packages are stood in for."""
from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from mmcv.runner.log_buffer import LogBuffer
from PIL import Image

from mmseg.engine import settings
from mmseg.engine.hooks import UDAVisualizationHook, uda_visualization_hook
from mmseg.engine.settings import build_logger_hooks
from mmseg.utils import ConfigError, UserError
from mmseg.utils.config import load_config, parse_options

RED = np.full((2, 3, 3), (255, 0, 0), np.uint8)


class Package(ModuleType):
    """A module, of which each function that is called is noted in ``calls``."""

    def __init__(self, name: str):
        super().__init__(name)
        self.__spec__, self.calls = ModuleSpec(name, None), []

    def __getattr__(self, name: str):
        if name.startswith('__') or name == 'join':
            raise AttributeError(name)
        return lambda *args, **kwargs: self.calls.append((name, args, kwargs)) or name

    def named(self, name: str) -> list[tuple[tuple, dict]]:
        return [(args, kwargs) for called, args, kwargs in self.calls if called == name]


@pytest.fixture
def packages(monkeypatch) -> dict[str, Package]:
    found = {name: Package(name) for name in ('tensorboard', 'torch.utils.tensorboard', 'wandb', 'mlflow',
                                              'mlflow.pytorch')}
    for name, package in found.items():
        monkeypatch.setitem(sys.modules, name, package)
    found['mlflow'].pytorch = found['mlflow.pytorch']
    board = found['torch.utils.tensorboard']
    board.SummaryWriter = lambda folder: board.calls.append(('SummaryWriter', (folder,), {})) or board
    monkeypatch.setattr(uda_visualization_hook, 'draw_visuals', lambda *_: Image.fromarray(RED))
    monkeypatch.setattr(uda_visualization_hook, 'write', Image.Image.save)
    return found


def run_one_step(tmp_path: Path, cfg: dict, step: int = 6) -> None:
    """What a runner calls at its 7th step, with a picture of one image."""
    visuals = dict(step=step, source=[0])
    runner = SimpleNamespace(work_dir=str(tmp_path / 'run'), rank=0, iter=step, epoch=0, mode='train',
                             log_buffer=LogBuffer(), outputs=dict(visuals=visuals),
                             current_lr=lambda: [0.1], current_momentum=lambda: [0.9])
    runner.hooks = [UDAVisualizationHook([[0, 0, 0]]), *build_logger_hooks(cfg)]
    trackers = [hook for hook in runner.hooks if type(hook).__name__ != 'PercentTextLoggerHook']
    for hook in trackers:
        hook.before_run(runner)
    runner.log_buffer.update(dict(loss=2.0, time=1.0))
    runner.log_buffer.average()
    for hook in trackers:
        hook.after_train_iter(runner)
    for hook in trackers:
        hook.after_run(runner)


def test_tensorboard(tmp_path, packages):
    run_one_step(tmp_path, dict(interval=1, hooks=['tensorboard']))
    board = packages['torch.utils.tensorboard']
    assert board.named('SummaryWriter') == [((str(tmp_path / 'run/tf_logs'),), {})]
    assert (('train/loss', 2.0, 7), {}) in board.named('add_scalar')
    [((name, pixels, step), how)] = board.named('add_image')
    assert (name, step, how) == ('class_mix_debug/0', 7, dict(dataformats='HWC'))
    np.testing.assert_array_equal(pixels, RED)


def test_wandb(tmp_path, packages):
    packages['wandb'].Image = str
    run_one_step(tmp_path, dict(interval=1, hooks=['wandb']))
    wandb = packages['wandb']
    assert wandb.named('init') == [((), dict(dir=str(tmp_path / 'run'), name='run'))]
    picture, numbers = wandb.named('log')
    path = str(tmp_path / 'run/class_mix_debug/000006_0.png')
    assert picture == (({'class_mix_debug/0': path},), dict(step=7, commit=False)) and Path(path).is_file()
    assert numbers[0][0]['train/loss'] == 2.0 and numbers[1] == dict(step=7, commit=True)
    assert wandb.named('finish') and not wandb.named('log_artifact')


def test_wandb_settings_of_a_dict_stay(tmp_path, packages):
    hook = dict(type='WandbLoggerHook', by_epoch=False, init_kwargs=dict(project='streets', name='mine'))
    run_one_step(tmp_path, dict(interval=1, hooks=[hook | dict(log_artifact=False)]))
    assert packages['wandb'].named('init') == [
        ((), dict(dir=str(tmp_path / 'run'), name='mine', project='streets'))]


def test_mlflow(tmp_path, packages):
    run_one_step(tmp_path, dict(interval=1, hooks=['mlflow']))
    mlflow = packages['mlflow']
    assert mlflow.named('start_run') == [((), dict(run_name='run'))]
    [((metrics,), how)] = mlflow.named('log_metrics')
    assert metrics['train/loss'] == 2.0 and how == dict(step=7)
    [((pixels,), how)] = mlflow.named('log_image')
    assert how == dict(key='class_mix_debug/0', step=7) and pixels.shape == RED.shape
    assert mlflow.named('end_run') and not packages['mlflow.pytorch'].calls


def test_a_refusal_of_the_tracker_is_one_line(tmp_path, packages):
    class UsageError(Exception):
        __module__ = 'wandb.errors'

    def init(**settings):
        raise UsageError('No API key\nconfigured.')

    packages['wandb'].init = init
    with pytest.raises(UserError, match=r'wandb refuses to start: No API key configured\. \(wandb login'):
        run_one_step(tmp_path, dict(hooks=['wandb']))


def kinds(hooks) -> list[str]:
    return [type(hook).__name__ for hook in build_logger_hooks(dict(interval=5, hooks=hooks))]


def test_the_text_log_stays_beside_names(packages):
    text, board = 'PercentTextLoggerHook', 'TensorboardLoggerHook'
    assert kinds('tensorboard') == kinds(['tensorboard']) == kinds(['text', 'tensorboard']) == [text, board]
    assert kinds(['tensorboard', dict(type='TextLoggerHook')]) == [board, text]
    assert kinds(['wandb', 'mlflow']) == [text, 'WandbLoggerHook', 'MlflowLoggerHook']
    assert kinds([dict(type='TensorboardLoggerHook')]) == [board] and kinds([]) == []
    assert all(hook.interval == 5 and not hook.by_epoch for hook in build_logger_hooks(
        dict(interval=5, hooks=['wandb'])))


@pytest.mark.parametrize('option', ["log_config.hooks=['tensorboard']", 'log_config.hooks=[tensorboard]',
                                    'log_config.hooks=tensorboard'])
def test_the_key_on_the_command_line(option, packages):
    cfg = load_config('configs/toy/streets_test.py', parse_options([option]))
    text, tracker = build_logger_hooks(cfg.log_config)
    assert type(tracker).__name__ == 'TensorboardLoggerHook'


@pytest.mark.parametrize('name, package', [('tensorboard', 'tensorboard'), ('wandb', 'wandb'),
                                           ('mlflow', 'mlflow')])
def test_a_missing_package_is_one_line(name, package, monkeypatch):
    monkeypatch.setattr(settings.importlib.util, 'find_spec', lambda module: None)
    with pytest.raises(ConfigError, match=f'needs the package {package}: pip install {package}'):
        kinds([name])


def test_an_unknown_name_and_a_broken_package_are_one_line(packages, monkeypatch):
    with pytest.raises(ConfigError, match=r"no logger 'tensorbord': did you mean 'tensorboard'\?"):
        kinds(['tensorbord'])
    monkeypatch.setitem(sys.modules, 'mlflow.pytorch', None)
    del packages['mlflow'].pytorch
    with pytest.raises(ConfigError, match='MlflowLoggerHook cannot be used: .*mlflow.pytorch'):
        kinds(['mlflow'])
