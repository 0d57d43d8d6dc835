"""Image, truth, prediction, error and entropy of each image of a data set, side by side."""
from __future__ import annotations

import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mmseg.core.pictures import Style, explained
from mmseg.core.visualization import read_image
from mmseg.datasets import ConcatDataset
from mmseg.datasets.loading.size_groups import sized_batches
from mmseg.engine.evaluation import evaluating, picture_names, unwrapped
from mmseg.models.losses import pixel_entropy
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.uda import UDADecorator
from mmseg.utils import ConfigError
from mmseg.utils.files import refuse_unmarked, write_image


def write_panels(model: nn.Module, loader: DataLoader, device: torch.device | str, folder: str,
                 style: Style) -> list[str]:
    """
    Args:
        model: the network, or a UDA method around it (then its student), on ``device``; its mode is restored.
        loader: of a data set in test mode; with several processes each writes its own images. Without
            labels the truth and the error are left out.
        folder: gets a PNG of each image, under the image's name.
        style: of the predictions.

    Returns:
        the paths of what was written.

    Raises:
        ConfigError: the network gives class maps alone.
        UserError: a file that is not of an earlier test is in the way, or a label that cannot be read.
    """
    network = unwrapped(model)
    network = network.get_model() if isinstance(network, UDADecorator) else network
    if not isinstance(network, EncoderDecoder):
        raise ConfigError(f'--panels shows entropies: of an EncoderDecoder, not of {type(network).__name__}')
    dataset, written = loader.dataset, []
    paths = [os.path.join(folder, name) for name in picture_names(dataset, lossless=True)]
    refuse_unmarked(paths)
    with evaluating(network):
        for indices, data in sized_batches(loader, device):
            logits = network.inference_logits(data['img'][0], data['img_metas'][0], True).float()
            entropies = pixel_entropy(logits).cpu().numpy()
            predictions = logits.argmax(dim=1).cpu().numpy()
            for index, meta, seg, entropy in zip(indices, data['img_metas'][0], predictions, entropies):
                picture = explained(read_image(meta['filename']), seg, style, _truth(dataset, index), entropy,
                                    dataset.ignore_index)
                write_image(paths[index], picture)
                written.append(paths[index])
    return written


def _truth(dataset: Dataset, index: int) -> np.ndarray | None:
    """None where there is no label file."""
    if isinstance(dataset, ConcatDataset):
        return _truth(*dataset.place(index))
    if dataset.ann_dir is None:
        return None
    path = os.path.join(dataset.ann_dir, dataset.img_infos[index]['ann']['seg_map'])
    return dataset.get_gt_seg_map(index) if os.path.isfile(path) else None
