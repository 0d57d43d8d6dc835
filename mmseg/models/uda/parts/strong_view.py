"""The strong view of a crop, whose geometry is kept so that maps of the weak view can follow (ProDA: Zhang et
al., CVPR 2021, section 3.2; microsoft/ProDA). Colours are changed by torchvision.

Operations and their ranges are those of RandAugment (Cubuk et al., NeurIPS 2020) and FixMatch (Sohn et al.,
NeurIPS 2020).
"""
from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg.utils import ConfigError
from mmseg.utils.ranges import check_range

from .strong_augment import normalisation

GREY = 0.5  # of what a geometric operation or the cutout leaves empty
Box = tuple[int, int, int, int]


def _colours() -> ModuleType:
    """torchvision's functions. They take seconds to import, which only those who use them wait for."""
    from torchvision.transforms.v2 import functional

    return functional


def sharpness(image: Tensor, factor: float) -> Tensor:
    """``adjust_sharpness`` of an image in [0, 1] (… 3 H W); torchvision's synchronizes with the GPU, to which
    it copies its kernel: ones, and five in the middle."""
    inner = image[..., 1:-1, 1:-1]
    smooth = (9 * F.avg_pool2d(image, 3, stride=1) + 4 * inner) / 13
    sharp = image.clone()
    sharp[..., 1:-1, 1:-1] = torch.lerp(smooth, inner, factor)
    return sharp.clamp(0, 1)


# name: (change of an image in [0, 1] (… 3 H W) by a magnitude, range of the magnitudes)
COLOURS: dict[str, tuple[Callable[[Tensor, float], Tensor], tuple[float, float]]] = {
    'Identity': (lambda x, _: x, (0, 0)),
    'AutoContrast': (lambda x, _: _colours().autocontrast(x), (0, 0)),
    'Equalize': (lambda x, _: _colours().equalize(x), (0, 0)),
    'Brightness': (lambda x, factor: _colours().adjust_brightness(x, factor), (0.05, 0.95)),
    'Color': (lambda x, factor: _colours().adjust_saturation(x, factor), (0.05, 0.95)),
    'Contrast': (lambda x, factor: _colours().adjust_contrast(x, factor), (0.05, 0.95)),
    'Sharpness': (sharpness, (0.05, 0.95)),
    'Posterize': (lambda x, bits: _colours().posterize(x, round(bits)), (4, 8)),
    'Solarize': (lambda x, threshold: _colours().solarize(x, threshold), (0, 1)),
}
# degrees counter-clockwise; pixels a pixel; shares of the width or height
GEOMETRY = {'Rotate': (-30, 30), 'ShearX': (-0.3, 0.3), 'ShearY': (-0.3, 0.3),
            'TranslateX': (-0.3, 0.3), 'TranslateY': (-0.3, 0.3)}


def operation_matrix(name: str, magnitude: float, size: tuple[int, int]) -> list[list[float]]:
    """Where each pixel of the changed image comes from, 2 × 3, in coordinates that run from −1 to 1 over the
    image, so that it holds for a map of any resolution.

    Args:
        name: one of ``GEOMETRY``.
        magnitude: degrees counter-clockwise about the centre; for shears the columns (X) or rows (Y) by which
            the content moves a row or column, from the top left corner; for translations the share of the
            width (X) or height (Y) by which it moves to the left or up.
        size: height and width, whose ratio counts.
    """
    ratio = size[0] / size[1]
    if name == 'Rotate':
        cosine, sine = math.cos(math.radians(magnitude)), math.sin(math.radians(magnitude))
        return [[cosine, -sine * ratio, 0], [sine / ratio, cosine, 0]]
    if name == 'ShearX':
        return [[1, magnitude * ratio, magnitude * ratio], [0, 1, 0]]
    if name == 'ShearY':
        return [[1, 0, 0], [magnitude / ratio, 1, magnitude / ratio]]
    if name == 'TranslateX':
        return [[1, 0, 2 * magnitude], [0, 1, 0]]
    return [[1, 0, 0], [0, 1, 2 * magnitude]]


def resample(image: Tensor, matrix: list[list[float]], fill: float) -> Tensor:
    """Nearest pixels of an image or map (C H W) at the places of ``operation_matrix``; ``fill`` outside."""
    theta = torch.tensor([matrix], dtype=image.dtype).to(image.device, non_blocking=True)
    grid = F.affine_grid(theta, (1, *image.shape), align_corners=False)
    return F.grid_sample(image[None] - fill, grid, mode='nearest', align_corners=False)[0] + fill


@dataclass(frozen=True)
class StrongView:
    """What is done to one crop: mirrored, changed by some operations in turn, a box cut out.

    Args:
        size: height and width of the crop in pixels.
        flip: mirrored from left to right.
        operations: (name, magnitude) of ``COLOURS`` or ``GEOMETRY``.
        cutout: left, right, top, bottom of the box in pixels; None cuts nothing.
        translation_as_released: the authors' code moves the *maps* by TranslateX as if the crop were as wide
            as it is high, so further than the image if it is wider. False moves both alike.

    Raises:
        ConfigError: an operation that is not known.
    """

    size: tuple[int, int]
    flip: bool = False
    operations: tuple[tuple[str, float], ...] = ()
    cutout: Box | None = None
    translation_as_released: bool = False

    def __post_init__(self) -> None:
        for name, _ in self.operations:
            if name not in COLOURS and name not in GEOMETRY:
                raise ConfigError(f"strong view: operation '{name}', expected one of "
                                  f"{', '.join([*COLOURS, *GEOMETRY])}")

    @classmethod
    def draw(cls, size: tuple[int, int], operations: int = 2, cutout: float = 1 / 3, flip: float = 0.5,
             translation_as_released: bool = False) -> StrongView:
        """Draw from Python's ``random``: the flip, each operation with its magnitude, the box.

        Args:
            size: height and width of the crop in pixels.
            operations: how many, out of all with replacement; magnitudes are uniform in their ranges.
            cutout: side of the box as a share of the shorter side; its centre is uniform in the crop, and
                what lies outside is lost. 0 cuts nothing.
            flip: probability.
        """
        check_range(cutout, 'strong view: cutout', 0, 1)
        check_range(flip, 'strong view: flip', 0, 1)
        flips = random.random() < flip
        ranges = {**{name: limits for name, (_, limits) in COLOURS.items()}, **GEOMETRY}
        names = [random.choice(list(ranges)) for _ in range(operations)]
        drawn = tuple((name, random.uniform(*ranges[name])) for name in names)
        box = _draw_box(size, cutout) if cutout else None
        return cls(tuple(size), flips, drawn, box, translation_as_released)

    def image(self, image: Tensor) -> Tensor:
        """The strong view of an image in [0, 1], (3 H W); empty places are grey."""
        image = image.flip(-1) if self.flip else image
        for name, magnitude in self.operations:
            if name in COLOURS:
                image = COLOURS[name][0](image, magnitude)
            else:
                image = resample(image, operation_matrix(name, magnitude, self.size), GREY)
        return self._cut(image, GREY)

    def map(self, weak: Tensor, fill: float = 0.0) -> Tensor:
        """The strong view of a map of the weak view (C h w), of any resolution; ``fill`` in empty places."""
        weak = weak.flip(-1) if self.flip else weak
        for name, magnitude in self.operations:
            if name in GEOMETRY:
                if name == 'TranslateX' and self.translation_as_released:
                    magnitude *= self.size[1] / self.size[0]
                weak = resample(weak, operation_matrix(name, magnitude, self.size), fill)
        return self._cut(weak, fill)

    def _cut(self, image: Tensor, fill: float) -> Tensor:
        if self.cutout is None:
            return image
        height, width = image.shape[-2:]
        left, right = (x * width // self.size[1] for x in self.cutout[:2])
        top, bottom = (y * height // self.size[0] for y in self.cutout[2:])
        image = image.clone()
        image[..., top:bottom, left:right] = fill
        return image


def _draw_box(size: tuple[int, int], share: float) -> Box:
    height, width = size
    side = round(share * min(size))
    left, top = (math.floor(random.random() * length) - side // 2 for length in (width, height))
    return max(left, 0), min(left + side, width), max(top, 0), min(top + side, height)


def warp_distances(distance: Tensor, views: list[StrongView]) -> tuple[Tensor, Tensor]:
    """Distances of the weak views (B C h w) → those of the strong ones, 0 where there is none, and where
    there is one, (B 1 h w) bool."""
    warped = torch.stack([view.map(d) for d, view in zip(distance, views)])
    ones = distance.new_ones(1, *distance.shape[-2:])
    valid = torch.stack([view.map(ones) for view in views]) > 0.5
    return warped, valid


def warp_labels(label: Tensor, views: Sequence[StrongView], ignore_index: int) -> Tensor:
    """Class ids of the weak views (B h w), int64 → those of the strong ones, ignored where there is none."""
    warped = [view.map(one[None].float(), float(ignore_index)) for one, view in zip(label, views)]
    return torch.cat(warped).long()


def strong_images(img: Tensor, img_metas: Sequence[dict], views: Sequence[StrongView]) -> Tensor:
    """Normalised images (B 3 H W) → their strong views, normalised alike.

    Args:
        img_metas: meta data with 'img_norm_cfg', one an image.
    """
    strong = []
    for one, meta, view in zip(img, img_metas, views):
        mean, std = (x[0] for x in normalisation(meta, img.device))
        strong.append((view.image((one * std + mean).clamp(0, 1)) - mean) / std)
    return torch.stack(strong)
