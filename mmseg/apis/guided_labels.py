"""Pseudo-labels of dark images that pictures of the same places in good light correct (MGCDA)."""
from __future__ import annotations

import os.path as osp
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmseg.datasets import CustomDataset
from mmseg.datasets.files import find_files
from mmseg.datasets.pipelines import LoadImageFromFile
from mmseg.datasets.pseudo_labels import picture_name
from mmseg.models.uda.mgcda import Correspondence, refined
from mmseg.utils import DataError
from mmseg.utils.files import file_digest
from mmseg.utils.reading import is_folder, read_lines

from .recorded_folder import digest, images_digest

DYNAMIC = ('person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle')
SKY = 'sky'
Predict = Callable[[CustomDataset, Sequence[int]], Iterator[Tensor]]


@dataclass(frozen=True)
class Guide:
    """
    Args:
        references: the data sets of pictures in good light, in test mode, one for each of the target.
        partners: for each image of each data set of the target, the number of its reference.
        geometry: folder of NAME.npz for the target image NAME; None for none.
    """

    references: Sequence[CustomDataset]
    partners: Sequence[Sequence[int]]
    geometry: str | None = None

    def refined(self, number: int, dataset: CustomDataset, todo: Sequence[int], found: Iterable[Tensor],
                predict: Predict) -> Iterator[Tensor]:
        """Correct predictions.

        Args:
            number: of the data set.
            todo: of its images.
            found: their probabilities (C H W).
            predict: gives those of images of a data set.

        Yields:
            (C H W).

        Raises:
            DataError: pictures of a place that differ in size, a damaged file.
        """
        lit = predict(self.references[number], [self.partners[number][k] for k in todo])
        dynamic = [k for k, name in enumerate(dataset.CLASSES) if name in DYNAMIC]
        sky = [*dataset.CLASSES].index(SKY) if SKY in dataset.CLASSES else None
        for k, dark_prob, lit_prob in zip(todo, found, lit):
            name = dataset.img_infos[k]['filename']
            path = osp.join(dataset.img_dir, name)
            image = LoadImageFromFile()({'img_info': {'filename': path}})['img'][..., ::-1] / np.float32(255)
            image = torch.from_numpy(image.transpose(2, 0, 1).copy()).to(dark_prob.device)
            known = self._geometry_of(picture_name(name, dataset.img_suffix), lit_prob.shape[-2:])
            try:
                yield refined(dark_prob[None], lit_prob[None], image[None], known, dynamic, sky)[0]
            except DataError as error:
                raise DataError(f'{path}: {error}') from None

    def _geometry_of(self, name: str, size: Sequence[int]) -> Correspondence | None:
        if self.geometry is None:
            return None
        path = osp.join(self.geometry, osp.splitext(name)[0] + '.npz')
        return read_correspondence(path, size) if osp.isfile(path) else None

    def settings(self, pairs: str | None) -> dict:
        """What the labels depend on, for a record."""
        files = [] if self.geometry is None else [
            (name, file_digest(osp.join(self.geometry, name))) for name in find_geometry(self.geometry)]
        return dict(references=images_digest(self.references), geometry=digest(files),
                    pairs=None if pairs is None else file_digest(pairs))


def find_geometry(folder: str) -> list[str]:
    """Raises:
        DataError: no such folder.
    """
    if not is_folder(folder):
        raise DataError(f'the folder of depth and matches {folder} does not exist')
    return find_files(folder, '.npz', '.npz file of depth and matches')


def read_correspondence(path: str, size: Sequence[int]) -> Correspondence:
    """Depth and matched points of a file.

    Args:
        path: .npz with ``depth`` (H W), metres, above 0, of the picture in good light, and ``points`` (N 4):
            x and y in it, x and y in the dark image, pixels.
        size: H and W.

    Raises:
        DataError: the file is damaged, or what it holds is something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            depth, points = (np.asarray(file[key], dtype=np.float64) for key in ('depth', 'points'))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is damaged, or has no 'depth' or 'points' ({error})") from None
    if depth.shape != tuple(size) or not (np.isfinite(depth) & (depth > 0)).all():
        raise DataError(f'{path}: depth of the shape {depth.shape}, expected {tuple(size)} metres above 0')
    if points.ndim != 2 or points.shape[1] != 4 or not np.isfinite(points).all():
        raise DataError(f'{path}: points of the shape {points.shape}, expected (N, 4) numbers')
    return Correspondence(depth, points[:, :2], points[:, 2:])


def pair_up(targets: Sequence[CustomDataset], references: Sequence[CustomDataset],
            pairs: str | None = None) -> list[list[int]]:
    """Which reference goes with which image.

    Args:
        pairs: file with a line for each image, its name, a tab and the name of its reference, as below the
            folders of images; None: the n-th goes with the n-th.

    Returns:
        For each data set and image the number of the reference.

    Raises:
        DataError: other numbers of data sets or images, a line that is no pair, an image without one.
    """
    if len(targets) != len(references):
        raise DataError(f'the target has {len(targets)} data sets and the references have '
                        f'{len(references)}, expected one each')
    if pairs is not None:
        return _listed(targets, references, pairs)
    for target, reference in zip(targets, references):
        if len(target) != len(reference):
            raise DataError(f'{target.img_dir} has {len(target)} images and {reference.img_dir}, their '
                            f'references, {len(reference)}: list which go together with --pairs')
    return [[*range(len(target))] for target in targets]


def _listed(targets: Sequence[CustomDataset], references: Sequence[CustomDataset],
            pairs: str) -> list[list[int]]:
    known = {}
    for line in read_lines(pairs, 'file of pairs'):
        names = line.split('\t')
        if len(names) != 2:
            raise DataError(f"the file of pairs {pairs} has the line '{line[:80]}', expected two names with "
                            'a tab between them')
        known[names[0]] = names[1]
    partners = []
    for target, reference in zip(targets, references):
        numbers = {info['filename']: k for k, info in enumerate(reference.img_infos)}
        for name in (info['filename'] for info in target.img_infos):
            if known.get(name) not in numbers:
                raise DataError(f'the file of pairs {pairs} names no image of {reference.img_dir} for {name}')
        partners.append([numbers[known[info['filename']]] for info in target.img_infos])
    return partners
