from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.runner import HOOKS, Hook
from torch import Tensor, nn
from torch.utils.data import Subset

from mmseg.core.evaluation import ConfusionMatrix
from mmseg.datasets.builder import build_dataset
from mmseg.datasets.loading.size_groups import build_test_loader, sized_batches
from mmseg.utils import ConfigError
from mmseg.utils.distributed import world
from mmseg.utils.ranges import check_range

from ..precision import eager

PSEUDO_LABELS_FILE = 'pseudo_labels.jsonl'


@HOOKS.register_module()
class PseudoLabelHook(Hook):
    """How many of the teacher's pseudo-labels are right, by class, over the steps of a training whose target
    has labels. They are only counted: the training is the same to the bit with and without this hook.

    The teacher sees whole images, in its training mode (batch norm of the image's own statistics). The log
    gets ``pseudo.right``, the share of labelled pixels whose pseudo-label is right, ``pseudo.confident``, of
    those of at least τ, and ``pseudo.right_if_confident``, each 0–1; ``pseudo_labels.jsonl`` in the run's
    folder a line of these with each class's recall and precision.

    Args:
        dataset: config of the target's training images with their labels, with a pipeline of the test.
        interval: steps.
        images: how many of them, evenly spaced; None takes all.
    """

    def __init__(self, dataset: dict, interval: int = 100, images: int | None = 32):
        check_range(interval, 'PseudoLabelHook: interval', 1)
        if images is not None:
            check_range(images, 'PseudoLabelHook: images', 1)
        whole = build_dataset(dataset, dict(test_mode=True))
        count = min(images or len(whole), len(whole))
        self.indices = np.linspace(0, len(whole) - 1, count).round().astype(int).tolist()
        self.dataset, self.interval = whole, interval
        self.loader = build_test_loader(Subset(whole, self.indices), 1, 0)

    def before_run(self, runner) -> None:
        if getattr(runner.model, 'ema_model', None) is None:
            raise ConfigError(f'PseudoLabelHook: {type(runner.model).__name__} has no teacher; take the hook '
                              'out of custom_hooks')

    def after_train_iter(self, runner) -> None:
        if not self.every_n_iters(runner, self.interval):
            return
        teacher, threshold = runner.model.ema_model, getattr(runner.model, 'pseudo_threshold', 0.0)
        found = self.count(teacher, threshold, next(teacher.parameters()).device)
        shares = {f'pseudo.{key}': found[key] for key in ('right', 'confident', 'right_if_confident')}
        runner.log_buffer.update(shares)
        if runner.rank == 0:
            with open(Path(runner.work_dir) / PSEUDO_LABELS_FILE, 'a', encoding='utf-8') as file:
                file.write(json.dumps({'step': runner.iter + 1, **found}) + '\n')

    @torch.no_grad()
    def count(self, teacher: nn.Module, threshold: float, device: torch.device) -> dict[str, Any]:
        """The shares of right and of confident (≥ ``threshold``) pseudo-labels over the images."""
        everything, confident = (ConfusionMatrix(len(self.dataset.CLASSES), self.dataset.ignore_index, device)
                                 for _ in range(2))
        with buffers_kept(teacher), eager(teacher):
            for indices, data in sized_batches(self.loader, device):
                logits = teacher.inference_logits(data['img'][0], data['img_metas'][0], True)
                certainty, label = logits.softmax(dim=1).max(dim=1)
                truth = torch.from_numpy(np.stack([self._label(index) for index in indices]))
                everything.update(label, truth)
                confident.update(label, truth.to(device).masked_fill(certainty < threshold,
                                                                     self.dataset.ignore_index))
        if world()[1] > 1:
            everything.all_reduce(device)
            confident.all_reduce(device)
        return quality_of(everything.matrix, confident.matrix, self.dataset.CLASSES)

    def _label(self, index: int) -> np.ndarray:
        return self.dataset.get_gt_seg_map(self.indices[index]).astype(np.int64)


@contextlib.contextmanager
def buffers_kept(network: nn.Module) -> Iterator[None]:
    """Inside the block a network in training mode may be used; its running statistics stay."""
    kept = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        yield
    finally:
        for buffer, value in kept:
            buffer.copy_(value)


def quality_of(everything: Tensor, confident: Tensor, classes: tuple[str, ...]) -> dict[str, Any]:
    """Shares of confusion counts (C C), rows labels, columns pseudo-labels; None of nothing."""
    def share(part: Tensor, whole: Tensor) -> float | None:
        return part.item() / whole.item() if whole else None

    right = everything.diagonal()
    by_class: Mapping[str, dict] = {
        name: dict(recall=share(right[c], everything[c].sum()),
                   precision=share(right[c], everything[:, c].sum()),
                   confident=share(confident[c].sum(), everything[c].sum()),
                   right_if_confident=share(confident[c, c], confident[c].sum()))
        for c, name in enumerate(classes)}
    return dict(right=share(right.sum(), everything.sum()) or 0.0,
                confident=share(confident.sum(), everything.sum()) or 0.0,
                right_if_confident=share(confident.diagonal().sum(), confident.sum()) or 0.0,
                classes=dict(by_class))
