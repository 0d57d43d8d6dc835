"""From a trained translation and a source data set to a folder of translated images; see
mmseg/datasets/translated.py."""
from __future__ import annotations

import os.path as osp
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmcv import Config
from torch import Tensor, nn
from tqdm import tqdm

from mmseg.checkpoint.weights import load_file, load_weights, network_of, select_prefix
from mmseg.datasets import CustomDataset
from mmseg.datasets.pipelines import Resize
from mmseg.datasets.preparation.labels import working_in
from mmseg.datasets.translated import PROGRAM, RECORD, translated_name
from mmseg.engine.evaluation import device_of
from mmseg.engine.out_of_memory import oom_guard
from mmseg.models.translation import GENERATORS, JointUpsampling, ResNetGenerator
from mmseg.utils import ConfigError
from mmseg.utils.files import write_image

from .recorded_folder import RecordedFolder

FORWARD = GENERATORS[0]  # source → target


def init_generator(cfg: Config, checkpoint: str, device: torch.device) -> nn.Module:
    """The generator from source to target of a training with ``uda.type='CycleGAN'``.

    Args:
        checkpoint: of that training, or of the generator alone under the names of the authors' files.

    Raises:
        ConfigError: another training.
        CheckpointError: the file is missing, damaged or of another architecture.
    """
    uda = cfg.get('uda') or {}
    if uda.get('type') != 'CycleGAN':
        raise ConfigError(f"the config trains no translation: uda.type is {uda.get('type')!r}, expected "
                          "'CycleGAN'")
    generator = ResNetGenerator(norm='IN', blocks=uda.get('blocks', 9), channels=uda.get('channels', 64))
    state = network_of(load_file(checkpoint), prefix='', source=checkpoint)
    load_weights(generator, select_prefix(state, f'{FORWARD}.') or state, checkpoint)
    return generator.to(device).train()  # in eval mode InstanceNorm takes statistics of the training


@dataclass(frozen=True)
class Translator:
    """Translates images one by one.

    Args:
        generator: in training mode.
        resize: to what the generator sees; None leaves an image as it is.
        enlarge: brings translations back to the size of their images, along the edges of these.
    """

    generator: nn.Module
    resize: Resize | None = None
    enlarge: JointUpsampling | None = None

    @torch.inference_mode()
    def __call__(self, image: np.ndarray) -> np.ndarray:
        """BGR, uint8 (H W 3) → BGR, uint8 (h w 3)."""
        small = image if self.resize is None else self.resize(dict(img=image))['img']
        seen = self._to_unit(small)
        # the generator rounds sides up to a multiple of 4
        found = self.generator(seen)[..., :small.shape[0], :small.shape[1]]
        if self.enlarge is not None:
            found = self.enlarge(found, seen, self._to_unit(image))
        pixels = (127.5 * (found[0] + 1)).round().clamp(0, 255).byte()
        return np.ascontiguousarray(pixels.permute(1, 2, 0).cpu().numpy()[..., ::-1])

    def _to_unit(self, image: np.ndarray) -> Tensor:
        rgb = np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))
        return torch.from_numpy(rgb).to(device_of(self.generator)).float()[None] / 127.5 - 1


class TranslatedImages(RecordedFolder):
    """The folder of translated images, see ``RecordedFolder``."""

    WHAT = 'translated images'

    def __init__(self, folder: str, names: Sequence[str], settings: Mapping[str, Any]):
        super().__init__(folder, names, RECORD, PROGRAM, settings)


def translate_images(translator: Translator, datasets: Sequence[CustomDataset], folder: str,
                     settings: Mapping[str, Any]) -> int:
    """Write the translations of data sets, or go on where an earlier call was cut off.

    Args:
        datasets: in test mode, whose items have the image as ``img``.
        folder: see ``TranslatedImages``.
        settings: what the images depend on, to be written as JSON.

    Returns:
        how many were written now; the others were there.

    Raises:
        UserError: see ``RecordedFolder``; an image that cannot be read or is too large.
    """
    names = [osp.normpath(translated_name(info['filename'])) for dataset in datasets
             for info in dataset.img_infos]
    TranslatedImages(folder, names, settings)  # refused before anything is written
    with working_in(folder):
        done = TranslatedImages(folder, names, settings)
        done.remove_left_behind()
        missing = done.missing
        if missing or not done.record['complete']:
            done.record['complete'] = False
            done.save()
        items = [(dataset, k) for dataset in datasets for k in range(len(dataset))]
        todo = [(name, *item) for name, item in zip(names, items) if name in missing]
        device = device_of(translator.generator)
        with oom_guard(device, 'the translation of an image', '--size'):
            for name, dataset, k in tqdm(todo, desc='translations', unit='img', dynamic_ncols=True):
                write_image(osp.join(folder, name), translator(dataset[k]['img']))
        done.record['complete'] = True
        done.save()
    return len(todo)
