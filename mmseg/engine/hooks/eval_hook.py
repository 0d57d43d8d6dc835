"""Evaluation in the course of training."""
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmcv.runner import Hook
from mmcv.runner.hooks import LoggerHook
from torch.utils.data import DataLoader

from mmseg.checkpoint.files import EVALUATION_DUE
from mmseg.checkpoint.weights import save_checkpoint
from mmseg.core.evaluation.confusion_matrix import ConfusionMatrix
from mmseg.core.evaluation.scores import mean_over
from mmseg.datasets.builder import DATASETS, leaf_configs
from mmseg.utils import ConfigError, UserError
from mmseg.utils.distributed import failing_together, world

from ..evaluation import TestOutcome, device_of, run_test
from ..evaluation_record import FOLDER, keep_images, keep_scores
from ..finite import bad_parameter


def class_subsets(cfg: Mapping) -> dict[str, Sequence[int]]:
    """Name -> class ids of the further means of a config: ``evaluation.class_subsets``, or else the
    ``CLASS_SUBSETS`` of the data sets that it trains on with labels (SYNTHIA lacks some of the classes).

    Raises:
        ConfigError: a class id that is none.
    """
    named = (cfg.get('evaluation') or {}).get('class_subsets')
    if named is not None:
        return _checked_subsets(named)
    train = cfg.get('data', {}).get('train') or []
    source = train.get('source') or train if isinstance(train, Mapping) else train
    kinds = (leaf.get('type') for leaf in leaf_configs(source))
    found = (DATASETS.get(kind) if isinstance(kind, str) else kind for kind in kinds)
    return {name: ids for kind in found for name, ids in getattr(kind, 'CLASS_SUBSETS', {}).items()}


def _checked_subsets(named: Any) -> dict[str, Sequence[int]]:
    if not isinstance(named, Mapping) or not all(
            isinstance(ids, Sequence) and ids and all(isinstance(one, int) and one >= 0 for one in ids)
            for ids in named.values()):
        raise ConfigError(f'evaluation.class_subsets is {named!r}, expected the class ids of each name, e.g. '
                          'dict(mIoU16=[0, 1, 2])')
    return dict(named)


def further_means(matrix: ConfusionMatrix, groups: Mapping[str, ConfusionMatrix],
                  subsets: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Mean IoU (0 ... 1) over each of the ``subsets`` of class ids, then over all classes in each of
    the ``groups`` of images (as 'mIoU.<group>')."""
    ious = matrix.metrics('mIoU')['IoU']
    return {**{name: mean_over(ious, ids) for name, ids in subsets.items()},
            **{f'mIoU.{name}': mean_over(group.metrics('mIoU')['IoU'])
               for name, group in groups.items()}}


class EvalHook(Hook):
    """Every ``interval`` iterations, test the network and put the scores into the log.

    On one process or many: each rank tests its share, the first one writes. Register it after the loggers
    (priority 'LOWEST'); they write the scores at the event 'after_val_epoch'.

    Args:
        dataloader: of the evaluation set, in test mode and in order.
        interval: iterations between two evaluations.
        metric: or list of them: 'mIoU', 'mDice', 'mFscore'.
        by_epoch: has to be False: a run is counted in iterations.
        save_best: a score such as 'mIoU'; keeps the checkpoint with the highest value of it as
            ``best_<score>_iter_<N>.pth`` in the run's folder. Off by default: in domain adaptation
            it selects on labels of the target, which the method is not supposed to see.
        class_subsets: name -> class ids of further mean IoUs, see :func:`class_subsets`.
        progress: show a progress bar.
        amp: 'bfloat16' or 'float16' tests in that precision; None in float32.
        pre_eval, efficient_test, gpu_collect, tmpdir, rule: accepted for older configs and without
            effect. They chose how predictions are kept and moved, and here only a confusion matrix
            is; and every score is better when greater.

    Raises:
        UserError: ``by_epoch``, an interval below 1, a ``save_best`` that is no score, or a logger that is
            registered after it.
    """

    def __init__(self, dataloader: DataLoader, interval: int = 1,
                 metric: str | Sequence[str] = 'mIoU', by_epoch: bool = False,
                 save_best: str | None = None,
                 class_subsets: Mapping[str, Sequence[int]] | None = None, progress: bool = True,
                 pre_eval: bool = False, efficient_test: bool = False, gpu_collect: bool = False,
                 tmpdir: str | None = None, rule: str | None = None, amp: str | None = None):
        if by_epoch:
            raise UserError('evaluation.by_epoch=True is not supported: give evaluation.interval '
                            'in iterations')
        if interval < 1:
            raise UserError(f'evaluation.interval is {interval}, expected at least 1 iteration')
        self.dataloader, self.interval, self.metric = dataloader, interval, metric
        self.save_best, self.progress, self.amp = save_best, progress, amp
        self.class_subsets = dict(class_subsets or {})

    def before_run(self, runner) -> None:
        later = runner.hooks[runner.hooks.index(self):]
        if any(isinstance(hook, LoggerHook) for hook in later):
            raise ConfigError("EvalHook has to come after the loggers, which write the step's log before its "
                              "scores: register_hook(…, priority='LOWEST')")
        if self.save_best:
            runner.logger.warning(
                f"evaluation.save_best='{self.save_best}': the best checkpoint is selected with the "
                'labels of the evaluation set (in domain adaptation target labels), so its score '
                'there is optimistic; report the last checkpoint, or the score on other images')

    def before_epoch(self, runner) -> None:
        """Make up for the evaluation that failed after the last step of the run that is resumed."""
        if not runner.iter or (runner.meta or {}).get(EVALUATION_DUE) != runner.iter:
            return
        runner.mode = 'train'
        self._evaluate_and_log(runner, runner.iter)
        runner.save_steps()

    def after_train_iter(self, runner) -> None:
        if self.every_n_iters(runner, self.interval):
            self._evaluate_and_log(runner, runner.iter + 1)

    def _evaluate_and_log(self, runner, step: int) -> None:
        runner.log_buffer.clear()  # one log line holds one mode's values; those of training are written
        with self._steps_saved(runner, step), failing_together(_group_of(runner)):
            scores = self.evaluate(runner, step)
            if runner.rank == 0 and self.save_best:
                self._keep_best(runner, scores, step)
        if runner.rank == 0:
            # mmcv logs the first as 'iter'; the reference wrote the number of images there
            runner.log_buffer.output.update(eval_iter_num=step, step=step, **scores)
        runner.call_hook('after_val_epoch')  # at which loggers write, in all processes together
        runner.log_buffer.clear()

    @contextmanager
    def _steps_saved(self, runner, step: int) -> Iterator[None]:
        """If the evaluation in the block fails, the steps before it are not lost, and the run that goes on
        with them evaluates first."""
        runner.meta = runner.meta or {}
        runner.meta.pop(EVALUATION_DUE, None)
        try:
            yield
        except Exception:
            if not hasattr(runner, 'save_steps'):  # mmcv's own
                raise
            runner.meta[EVALUATION_DUE] = step
            runner.save_steps()
            runner.logger.error(f"the evaluation after step {step} failed; the steps are kept in "
                                f"'{runner.saved[1]}'")
            raise

    def evaluate(self, runner, step: int) -> dict[str, float]:
        """Test the network after ``step`` steps; the scores by name, on the first rank."""
        if world()[1] > 1:
            _share_buffers(runner.model)
        found = run_test(runner.model, self.dataloader, device_of(runner.model),
                         progress=self.progress, amp=self.amp, alone=failing_together(_group_of(runner)))
        if runner.rank != 0:
            return {}
        scores = self.dataloader.dataset.evaluate(found.matrix, metric=self.metric,
                                                  logger=runner.logger)
        scores.update(further_means(found.matrix, found.groups, self.class_subsets))
        self._keep_record(runner, found, scores, step)
        return scores

    def _keep_record(self, runner, found: TestOutcome, scores: Mapping[str, float], step: int) -> None:
        """For the report; pictures after the last evaluation only, as they are predicted once more."""
        folder = Path(runner.work_dir) / FOLDER
        keep_scores(folder, self.dataloader.dataset, found, scores, step)
        if step + self.interval > runner.max_iters:
            keep_images(folder, runner.model, self.dataloader.dataset, device_of(runner.model))

    def _keep_best(self, runner, scores: Mapping[str, float], step: int) -> None:
        if self.save_best not in scores:
            raise UserError(f"evaluation.save_best='{self.save_best}' is no score of this "
                            f'evaluation: {", ".join(k for k in scores if "." not in k)}')
        runner.meta = runner.meta or {}
        messages = runner.meta.setdefault('hook_msgs', {})
        score = float(scores[self.save_best])
        if not score > messages.get('best_score', float('-inf')):
            return
        if bad_parameter(runner.model):  # told by the checkpoint of the run, which follows
            return
        previous = messages.get('best_ckpt')
        if previous:  # the folder may have been moved since
            previous = os.path.join(runner.work_dir, os.path.basename(previous))
        path = os.path.join(runner.work_dir, f'best_{self.save_best}_iter_{step}.pth')
        messages.update(best_score=score, best_ckpt=path)
        model = getattr(runner.model, 'module', runner.model)
        save_checkpoint(path, model, meta={**runner.meta, 'iter': step})
        if previous and previous != path and os.path.isfile(previous):
            os.remove(previous)
        runner.logger.info(f'best {self.save_best} so far: {100 * score:.2f} % at iteration {step}')


# One hook serves both; older scripts name this one.
DistEvalHook = EvalHook


def _group_of(runner) -> torch.distributed.ProcessGroup | None:
    """For what processes tell each other on the CPU; mmcv's runner has none."""
    return getattr(runner, 'group', None)


def _share_buffers(model: torch.nn.Module) -> None:
    """Give every rank the first one's BatchNorm statistics, so that all test the same network."""
    for buffer in model.buffers():
        torch.distributed.broadcast(buffer, 0)
