"""From an image to its segmentation, in three calls."""
from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmcv import Config
from torch import nn

from mmseg.checkpoint.weights import load_file, load_segmentor_weights
from mmseg.core.evaluation import generated_palette, get_classes, get_palette
from mmseg.core.visualization import Palette, draw_overlay, read_image
from mmseg.datasets.builder import leaf_configs
from mmseg.datasets.loading.loader import collate, unwrap_batch
from mmseg.datasets.pipelines import Compose, LoadImageFromFile
from mmseg.engine.evaluation import device_of, evaluating
from mmseg.models import build_segmentor
from mmseg.ops.cpu import accelerate
from mmseg.utils import UserError, get_root_logger
from mmseg.utils.config import load_config
from mmseg.utils.config_check import needed
from mmseg.utils.legacy import without_pretrained

Image = str | os.PathLike | np.ndarray


def choose_device(device: str | torch.device = 'auto') -> torch.device:
    """The device of that name; 'auto' is the first GPU if there is one, else the CPU.

    Raises:
        UserError: a name that is no device, or a GPU that is not there.
    """
    if str(device) == 'auto':
        return torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise UserError(f"'{device}' is no device: give auto, cpu or cuda:0") from error
    if chosen.type == 'cuda' and (chosen.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device '{device}' is not available (GPUs found: "
                        f'{torch.cuda.device_count()}): give auto or cpu')
    return chosen


def init_segmentor(config: str | Config, checkpoint: str | None = None,
                   device: str | torch.device = 'auto', prefix: str = 'auto') -> nn.Module:
    """Build a network ready for inference.

    Args:
        config: a config or its file; of UDA training the student network is built.
        checkpoint: its weights; None leaves them random.
        device: 'auto', 'cpu', 'cuda:0', ...
        prefix: which network of a UDA checkpoint: 'auto' the student, 'ema_model.' the teacher.

    Returns:
        the network in eval mode, with the attributes ``cfg``, ``CLASSES`` and ``PALETTE``.

    Raises:
        UserError: a missing or unreadable file, or a checkpoint of another architecture.
    """
    config = load_config(config)  # before the checkpoint, which may take long to read
    loaded = None if checkpoint is None else load_file(checkpoint)
    return segmentor_of(config, loaded, str(checkpoint), device, prefix)


def segmentor_of(config: str | Config, loaded: Mapping[str, Any] | None, source: str,
                 device: str | torch.device = 'auto', prefix: str = 'auto') -> nn.Module:
    """:func:`init_segmentor` of a checkpoint that is read already.

    Args:
        loaded: what ``mmseg.checkpoint.weights.load_file`` returned; None leaves the weights random.
        source: its file, for messages.
    """
    device = choose_device(device)
    cfg = load_config(config)
    model = build_segmentor(without_pretrained(needed(cfg, 'model', 'a network')))
    meta: Mapping[str, Any] = {}
    if loaded is not None:
        load_segmentor_weights(model, loaded, prefix=prefix, source=source)
        meta = loaded.get('meta') or {}
    model.CLASSES, model.PALETTE = classes_and_palette(meta, cfg, num_classes_of(cfg))
    model.cfg = cfg
    return accelerate(model.to(device)).eval()


def input_bands(model: nn.Module) -> int:
    """The number of bands of a network's images, by its first convolution."""
    return next((layer.in_channels for layer in model.modules() if isinstance(layer, nn.Conv2d)), 3)


def num_classes_of(cfg: Config) -> int:
    """The number of classes that a config's decode head tells apart."""
    head = cfg.model['decode_head']
    return (head[-1] if isinstance(head, (list, tuple)) else head)['num_classes']


def classes_and_palette(meta: Mapping[str, Any], cfg: Mapping[str, Any],
                        num_classes: int) -> tuple[list[str], list[list[int]]]:
    """Names and RGB colours of the classes: from a checkpoint's ``meta``, else (with a warning) those
    of the config's test set, of Cityscapes if the number fits, or made up."""
    # a palette may be a numpy array
    classes, palette = ([] if meta.get(key) is None else list(meta[key]) for key in ('CLASSES', 'PALETTE'))
    if classes and palette:
        return [str(name) for name in classes], [[int(part) for part in colour] for colour in palette]
    test = (cfg.get('data') or {}).get('test') or {}
    for name in (test.get('type') if isinstance(test, Mapping) else None, 'cityscapes'):
        try:
            known, colours = get_classes(name), get_palette(name)
        except UserError:
            continue
        if len(known) == num_classes:
            get_root_logger().warning(f'the checkpoint does not name its classes: taking those of {name}')
            return list(classes or known), colours
    get_root_logger().warning(f'the checkpoint does not name its classes: numbering {num_classes}')
    return list(classes or map(str, range(num_classes))), generated_palette(num_classes)


class LoadImage:
    """First step of an inference pipeline: takes ``img``, a path or a BGR uint8 array (H W 3).

    Args:
        load: reads the files of networks for other images than BGR ones, whose arrays may be (H W) or
            (H W C).
    """

    def __init__(self, load: LoadImageFromFile):
        self.load = load

    def __call__(self, results: dict) -> dict:
        img = results['img']
        name = None if isinstance(img, np.ndarray) else str(img)
        colours = self.load.color_type == 'color'
        if name:
            img = read_image(img) if colours else self.load({'img_info': {'filename': name}})['img']
        if colours and (img.ndim != 3 or img.shape[2] != 3):
            raise UserError(f'an image must be BGR (H W 3), got the shape {img.shape}')
        return {**results, 'img': img, 'filename': name, 'ori_filename': name,
                'img_shape': img.shape, 'ori_shape': img.shape, 'pad_shape': img.shape,
                'scale_factor': 1.0, 'seg_fields': [], 'img_fields': ['img'],
                'img_norm_cfg': identity_norm(img)}


def identity_norm(img: np.ndarray) -> dict:
    """What pixels that are not normalised yet were normalised with."""
    channels = np.atleast_3d(img).shape[2]
    return {'mean': np.zeros(channels, np.float32), 'std': np.ones(channels, np.float32), 'to_rgb': False}


def load_step(transforms: Sequence[dict]) -> LoadImageFromFile:
    """The first transform of a pipeline if it reads images, else one that reads them as BGR."""
    first = transforms[0] if transforms else {}
    if not isinstance(first, Mapping) or first.get('type') != 'LoadImageFromFile':
        return LoadImageFromFile()
    return LoadImageFromFile(**{key: value for key, value in first.items() if key != 'type'})


def inference_segmentor(model: nn.Module, img: Image | Sequence[Image]) -> list[np.ndarray]:
    """Segment images with a network of :func:`init_segmentor`.

    Args:
        model: its ``cfg.data.test.pipeline`` prepares the image.
        img: a path, a BGR uint8 array (H W 3), or a sequence of them (of any sizes). Networks for images of
            other bands take what the pipeline's color_type reads.

    Returns:
        one map of class ids (H W), at the size of the image, per image.

    Raises:
        UserError: an image that cannot be read.
    """
    images = list(img) if isinstance(img, (list, tuple)) else [img]
    transforms = test_pipeline(model.cfg)
    pipeline = Compose([LoadImage(load_step(transforms)), *transforms[1:]])
    device = device_of(model)
    maps = []
    with evaluating(model):
        for image in images:
            # one at a time: images of different sizes do not make a batch
            batch = collate([pipeline({'img': image})])
            maps += model(return_loss=False, rescale=True, **unwrap_batch(batch, device))
    return maps


def test_pipeline(cfg: Config) -> list[dict]:
    """The transforms of a config's test set.

    Raises:
        UserError: the config has none.
    """
    test = (cfg.get('data') or {}).get('test')
    test = next(iter(leaf_configs(test)), None) if test else test
    if not isinstance(test, Mapping) or not test.get('pipeline'):
        raise UserError('the config has no data.test.pipeline, which says how to prepare an image')
    return list(test['pipeline'])


def show_result_pyplot(model: nn.Module, img: Image, result: Sequence[np.ndarray],
                       palette: Palette | None = None, fig_size: tuple[float, float] = (15, 10),
                       opacity: float = 0.5, title: str = '', block: bool = True) -> None:
    """Show a segmentation over its image in a matplotlib figure, e.g. in a notebook.

    Args:
        model: gives the palette if none is given.
        img: a path, or a BGR uint8 array (H W 3).
        result: what :func:`inference_segmentor` returned for it.
        palette: one RGB colour per class.
        fig_size: in inches.
        opacity: of the colours, 0 ... 1.
        block: wait until the window is closed.
    """
    import matplotlib.pyplot as plt
    img = img if isinstance(img, np.ndarray) else read_image(img)
    picture = draw_overlay(img, result[0], palette or model.PALETTE, opacity)
    plt.figure(figsize=fig_size)
    plt.imshow(picture[..., ::-1])
    plt.title(title)
    plt.tight_layout()
    plt.show(block=block)
