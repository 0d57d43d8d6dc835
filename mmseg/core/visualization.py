"""Pictures of predictions."""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from mmseg.utils import UserError
from mmseg.utils.files import write_image

Palette = Sequence[Sequence[int]]


def colorize(seg: np.ndarray, palette: Palette) -> np.ndarray:
    """Class ids (H W) to a BGR uint8 picture (H W 3) in the RGB colours of ``palette``.

    Ids without a colour, such as the ignored 255, become black.
    """
    seg = np.asarray(seg)
    colours = np.zeros((len(palette) + 1, 3), np.uint8)
    colours[:-1] = np.asarray(palette, np.uint8)[:, ::-1]
    return colours[np.where((seg < 0) | (seg >= len(palette)), len(palette), seg)]


def draw_overlay(img: np.ndarray, seg: np.ndarray, palette: Palette,
                 opacity: float = 0.5) -> np.ndarray:
    """Blend the colours of a prediction over its image.

    Args:
        img: BGR uint8 (H W 3); resized to ``seg`` if its size differs. Of more bands the first three are
            shown, fewer as grey.
        seg: class ids (H W).
        palette: one RGB colour (0 ... 255) per class.
        opacity: 1 shows the colours alone, 0 the image alone.

    Returns:
        BGR uint8 picture of the size of ``seg``.

    Raises:
        UserError: opacity outside 0 ... 1.
    """
    if not 0 <= opacity <= 1:
        raise UserError(f'the opacity is {opacity}, expected a number between 0 and 1')
    colours = colorize(seg, palette)
    if img.shape[:2] != colours.shape[:2]:
        img = cv2.resize(img, colours.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    img = np.atleast_3d(img)
    img = np.ascontiguousarray(img[..., :3] if img.shape[2] >= 3 else img[..., :1].repeat(3, axis=2))
    return cv2.addWeighted(img, 1 - opacity, colours, opacity, 0)


def save_overlay(img: np.ndarray | str, seg: np.ndarray, palette: Palette, opacity: float,
                 out_file: str) -> None:
    """Write :func:`draw_overlay` of an image, or of an image file, to ``out_file``.

    Raises:
        UserError: the image cannot be read, the picture cannot be written or is the image itself.
    """
    write_image(out_file, draw_overlay(source_of(img, out_file), seg, palette, opacity))


def source_of(img: np.ndarray | str, out_file: str | None) -> np.ndarray:
    """The image of which ``out_file``, if there is one, will show a prediction.

    Raises:
        UserError: it cannot be read, or is the output itself.
    """
    if not isinstance(img, (str, os.PathLike)):
        return img
    if out_file and os.path.exists(img) and os.path.exists(out_file) and os.path.samefile(img, out_file):
        raise UserError(f"'{out_file}' is the image itself and would be overwritten: name another output")
    return read_image(img)


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Read an image file as BGR uint8 (H W 3).

    Raises:
        UserError: the file is missing or is no image.
    """
    if not os.path.isfile(path):
        fault = 'is a folder, no file' if os.path.isdir(path) else 'does not exist'
        raise UserError(f"the image '{path}' {fault}")
    try:
        img = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:  # e.g. a size that is absurd
        img = None
    if img is None:
        raise UserError(f"'{path}' cannot be read as an image: it is damaged or of another format")
    return img


def show_image(img: np.ndarray, title: str = '') -> None:
    """Show a BGR picture in a window until a key is pressed.

    Raises:
        UserError: this machine, or this build of OpenCV, has no windows.
    """
    try:
        cv2.imshow(title, img)
        cv2.waitKey(0)
    except cv2.error as error:
        raise UserError('cannot open a window on this machine: write the pictures to a folder '
                        'instead (--show-dir)') from error


def show_result(img: np.ndarray | str, seg: np.ndarray, palette: Palette, opacity: float = 0.5,
                out_file: str | None = None, show: bool = False, win_name: str = '',
                draw: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None) -> np.ndarray:
    """A prediction over its image, as ``model.show_result`` of the reference implementation gives it.

    Args:
        img: BGR uint8 (H W 3), or an image file.
        seg: class ids (H W).
        palette: one RGB colour (0 ... 255) per class.
        opacity: 1 shows the colours alone.
        out_file: also write the picture there.
        show: also show it in a window with the title ``win_name``.
        draw: makes the picture of image and class ids, in place of ``draw_overlay``.

    Returns:
        BGR uint8 picture of the size of ``seg``, or what ``draw`` makes.

    Raises:
        UserError: the image cannot be read, the picture not written or not shown.
    """
    source = source_of(img, out_file)
    picture = draw(source, seg) if draw else draw_overlay(source, seg, palette, opacity)
    if out_file is not None:
        write_image(out_file, picture)
    if show:
        show_image(picture, win_name)
    return picture
