"""Testing as scripts of the reference implementation call it; the loop is ``mmseg.engine.evaluation``."""
from __future__ import annotations

import numpy as np
from torch import nn
from torch.utils.data import DataLoader

from mmseg.core.evaluation import ConfusionMatrix
from mmseg.engine.evaluation import TestOutcome, device_of, evaluating, gathered_predictions, run_test
from mmseg.utils.distributed import world

__all__ = ['TestOutcome', 'device_of', 'evaluating', 'gathered_predictions', 'multi_gpu_test', 'run_test',
           'single_gpu_test', 'world']


def single_gpu_test(model: nn.Module, data_loader: DataLoader, show: bool = False,
                    out_dir: str | None = None, efficient_test: bool = False,
                    opacity: float = 0.5) -> list[np.ndarray]:
    """Predicted class ids (H W) of every image, in the order of the data set.

    Args:
        model: the network; tested on the device where it is.
        data_loader: of a data set in test mode, in order.
        show: show each picture in a window.
        out_dir: write pictures of the predictions there.
        efficient_test: accepted for older scripts and without effect: it used to keep the
            predictions in files for lack of memory, for which :func:`run_test` has a matrix.
        opacity: of the predictions' colours in the pictures.
    """
    outcome = run_test(model, data_loader, device_of(model), evaluate=False, out_dir=out_dir,
                       opacity=opacity, keep_predictions=True, show=show)
    return [outcome.predictions[place] for place in np.argsort(outcome.indices)]


def multi_gpu_test(model: nn.Module, data_loader: DataLoader, tmpdir: str | None = None,
                   gpu_collect: bool = False, efficient_test: bool = False) -> ConfusionMatrix:
    """The confusion matrix of the whole data set, on every rank; for ``dataset.evaluate``.

    ``tmpdir``, ``gpu_collect`` and ``efficient_test`` are accepted for older scripts and without
    effect: they chose how predictions travelled between processes, and none does any more.
    """
    return run_test(model, data_loader, device_of(model)).matrix
