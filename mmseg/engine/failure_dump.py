"""What is kept of a step whose loss is no number."""
from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any, NoReturn

from mmseg.checkpoint.files import checkpoints_of
from mmseg.checkpoint.weights import save_file
from mmseg.datasets.loading.loader import load_step, unwrap_batch
from mmseg.utils import UserError
from mmseg.utils.files import unused_path


def dump_nonfinite_step(runner, step: int) -> NoReturn:
    """Keep what is needed to see step ``step`` (from 0) again, and end the training.

    ``nonfinite_step_<step>.pth`` in the run's folder holds the batch (as ``train_step`` takes it, on the
    CPU), samples, step, seed, rank, config and the name of the latest checkpoint before the step.

    Raises:
        UserError: always; names the samples and the file.
    """
    before = next((path.name for done, path in checkpoints_of(runner.work_dir).items() if done <= step), None)
    batch = _batch_of(runner, step)
    samples = sample_names(batch)
    process = f'_rank{runner.rank}' if runner.world_size > 1 else ''
    path = unused_path(os.path.join(runner.work_dir, f'nonfinite_step_{step}{process}.pth'))
    save_file(dict(batch=batch, samples=samples, step=step, seed=runner.seed, rank=runner.rank,
                   config=runner.meta.get('config'), checkpoint=before), path)
    raise UserError(
        f'step {step}: the loss is no finite number; its samples: {", ".join(samples) or "unknown"}. They '
        f"are kept in '{path}', and the weights before it in {before or 'no checkpoint'} "
        '(docs/running.md says how to see the step again). Lower the learning rate, clip gradients '
        '(optimizer_config.grad_clip) or leave such steps out (optimizer_config.nonfinite=skip)')


def _batch_of(runner, step: int) -> Any:
    """Samples have addresses, so that those of an earlier step can be loaded again."""
    with contextlib.suppress(UserError, AttributeError):
        return unwrap_batch(load_step(runner.data_loader, step), 'cpu')
    return {}


def sample_names(batch: Mapping[str, Any]) -> list[str]:
    """The files of a batch's samples, those of the other domains after those of the source."""
    metas = [meta for key, found in batch.items() if key.endswith('img_metas') for meta in found or ()]
    return [str(meta.get('filename') or meta.get('ori_filename') or '?') for meta in metas]
