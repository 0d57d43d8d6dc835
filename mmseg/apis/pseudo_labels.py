"""From trained networks and a data set to a folder of pseudo-labels; see mmseg/datasets/pseudo_labels.py."""
from __future__ import annotations

import os
import os.path as osp
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from mmseg.core.pseudo_label_rules import (
    ConfidenceCounts,
    FixedRule,
    QuantileRule,
    average_probabilities,
    chosen,
    to_levels,
)
from mmseg.datasets import CustomDataset
from mmseg.datasets.loading.size_groups import build_test_loader, sized_batches
from mmseg.datasets.pipelines.loading import read_bytes, read_label
from mmseg.datasets.preparation.labels import working_in
from mmseg.datasets.pseudo_labels import CONFIDENCE, LABELS, PROGRAM, RECORD, picture_name, read_record
from mmseg.utils import DataError, UserError
from mmseg.utils.files import left_behind, refuse_unmarked, write_image, write_json
from mmseg.utils.reading import walk_tree


class PseudoLabels:
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

    def __init__(self, folder: str, names: Sequence[str], classes: Sequence[str],
                 settings: Mapping[str, Any]):
        self.folder, self.names, self.classes = folder, names, list(classes)
        if len(set(names)) < len(names):
            twice = next(name for k, name in enumerate(names) if name in names[:k])
            raise UserError(f"two images would have the pseudo-label '{twice}': rename one of them")
        self.record = read_record(folder)
        if not self.record:
            if osp.isdir(folder) and any(self._in_folder()):
                raise UserError(f"the folder '{folder}' holds files that are not of {PROGRAM}: name "
                                'another one')
            self.record = dict(program=PROGRAM, complete=False, classes=self.classes, settings=dict(settings),
                               thresholds=None, pixels=None, least_levels=None)
        for key, value in {**settings, 'classes': self.classes}.items():
            known = {**self.record['settings'], 'classes': self.record['classes']}.get(key)
            if known != value:
                raise UserError(f"the pseudo-labels in '{folder}' were made with other {key}: name another "
                                'folder, or remove this one')
        refuse_unmarked(path for name in names for path in self._paths(name))

    def _in_folder(self) -> Iterator[str]:
        """What lies in the folder, but for what a killed run was just writing."""
        return (name for name, entry in walk_tree(self.folder) if not left_behind(Path(entry.path)))

    def _paths(self, name: str) -> tuple[str, str]:
        return osp.join(self.folder, LABELS, name), osp.join(self.folder, CONFIDENCE, name)

    def save(self) -> None:
        write_json(osp.join(self.folder, RECORD), self.record)

    @property
    def missing(self) -> set[str]:
        """The pictures that are still to be made. A label is written after its confidence."""
        return {name for name in self.names if not osp.isfile(self._paths(name)[0])}

    def write(self, name: str, prob: Tensor) -> None:
        """Write the prediction of an image, probabilities (C H W)."""
        label_path, confidence_path = self._paths(name)
        confidence, label = prob.max(dim=0)
        write_image(confidence_path, to_levels(confidence))
        write_image(label_path, label.cpu().numpy().astype(np.uint8))

    def _pictures(self, title: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """(path of the label, label, levels of confidence) of each image."""
        for name in tqdm(self.names, desc=title, unit='file', dynamic_ncols=True):
            label_path, confidence_path = self._paths(name)
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


def make_pseudo_labels(models: Sequence[nn.Module], datasets: Sequence[CustomDataset], device: torch.device,
                       folder: str, rule: QuantileRule | FixedRule, settings: Mapping[str, Any],
                       weights: Sequence[float] | None = None, workers: int = 0) -> dict[str, Any]:
    """Write the pseudo-labels of data sets, or go on where an earlier call was cut off.

    Args:
        models: networks on ``device``, in eval mode, whose probabilities are averaged.
        datasets: in test mode, with one set of classes.
        folder: see ``PseudoLabels``.
        settings: what the labels depend on, to be written as JSON.
        weights: of the networks; None: all alike.

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
        _remove_left_behind(folder)
        labels = PseudoLabels(folder, of_all, datasets[0].CLASSES, settings)
        if labels.record['complete']:
            return labels.record
        labels.save()
        if labels.record['least_levels'] is None:
            for dataset, part in zip(datasets, names):
                _predict_missing(models, dataset, part, labels, device, weights, workers)
            labels.find_thresholds(rule)
        labels.apply_thresholds()
        return labels.record


def _remove_left_behind(folder: str) -> None:
    for _, entry in walk_tree(folder):
        if left_behind(Path(entry.path)):
            os.unlink(entry.path)


def _predict_missing(models: Sequence[nn.Module], dataset: CustomDataset, names: Sequence[str],
                     labels: PseudoLabels, device: torch.device, weights: Sequence[float] | None,
                     workers: int) -> None:
    missing = labels.missing
    todo = [k for k, name in enumerate(names) if osp.normpath(name) in missing]
    if not todo:
        return
    dataset.img_infos = [dataset.img_infos[k] for k in todo]
    names = [names[k] for k in todo]
    # one image at a time: what a batch computes depends on its size, and a later run has other batches
    with closing(build_test_loader(dataset, 1, workers, dist=False)) as loader, torch.no_grad():
        batches = sized_batches(loader, device)
        bar = tqdm(batches, total=len(names), desc='predictions', unit='img', dynamic_ncols=True)
        for [index], data in bar:
            views = list(zip(data['img'], data['img_metas']))
            maps = [sum(model.inference(img, metas, True) for img, metas in views) / len(views)
                    for model in models]
            labels.write(osp.normpath(names[index]), average_probabilities(maps, weights)[0])
