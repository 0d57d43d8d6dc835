"""What an evaluation leaves in the folder of its run beside the log, for the report: the confusion matrices,
and after the last one a few predictions with their entropies."""

from __future__ import annotations

import contextlib
import math
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, Subset

from mmseg.core.evaluation import ConfusionMatrix, mean_over
from mmseg.core.visualization import read_image
from mmseg.datasets.loading.size_groups import build_test_loader, sized_batches
from mmseg.models.losses import pixel_entropy
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.uda import UDADecorator
from mmseg.utils import UserError
from mmseg.utils.files import write_image, write_json

from .evaluation import TestOutcome, evaluating, unwrapped

FOLDER = 'evaluation'
SCORES_FILE = 'scores.json'
IMAGES_FILE = 'images.json'
KEPT_IMAGES = 24
LARGEST_SIDE = 640  # pixels of a kept picture


def keep_scores(
    folder: Path, dataset: Dataset, outcome: TestOutcome, scores: Mapping[str, float], step: int
) -> None:
    """Write the matrices of all images and of each group of them, in place of an earlier evaluation's."""
    write_json(
        folder / SCORES_FILE,
        {
            'step': step,
            'images': len(dataset),
            'classes': list(dataset.CLASSES),
            'palette': colours_of(dataset),
            'scores': {name: None if math.isnan(value) else value for name, value in scores.items()},
            'confusion_matrix': outcome.matrix.matrix.tolist(),
            'groups': {name: group.matrix.tolist() for name, group in outcome.groups.items()},
            'peak_memory_mib': round(peak_memory_mib()),
        },
    )


def colours_of(dataset: Dataset) -> list[list[int]]:
    """RGB of each class, numbers that json has."""
    return [[int(part) for part in colour] for colour in dataset.PALETTE]


def peak_memory_mib() -> float:
    """Of the GPU, or of this process where there is none."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def keep_images(
    folder: Path, model: nn.Module, dataset: Dataset, device: torch.device | str, count: int = KEPT_IMAGES
) -> None:
    """Write image, truth, prediction and entropy of ``count`` images at equal distances in the data set,
    which are the same ones in every run, and ``images.json`` with the scores of each.

    Class maps are grey PNGs of class ids, entropies of 255·H / ln C; pictures are reduced to LARGEST_SIDE.
    Nothing is done for a network that gives class maps alone.
    """
    network = unwrapped(model)
    network = network.get_model() if isinstance(network, UDADecorator) else network
    if not isinstance(network, EncoderDecoder) or not hasattr(dataset, 'get_gt_seg_map'):
        return
    chosen = sorted({round(i) for i in np.linspace(0, len(dataset) - 1, min(count, len(dataset)))})
    loader = build_test_loader(Subset(dataset, chosen), 1, 0, dist=False)
    listed = []
    with evaluating(network):
        for (place,), data in sized_batches(loader, device):
            logits = network.inference_logits(data['img'][0], data['img_metas'][0], True).float()
            meta = data['img_metas'][0][0]
            index = chosen[place]
            listed.append(_keep_image(folder, index, meta, logits, dataset))
    names = {'classes': list(dataset.CLASSES), 'palette': colours_of(dataset)}
    write_json(folder / IMAGES_FILE, {**names, 'images': listed})


def _keep_image(
    folder: Path, index: int, meta: Mapping[str, Any], logits: torch.Tensor, dataset: Dataset
) -> dict[str, Any]:
    """Write the four pictures of one image; what ``images.json`` says of it."""
    truth = np.asarray(dataset.get_gt_seg_map(index))
    prediction = logits.argmax(dim=1)[0].cpu().numpy()
    entropy = pixel_entropy(logits)[0].cpu().numpy()
    found = ConfusionMatrix(len(dataset.CLASSES), dataset.ignore_index).update(prediction, truth)
    scores = found.metrics('mIoU')
    stem = f'{index:05d}'
    image = _photo(meta)
    if image is not None:
        write_image(folder / f'{stem}_image.jpg', reduced(image, cv2.INTER_AREA))
    for what, values in (('truth', truth), ('prediction', prediction)):
        write_image(folder / f'{stem}_{what}.png', reduced(values.astype(np.uint8), cv2.INTER_NEAREST))
    grey = np.clip(255 * entropy / math.log(logits.shape[1]), 0, 255).round().astype(np.uint8)
    write_image(folder / f'{stem}_entropy.jpg', reduced(grey, cv2.INTER_AREA))
    return {
        'index': index,
        'name': meta['ori_filename'],
        'stem': stem,
        'mIoU': mean_over(scores['IoU']),
        'aAcc': float(scores['aAcc']),
        'entropy': float(entropy.mean()),
    }


def _photo(meta: Mapping[str, Any]) -> np.ndarray | None:
    """None for what is no picture to look at, such as a file of other bands than three."""
    with contextlib.suppress(UserError):
        return read_image(meta['filename'])
    return None


def reduced(picture: np.ndarray, interpolation: int) -> np.ndarray:
    """At most LARGEST_SIDE pixels wide and high."""
    scale = LARGEST_SIDE / max(picture.shape[:2])
    if scale >= 1:
        return picture
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=interpolation)
