"""From trained networks and a data set to a folder of pseudo-labels; see mmseg/datasets/pseudo_labels.py."""
from __future__ import annotations

import os.path as osp
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mmseg.core.pseudo_label_rules import (
    ConfidenceCounts,
    FixedRule,
    QuantileRule,
    chosen,
    to_levels,
)
from mmseg.datasets import CustomDataset
from mmseg.datasets.loading.size_groups import build_test_loader, sized_batches
from mmseg.datasets.pipelines.loading import read_bytes, read_label
from mmseg.datasets.preparation.labels import working_in
from mmseg.datasets.pseudo_labels import CONFIDENCE, LABELS, PROGRAM, RECORD, picture_name
from mmseg.models.segmentors import AveragedSegmentor
from mmseg.utils import DataError
from mmseg.utils.files import write_image

from .guided_labels import Guide
from .recorded_folder import RecordedFolder


class PseudoLabels(RecordedFolder):
    """The folder that pseudo-labels are written to, in three stages of which each can be cut off at any
    moment: the prediction of every image and its confidence; the thresholds of the classes; what they leave.

    Args:
        folder: made if missing.
        names: of the pictures of all images.
        classes: their names.
        settings: what the labels depend on. A folder of others is not gone on with.

    Raises:
        UserError: the folder holds something else, or labels of other settings.
    """

    WHAT = 'pseudo-labels'

    def __init__(self, folder: str, names: Sequence[str], classes: Sequence[str],
                 settings: Mapping[str, Any]):
        self.classes = list(classes)
        super().__init__(folder, names, RECORD, PROGRAM, settings, classes=self.classes, thresholds=None,
                         pixels=None, least_levels=None)
        self.require('classes', self.record['classes'], self.classes)

    def paths(self, name: str) -> tuple[str, str]:
        return osp.join(self.folder, LABELS, name), osp.join(self.folder, CONFIDENCE, name)

    def write(self, name: str, prob: Tensor) -> None:
        """Write the prediction of an image, probabilities (C H W)."""
        label_path, confidence_path = self.paths(name)
        confidence, label = prob.max(dim=0)
        write_image(confidence_path, to_levels(confidence))
        write_image(label_path, label.cpu().numpy().astype(np.uint8))

    def _pictures(self, title: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """(path of the label, label, levels of confidence) of each image."""
        for name in tqdm(self.names, desc=title, unit='file', dynamic_ncols=True):
            label_path, confidence_path = self.paths(name)
            content = np.frombuffer(read_bytes(confidence_path, 'confidence'), np.uint8)
            levels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
            label = read_label(label_path)
            if levels is None or levels.dtype != np.uint16 or levels.shape != label.shape:
                raise DataError(f'{confidence_path} is damaged: remove it and {label_path}, then go on')
            yield label_path, label, levels

    def find_thresholds(self, rule: QuantileRule | FixedRule) -> None:
        """Note the thresholds of the predictions that lie in the folder."""
        counts = ConfidenceCounts(len(self.classes))
        for path, label, levels in self._pictures('thresholds'):
            if label.max(initial=0) >= len(self.classes):
                raise DataError(f'{path} holds the class {label.max()} and is damaged: remove it, then go on')
            counts.add(label, levels)
        by_class = [dict(zip(self.classes, values.tolist()))
                    for values in (rule.thresholds(counts), counts.pixels)]
        self.record.update(thresholds=by_class[0], pixels=by_class[1],
                           least_levels=rule.least_levels(counts).tolist())
        self.save()

    def apply_thresholds(self) -> None:
        """Ignore the pixels below the thresholds; those that are ignored already stay so."""
        least = np.array(self.record['least_levels'])
        for path, label, levels in self._pictures('labels'):
            kept = chosen(label, levels, least)
            if not np.array_equal(kept, label):
                write_image(path, kept)
        self.record['complete'] = True
        self.save()


def make_pseudo_labels(networks: AveragedSegmentor, datasets: Sequence[CustomDataset], device: torch.device,
                       folder: str, rule: QuantileRule | FixedRule, settings: Mapping[str, Any],
                       workers: int = 0, guide: Guide | None = None) -> dict[str, Any]:
    """Write the pseudo-labels of data sets, or go on where an earlier call was cut off.

    Args:
        networks: on ``device``, in eval mode.
        datasets: in test mode, with one set of classes.
        folder: see ``PseudoLabels``.
        settings: what the labels depend on, to be written as JSON.
        workers: processes that read images.
        guide: what corrects the predictions; None for nothing.

    Returns:
        what is noted in the folder: thresholds and number of predicted pixels of each class.

    Raises:
        UserError: see ``PseudoLabels``.
    """
    names = [[picture_name(info['filename'], dataset.img_suffix) for info in dataset.img_infos]
             for dataset in datasets]
    of_all = [osp.normpath(name) for part in names for name in part]
    PseudoLabels(folder, of_all, datasets[0].CLASSES, settings)  # refused before anything is written
    with working_in(folder):
        labels = PseudoLabels(folder, of_all, datasets[0].CLASSES, settings)
        labels.remove_left_behind()
        missing = labels.missing
        if labels.record['complete'] and not missing:
            return labels.record
        labels.record['complete'] = False
        labels.save()
        predict = partial(_predictions, networks, device=device, workers=workers)
        for number, (dataset, part) in enumerate(zip(datasets, names)):
            todo = [k for k, name in enumerate(part) if osp.normpath(name) in missing]
            found = predict(dataset, todo)
            if guide is not None:
                found = guide.refined(number, dataset, todo, found, predict)
            bar = tqdm(found, total=len(todo), desc='predictions', unit='img', dynamic_ncols=True)
            for k, prob in zip(todo, bar):
                labels.write(osp.normpath(part[k]), prob)
        if labels.record['least_levels'] is None:
            labels.find_thresholds(rule)
        labels.apply_thresholds()
        return labels.record


def _predictions(networks: AveragedSegmentor, dataset: CustomDataset, todo: Sequence[int],
                 device: torch.device, workers: int) -> Iterator[Tensor]:
    """Probabilities (C H W) of some images of a data set."""
    if not todo:
        return
    part = dataset.with_images([dataset.img_infos[k] for k in todo])
    # one image at a time: what a batch computes depends on its size, and a later run has other batches
    with closing(build_test_loader(part, 1, workers, dist=False)) as loader:
        for _, data in sized_batches(loader, device):
            with torch.no_grad():
                prob = networks.probabilities(list(zip(data['img'], data['img_metas'])))[0]
            yield prob
