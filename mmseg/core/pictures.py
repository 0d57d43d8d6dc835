"""Pictures that explain themselves: a legend, outlines, errors and entropies, panels side by side. All are
BGR uint8 (H W 3), as OpenCV has them."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .visualization import Palette, colorize, draw_overlay

WHITE, INK = (255, 255, 255), (40, 40, 40)
RIGHT, WRONG, IGNORED = (170, 200, 120), (60, 60, 220), (60, 60, 60)
LETTERS = 13  # size of the smallest text, pixels
ROW = 22
GAP = 8
LEGEND_WIDTH = 190


@dataclass(frozen=True)
class Style:
    """How a prediction is drawn over its image.

    Args:
        palette: one RGB colour (0–255) a class.
        classes: their names, for the legend.
        opacity: 1 shows the colours alone, 0 the image alone.
        outlines: draw the borders between classes, so that grey on grey is seen.
        legend: name the classes that are there at the right, the largest first, with their share of the area.
        rows: lines that the legend has room for at least, so that all frames of a video are of one size.

    Raises:
        UserError: opacity outside 0 ... 1, when it draws.
    """

    palette: Palette
    classes: Sequence[str] = ()
    opacity: float = 0.5
    outlines: bool = False
    legend: bool = False
    rows: int = 0

    def draw(self, img: np.ndarray, seg: np.ndarray) -> np.ndarray:
        """A prediction (H W) over its image; see ``draw_overlay``."""
        picture = draw_overlay(img, seg, self.palette, self.opacity)
        if self.outlines:
            picture = outlined(picture, seg)
        return with_legend(picture, seg, self.classes, self.palette, self.rows) if self.legend else picture


def outlined(picture: np.ndarray, seg: np.ndarray) -> np.ndarray:
    """The borders between classes in white, beside them a dark line, so that they show on any colour."""
    seg = np.asarray(seg).astype(np.int32)
    border = np.zeros(seg.shape, bool)
    border[:, 1:] |= seg[:, 1:] != seg[:, :-1]
    border[1:] |= seg[1:] != seg[:-1]
    around = cv2.dilate(border.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    drawn = picture.copy()
    drawn[around] = (0.4 * drawn[around]).astype(np.uint8)
    drawn[border] = WHITE
    return drawn


def areas(seg: np.ndarray, count: int) -> list[tuple[int, float]]:
    """(class id, share of the area 0–1) of the classes that are there, the largest first."""
    seg = np.asarray(seg)
    counts = np.bincount(seg[(seg >= 0) & (seg < count)].ravel(), minlength=count)
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda index: -counts[index])
    return [(index, counts[index] / seg.size) for index in order]


def with_legend(picture: np.ndarray, seg: np.ndarray, classes: Sequence[str], palette: Palette,
                rows: int = 0) -> np.ndarray:
    """The picture, and at its right the colours, names and shares of the classes that ``seg`` (H W) has. It
    is made higher where the names, or so many ``rows``, need it."""
    listed, k = areas(seg, len(palette)), text_scale(seg.shape[1])
    height = max(picture.shape[0], 2 * GAP + k * ROW * max(len(listed), rows))
    legend = np.full((height, k * LEGEND_WIDTH, 3), 255, np.uint8)
    for row, (index, _) in enumerate(listed):
        corners = (GAP, GAP + k * (row * ROW + 3)), (GAP + 18 * k, GAP + k * ((row + 1) * ROW - 5))
        cv2.rectangle(legend, *corners, [int(part) for part in palette[index]][::-1], -1)
        cv2.rectangle(legend, *corners, INK, 1)
    names = [classes[index] if index < len(classes) else str(index) for index, _ in listed]
    shares = [f'{100 * share:.0f} %' if share >= 0.005 else '< 1 %' for _, share in listed]
    lines = [(GAP + 26 * k, GAP + k * row * ROW, f'{name}  {share}')
             for row, (name, share) in enumerate(zip(names, shares))]
    return np.hstack([_to_height(picture, height), written(legend, lines, k)])


def text_scale(width: int) -> int:
    """How many times its smallest size text has beside pictures of this width, so that it can be read."""
    return max(1, round(width / 512))


def error_picture(seg: np.ndarray, truth: np.ndarray, ignore_index: int = 255) -> np.ndarray:
    """Where a prediction (H W) is wrong, red; right, green; without a label, dark."""
    seg, truth = np.asarray(seg), np.asarray(truth)
    picture = np.where((seg == truth)[..., None], np.array(RIGHT, np.uint8), np.array(WRONG, np.uint8))
    picture[truth == ignore_index] = IGNORED
    return picture


def entropy_picture(entropy: np.ndarray, num_classes: int, bar: bool = True) -> np.ndarray:
    """Entropies (H W) in nats from dark (0) to bright (ln C), with a bar of the colours below."""
    most = math.log(num_classes)
    grey = np.clip(255 * np.asarray(entropy) / most, 0, 255).round().astype(np.uint8)
    picture = cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)
    if not bar:
        return picture
    k = text_scale(picture.shape[1])
    scale = np.linspace(0, 255, picture.shape[1]).round().astype(np.uint8)[None].repeat(10 * k, axis=0)
    strip = np.full((k * ROW, picture.shape[1], 3), 255, np.uint8)
    end = f'{most:.2f} nats'
    lines = [(2, 2, '0'), (max(picture.shape[1] - 2 - text_width(end, k), 0), 2, end)]
    return np.vstack([picture, cv2.applyColorMap(scale, cv2.COLORMAP_VIRIDIS), written(strip, lines, k)])


def panels(pictures: Sequence[tuple[str, np.ndarray]], columns: int = 3) -> np.ndarray:
    """Pictures with their titles above, in rows of ``columns``; smaller ones have white around them. Of a
    title that is too long the end is shown."""
    titled = [np.vstack([_title(title, picture.shape[1]), picture]) for title, picture in pictures]
    height, width = (max(one.shape[axis] for one in titled) for axis in (0, 1))
    cells = [cv2.copyMakeBorder(one, 0, height - one.shape[0] + GAP, 0, width - one.shape[1] + GAP,
                                cv2.BORDER_CONSTANT, value=WHITE) for one in titled]
    columns = min(columns, len(cells))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[start:start + columns]) for start in range(0, len(cells), columns)])


def explained(img: np.ndarray, seg: np.ndarray, style: Style, truth: np.ndarray | None = None,
              entropy: np.ndarray | None = None, ignore_index: int = 255) -> np.ndarray:
    """Image, truth, prediction, error and entropy side by side, what there is of them, each of the size of
    ``seg`` (H W), with a legend of the classes of truth and prediction."""
    shown = {'image': draw_overlay(img, seg, style.palette, 0.0)}
    if truth is not None:
        shown['truth'] = colorize(truth, style.palette)
    shown['prediction'] = replace(style, legend=False).draw(img, seg)
    if truth is not None:
        wrong = ((seg != truth) & (truth != ignore_index)).sum() / max((truth != ignore_index).sum(), 1)
        shown[f'error: {100 * wrong:.1f} % of the labelled pixels'] = error_picture(seg, truth, ignore_index)
    if entropy is not None:
        title = f'entropy: mean {float(np.mean(entropy)):.2f} nats'
        shown[title] = entropy_picture(entropy, len(style.palette))
    named = seg if truth is None else np.vstack([seg, truth])
    return with_legend(panels([*shown.items()]), named, style.classes, style.palette, style.rows)


def _title(text: str, width: int) -> np.ndarray:
    k = text_scale(width)
    strip = np.full((k * ROW, width, 3), 255, np.uint8)
    return written(strip, [(2, 2, shortened(text, width - 4, k))], k)


def written(picture: np.ndarray, lines: Sequence[tuple[int, int, str]], scale: int = 1) -> np.ndarray:
    """Text at (x, y) of its upper left corner, pixels; ``scale`` times as large as the smallest."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    for x, y, text in lines:
        draw.text((x, y), text, fill=INK, font=_font(scale))
    return np.asarray(image)


def shortened(title: str, width: int, scale: int = 1) -> str:
    """The end of a title that takes more than ``width`` pixels."""
    if text_width(title, scale) <= width:
        return title
    starts = (start for start in range(1, len(title)) if text_width('…' + title[start:], scale) <= width)
    return '…' + title[next(starts, len(title)):]


def text_width(text: str, scale: int = 1) -> int:
    return math.ceil(_font(scale).getlength(text))


@cache
def _font(scale: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings: it has the letters of most languages."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / 'fonts' / 'ttf' / 'DejaVuSans.ttf'
    return ImageFont.truetype(str(path), scale * LETTERS)


def _to_height(picture: np.ndarray, height: int) -> np.ndarray:
    return cv2.copyMakeBorder(picture, 0, height - picture.shape[0], 0, 0, cv2.BORDER_CONSTANT, value=WHITE)
