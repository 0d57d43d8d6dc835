"""Strong augmentation of the mixed image (DACS, Tranheden et al., WACV 2021; method.md, steps 2 and 7).

Whether an augmentation fires is drawn once a step for the whole batch; how strong it is, once an image. What
is drawn lies on the host, and reaches the device without waiting for it.
"""
from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmseg.core.graphs import AS_WRITTEN, Graphs
from mmseg.utils import ConfigError, DataError
from mmseg.utils.ranges import check_range
from mmseg.utils.registry import check_keys

# Functions of kornia.enhance, in the order of kornia's numbers for them.
JITTERS = dict(brightness='adjust_brightness_accumulative', contrast='adjust_contrast_with_mean_subtraction',
               saturation='adjust_saturation_with_gray_subtraction', hue='adjust_hue')
MOST_JITTER = dict(brightness=1, hue=0.5)  # beyond, kornia refuses


def checked_augmentation(blur: bool, jitter_threshold: float, strength: float | dict) -> dict:
    """The keyword arguments of ``StrongAugmentation.draw``.

    Raises:
        ConfigError: a strength that kornia's ColorJitter does not take, or one it does not know.
    """
    check_range(jitter_threshold, 'uda.color_jitter_probability', 0, 1)
    if isinstance(strength, Mapping):
        check_keys(strength, JITTERS, 'uda.color_jitter_strength')
        missing = [name for name in JITTERS if name not in strength]
        if missing:
            raise ConfigError(f"key '{missing[0]}' is missing in uda.color_jitter_strength")
    strengths = strength if isinstance(strength, Mapping) else dict.fromkeys(JITTERS, strength)
    for name, value in strengths.items():
        check_range(value, f'uda.color_jitter_strength ({name})', 0, MOST_JITTER.get(name, math.inf))
    return dict(blur=blur, jitter_threshold=jitter_threshold, strength=strength)


@dataclass(frozen=True)
class StrongAugmentation:
    """The draws of one step.

    Args:
        jitter: u_jitter ~ U(0, 1); colour jitter fires if it is above ``jitter_threshold``.
        blur: u_blur ~ U(0, 1), 0 if blur is off; blur fires above 0.5.
        jitter_threshold: ``color_jitter_probability`` of the configs: 0.2 fires on 80 % of the steps.
        strength: s, of brightness, contrast, saturation and hue alike; or a dict with one of each.
        graphs: may compile what applies the jitter.
    """

    jitter: float
    blur: float
    jitter_threshold: float
    strength: float | dict
    graphs: Graphs = AS_WRITTEN

    @classmethod
    def draw(cls, blur: bool, jitter_threshold: float, strength: float | dict,
             graphs: Graphs = AS_WRITTEN) -> StrongAugmentation:
        """Draw from Python's ``random``, u_jitter first."""
        jitter = random.random()
        return cls(jitter, random.random() if blur else 0.0, jitter_threshold, strength, graphs)

    def __call__(self, images: Tensor, img_metas: Sequence[dict], together: bool = False) -> Tensor:
        """Normalised images (B C H W) → augmented ones; normalised as ``img_metas`` says.

        Args:
            together: draw for all images at once: a jitter for each, in one order, and one blur.
        """
        jitters, blurs = self.jitter > self.jitter_threshold, self.blur > 0.5
        if not (jitters or blurs):
            return images
        return torch.cat([self._augment(image, meta, jitters, blurs) for image, meta in zip(
            images.split(len(images) if together else 1), img_metas)])

    def _augment(self, image: Tensor, meta: dict, jitters: bool, blurs: bool) -> Tensor:
        if jitters:
            mean, std = (value.to(image.dtype) for value in normalisation(meta, image.device))
            image = (jitter_bands(image * std + mean, self.strength, self.graphs) - mean) / std
        return gaussian_blur(image, np.random.uniform(0.15, 1.15)) if blurs else image


def normalisation(img_meta: dict, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of an image in [0, 1], each (1 C 1 1), from its meta data."""
    config = img_meta['img_norm_cfg']
    both = torch.from_numpy(np.array([config['mean'], config['std']], dtype=np.float32) / 255.0)
    mean, std = both.view(2, 1, -1, 1, 1).to(device, non_blocking=True)
    return mean, std


def jitter_bands(image: Tensor, strength: float | dict, graphs: Graphs = AS_WRITTEN) -> Tensor:
    """``color_jitter`` of an image (1 C H W) in [0, 1]: of its first three bands, which are colours; of a
    grey image as of one with three equal bands. Further bands (near infrared, depth) stay as they are.

    Raises:
        DataError: the image has two bands.
    """
    bands = image.shape[1]
    if bands == 1:
        return color_jitter(image.expand(-1, 3, -1, -1), strength, graphs)[:, :1]
    if bands == 2:
        raise DataError('colour jitter needs images of 1, 3 or more bands, and these have 2: set '
                        'uda.color_jitter_probability=1, which leaves it out')
    jittered = color_jitter(image[:, :3], strength, graphs)
    return jittered if bands == 3 else torch.cat([jittered, image[:, 3:]], dim=1)


def color_jitter(image: Tensor, strength: float | dict, graphs: Graphs = AS_WRITTEN) -> Tensor:
    """kornia's ColorJitter with brightness = contrast = saturation = hue = ``strength``, or with the
    strengths of a dict, of an image (1 3 H W) in [0, 1]. Its parts one by one: as a whole it looks at values
    that, on a GPU, it would wait for."""
    factors, order = draw_jitter(image, strength)
    return apply_jitter(image, factors, order, graphs)


def draw_jitter(image: Tensor, strength: float | dict) -> tuple[Tensor, tuple[int, ...]]:
    """The draws of ``color_jitter``, on the host: the factor of each of ``JITTERS`` (4 B), hue in radians, on
    the device and in the precision of ``image`` (B 3 H W); and the order of the four, by their places."""
    import kornia  # most of a second, which only what trains with it needs to wait for

    if not isinstance(strength, dict):
        strength = dict.fromkeys(JITTERS, strength)
    drawn = kornia.augmentation.ColorJitter(**strength).forward_parameters(image.shape)
    factors = torch.stack([drawn[f'{name}_factor'] * (math.tau if name == 'hue' else 1) for name in JITTERS])
    return factors.to(image.device, image.dtype, non_blocking=True), tuple(drawn['order'].tolist())


def apply_jitter(image: Tensor, factors: Tensor, order: Sequence[int],
                 graphs: Graphs = AS_WRITTEN) -> Tensor:
    """``color_jitter`` with what was drawn for it; draws nothing, so that it can be compiled: each of the
    four for itself, as the whole would be another graph in each of their 24 orders."""
    from kornia import enhance

    steps = [getattr(enhance, name) for name in JITTERS.values()]
    image = image.clamp(0, 1)
    for k in order:
        image = graphs.of_varying_order(steps[k])(image, factors[k])
    return image.clamp(0, 1)


def blur_kernel_size(side: int) -> int:
    """⌊⌈0.1·side⌉ − 0.5 + ⌈0.1·side⌉ mod 2⌋: an odd number near a tenth of the side, in pixels."""
    tenth = math.ceil(0.1 * side)
    return math.floor(tenth - 0.5 + tenth % 2)


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (1 3 H W), σ in pixels."""
    from kornia import filters

    sigmas = torch.tensor([[sigma]], dtype=image.dtype)
    of_height, of_width = (
        filters.get_gaussian_kernel1d(blur_kernel_size(side), sigmas)
        .to(image.device, non_blocking=True) for side in image.shape[2:])
    return filters.filter2d_separable(image, of_width, of_height)
