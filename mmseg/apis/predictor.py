"""From a trained network's file to class maps, probabilities and entropies, without a config."""
from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv import Config
from mmcv.utils import import_modules_from_strings
from PIL import Image
from torch import Tensor, nn

from mmseg.checkpoint.files import checkpoints_of
from mmseg.checkpoint.weights import TEACHER_PREFIX, load_file
from mmseg.core.visualization import draw_overlay
from mmseg.datasets.loading.loader import collate, unwrap_batch
from mmseg.datasets.loading.size_groups import collate_by_size
from mmseg.datasets.pipelines import Compose
from mmseg.engine.evaluation import device_of, evaluating, on_host
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.uda import UDADecorator
from mmseg.utils import CheckpointError, ConfigError, DataError, get_root_logger
from mmseg.utils.config_text import config_of_text
from mmseg.utils.config_trust import imports_of

from .inference import LoadImage, load_step, segmentor_of, test_pipeline

Picture = str | os.PathLike | Image.Image | np.ndarray
# what PIL reads as more than 8 bits a band
DEEP_MODES = ('I', 'F')


@dataclass(frozen=True, repr=False)
class Prediction:
    """What a network says of an image, at the size of the image.

    Args:
        classes: class ids (H W), uint8 (int64 of more than 256 classes).
        probabilities: (C H W) float32, 0–1, of each pixel adding up to 1.
        entropy: −Σ p ln p of each pixel, (H W) float32, in nats, 0 to ln C.
    """

    classes: np.ndarray
    probabilities: np.ndarray
    entropy: np.ndarray

    def __repr__(self) -> str:
        height, width = self.classes.shape
        return f'Prediction({width}x{height}, {len(self.probabilities)} classes)'


class Predictor:
    """A network that takes images; :func:`load` makes one of a file.

    Args:
        network: or a method around it, also in the course of its training; modes are restored.
        cfg: its ``data.test.pipeline`` prepares the images.
        classes: names of the classes, by id.
        palette: RGB colours (0–255) of the classes, by id.

    Raises:
        ConfigError: a network that gives class maps alone.
        UserError: a config without a test pipeline.
    """

    def __init__(self, network: nn.Module, cfg: Config, classes: Sequence[str],
                 palette: Sequence[Sequence[int]]):
        network = network.get_model() if isinstance(network, UDADecorator) else network
        if not isinstance(network, EncoderDecoder):
            raise ConfigError(f'{type(network).__name__} is no EncoderDecoder, so it gives no probabilities')
        self.network, self.cfg, self.classes, self.palette = network, cfg, list(classes), list(palette)
        transforms = test_pipeline(cfg)
        load_image = load_step(transforms)
        self._colours = load_image.color_type == 'color'
        self._pipeline = Compose([LoadImage(load_image), *transforms[1:]])

    def __repr__(self) -> str:
        backbone = type(self.network.backbone).__name__
        return (f'Predictor({type(self.network).__name__} on {backbone}, {len(self.classes)} classes, '
                f'{device_of(self.network)})')

    def predict(self, images: Picture | Sequence[Picture], batch_size: int = 4,
                bgr: bool = False) -> Prediction | list[Prediction]:
        """
        Args:
            images: a path, a PIL image or a uint8 array (H W 3) of RGB; or a list of them, of any sizes. PIL
                images and arrays are taken as they are: a camera's orientation is followed in files alone.
                A network for other bands takes the arrays that its pipeline's ``color_type`` reads.
            batch_size: of a list, this many images at a time, those of one size together.
            bgr: arrays are BGR, as OpenCV reads them.

        Returns:
            of one image its prediction, of a list a list. An image's probabilities take 4 · C · H · W bytes.

        Raises:
            DataError, UserError: what is no image, or a file that cannot be read.
        """
        if isinstance(images, list | tuple):
            found: list[Prediction] = []
            for start in range(0, len(images), max(batch_size, 1)):
                found += self._predict(images[start:start + max(batch_size, 1)], bgr)
            return found
        return self._predict([images], bgr)[0]

    def picture(self, image: Picture, prediction: Prediction, opacity: float = 0.5,
                bgr: bool = False) -> np.ndarray:
        """The colours of a prediction over its image, RGB uint8 (H W 3).

        Args:
            image: as of :meth:`predict`.
            opacity: 1 shows the colours alone, 0 the image alone.
        """
        pixels = self._pipeline.transforms[0]({'img': self._as_read(image, bgr)})['img']
        return draw_overlay(pixels, prediction.classes, self.palette, opacity)[..., ::-1]

    def _predict(self, images: Sequence[Picture], bgr: bool) -> list[Prediction]:
        samples = [self._pipeline({'img': self._as_read(image, bgr)}) for image in images]
        found: dict[int, Prediction] = {}
        with evaluating(self.network):
            for places, batch in collate_by_size(samples, collate):
                data = unwrap_batch(batch, device_of(self.network))
                found.update(zip(places, _predictions(self.network, data['img'], data['img_metas'])))
        return [found[place] for place in range(len(images))]

    def _as_read(self, image: Picture, bgr: bool) -> str | np.ndarray:
        """A path, or the array that reading the file would give."""
        if isinstance(image, str | os.PathLike):
            return str(image)
        if isinstance(image, Image.Image):
            if self._colours and image.mode.startswith(DEEP_MODES):
                raise DataError(f"a PIL image of mode '{image.mode}' has no 8-bit colours: convert it first")
            image, bgr = np.asarray(image.convert('RGB') if self._colours else image), False
        if not isinstance(image, np.ndarray):
            raise DataError(f'an image is a path, a PIL image or an array, not a {type(image).__name__}')
        if not self._colours:
            return image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise DataError(f'an image array is uint8 (H W 3), got {image.dtype} {image.shape}')
        if not image.size:
            raise DataError(f'the image array has no pixels, it is {image.shape}')
        return np.ascontiguousarray(image if bgr else image[..., ::-1])


def _predictions(network: EncoderDecoder, views: list[Tensor], metas: list[list[dict]]) -> list[Prediction]:
    """Of a batch; over several augmentations the mean of the probabilities."""
    if len(views) == 1:
        logits = network.inference_logits(views[0], metas[0], True).float()
        classes, probabilities = logits.argmax(dim=1), logits.softmax(dim=1)
    else:
        total = sum(network.inference(view, meta, True).float() for view, meta in zip(views, metas))
        classes, probabilities = total.argmax(dim=1), total / len(views)
    entropies = torch.special.entr(probabilities).sum(dim=1)
    return [Prediction(on_host(ids, network.num_classes), p.cpu().numpy(), h.cpu().numpy())
            for ids, p, h in zip(classes, probabilities, entropies)]


def load(path: str | os.PathLike, device: str | torch.device = 'auto', *, best: bool = False,
         teacher: bool = False, config: str | Config | None = None, trust: bool = False) -> Predictor:
    """A trained network, ready for images.

    Args:
        path: a checkpoint file, of a training or of ``tools/publish_model.py``; or the folder of a run, of
            which the newest readable checkpoint is taken.
        device: 'auto', 'cpu', 'cuda:0', …
        best: of a folder, the checkpoint of the best evaluation (``evaluation.save_best``).
        teacher: the teacher of a UDA checkpoint in the student's place.
        config: its config, for files that do not hold it; of others it is the text in the file, which is read
            as data and not run.
        trust: import the modules that the kept config names in ``custom_imports``.

    Raises:
        CheckpointError: nothing there, or a file that cannot be read.
        ConfigError: no config, or one that needs modules which are not imported.
    """
    path = Path(path)
    file, loaded = _read_newest(path, best) if path.is_dir() else (str(path), load_file(str(path)))
    cfg = _kept_config(loaded.get('meta') or {}, file, trust) if config is None else config
    network = segmentor_of(cfg, loaded, file, device, TEACHER_PREFIX if teacher else 'auto')
    return Predictor(network, network.cfg, network.CLASSES, network.PALETTE)


def _read_newest(folder: Path, best: bool) -> tuple[str, dict[str, Any]]:
    """The newest checkpoint that can be read, and its content."""
    if best:
        files = sorted(folder.glob('best_*.pth'), key=lambda file: file.stat().st_mtime, reverse=True)
        lacking = 'best_*.pth: evaluation.save_best keeps one'
    else:
        files = [*checkpoints_of(folder).values()] or [*folder.glob('latest.pth')]
        lacking = 'iter_*.pth and no latest.pth: give the folder of a run, or a file'
    for number, file in enumerate(files, 1):
        try:
            return str(file), load_file(str(file))
        except CheckpointError as error:
            if number == len(files):
                raise
            get_root_logger().warning(f'{error}; taking an earlier one')
    raise CheckpointError(f"the folder '{folder}' holds no {lacking}")


def _kept_config(meta: Mapping[str, Any], file: str, trust: bool) -> Config:
    text = meta.get('config')
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"'{file}' does not hold its config: pass config=, the file that it was trained "
                          'with')
    cfg = config_of_text(text, file)
    missing = [name for name in imports_of(cfg) if name not in sys.modules]
    if missing and not trust:
        raise ConfigError(f"'{file}' was trained with the modules {', '.join(missing)} (custom_imports): "
                          'import them first, or pass trust=True')
    try:
        import_modules_from_strings(missing)
    except ImportError as error:
        raise ConfigError(f"'{file}' needs a module that cannot be imported: {error}") from None
    return cfg
