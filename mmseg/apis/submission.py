"""From a network and a test set to the file for a benchmark's server."""
from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from mmseg.datasets.loading.size_groups import sized_batches
from mmseg.datasets.submission import BENCHMARKS, submission_names, write_maps, zip_maps
from mmseg.engine.evaluation import evaluating, on_host, predict, unwrapped
from mmseg.utils import UserError
from mmseg.utils.distributed import world


def make_submission(model: nn.Module, data_loader: DataLoader, device: torch.device | str, kind: str,
                    path: str, invalid_below: float = 0.0) -> int:
    """Test a network and write the complete zip for a benchmark.

    If torch.distributed is running, each rank tests its share of the images and the first one packs
    the zip; the bytes are the same however many ranks there are.

    Args:
        model: the network, on ``device``.
        data_loader: of the benchmark's test set, in order.
        kind: 'acdc', 'cityscapes' or 'darkzurich'.
        path: of the zip.
        invalid_below: for 'darkzurich', pixels of less confidence (0 ... 1) count as invalid.

    Returns:
        The number of images in it.

    Raises:
        UserError: a data set of another benchmark, two images of one name, or a file that cannot
            be written.
    """
    dataset, wanted = data_loader.dataset, BENCHMARKS[kind].dataset
    if type(dataset).__name__ != wanted:
        raise UserError(f'--submission {kind} needs a {wanted} as data.test, the config has a '
                        f'{type(dataset).__name__}')
    names = submission_names(info['filename'] for info in dataset.img_infos)
    model = unwrapped(model)
    find = confident_predictions if kind == 'darkzurich' else _predictions
    rank, ranks = world()
    with evaluating(model), _shared_folder(path) as folder:
        for index, ids, confidence in find(model, data_loader, device):
            write_maps(kind, folder, names[index], ids, confidence, invalid_below)
        if ranks > 1:
            torch.distributed.barrier()
        if rank == 0:
            zip_maps(kind, path, folder, names)
    return len(names)


@contextlib.contextmanager
def _shared_folder(path: str) -> Iterator[str]:
    """An empty folder beside ``path`` for the files of all ranks; the first rank removes it."""
    rank, ranks = world()
    place, name = os.path.split(os.path.abspath(path))
    folder = [None]
    if rank == 0:
        try:
            os.makedirs(place, exist_ok=True)
            folder = [tempfile.mkdtemp(dir=place, prefix=f'.{name}.')]
        except OSError as error:
            raise UserError(f'cannot write {path}: {error.strerror or error}') from None
    if ranks > 1:
        torch.distributed.broadcast_object_list(folder, src=0)
    try:
        yield folder[0]
    finally:
        if rank == 0:
            shutil.rmtree(folder[0], ignore_errors=True)


def _predictions(model: nn.Module, data_loader: DataLoader, device: torch.device | str
                 ) -> Iterator[tuple[int, np.ndarray, None]]:
    for index, _, ids in predict(model, data_loader, device):
        yield index, on_host(ids, 256), None


def confident_predictions(model: nn.Module, data_loader: DataLoader, device: torch.device | str
                          ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield (index, class ids uint8 (H W), their probabilities float32 (H W)) of each image; the
    probabilities are the mean over the augmentations."""
    batches = sized_batches(data_loader, device)
    for indices, data in tqdm(batches, total=len(data_loader), unit='batch', disable=world()[0] > 0):
        views = list(zip(data['img'], data['img_metas']))
        mean = sum(model.inference(img, metas, True) for img, metas in views) / len(views)
        for index, (confidence, ids) in zip(indices, zip(*mean.max(dim=1))):
            yield index, ids.cpu().numpy().astype(np.uint8), confidence.cpu().numpy()
