"""From a network and a test set to the file for a benchmark's server."""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from mmseg.datasets.loader import unwrap_batch
from mmseg.datasets.submission import BENCHMARKS, write_submission
from mmseg.utils import UserError

from .test import evaluating, predict, unwrapped, world


def make_submission(model: nn.Module, data_loader: DataLoader, device: torch.device | str, kind: str,
                    path: str) -> int:
    """Test a network and write the complete zip for a benchmark.

    Args:
        model: the network, on ``device``.
        data_loader: of the benchmark's test set, in order.
        kind: 'acdc', 'cityscapes' or 'darkzurich'.
        path: of the zip.

    Returns:
        The number of images in it.

    Raises:
        UserError: a data set of another benchmark, several processes, or a file that cannot be
            written.
    """
    dataset, wanted = data_loader.dataset, BENCHMARKS[kind].dataset
    if type(dataset).__name__ != wanted:
        raise UserError(f'--submission {kind} needs a {wanted} as data.test, the config has a '
                        f'{type(dataset).__name__}')
    if world()[1] > 1:
        raise UserError('--submission writes one file: run it on one process')
    names = [info['filename'] for info in dataset.img_infos]
    model = unwrapped(model)
    find = confident_predictions if kind == 'darkzurich' else _predictions
    with evaluating(model):
        return write_submission(kind, path, ((names[index], ids, confidence) for index, ids, confidence
                                             in find(model, data_loader, device)))


def _predictions(model: nn.Module, data_loader: DataLoader, device: torch.device | str
                 ) -> Iterator[tuple[int, np.ndarray, None]]:
    for index, _, ids in predict(model, data_loader, device):
        yield index, np.asarray(ids).astype(np.uint8), None


def confident_predictions(model: nn.Module, data_loader: DataLoader, device: torch.device | str
                          ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield (index, class ids uint8 (H W), their probabilities float32 (H W)) of each image; the
    probabilities are the mean over the augmentations."""
    batches = zip(data_loader.batch_sampler, data_loader)
    for indices, batch in tqdm(batches, total=len(data_loader), unit='img'):
        data = unwrap_batch(batch, device)
        views = list(zip(data['img'], data['img_metas']))
        mean = sum(model.inference(img, metas, True) for img, metas in views) / len(views)
        for index, (confidence, ids) in zip(indices, zip(*mean.max(dim=1))):
            yield index, ids.cpu().numpy().astype(np.uint8), confidence.cpu().numpy()
