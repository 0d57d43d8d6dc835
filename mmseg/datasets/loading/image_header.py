"""What a picture says of itself: how big it is, before anything is allocated, and how it is to be turned."""
from __future__ import annotations

import io
import os
import warnings

from PIL import Image, UnidentifiedImageError

from mmseg.utils.errors import BadFile, UserError

LIMIT_NAME = 'MMSEG_MAX_IMAGE_PIXELS'
EXIF_WITHIN = 1 << 17  # bytes of a file in which its EXIF data begin
ORIENTATION_TAG = 0x0112
DEFAULT_MAX_PIXELS = 1 << 27  # 134 million, e.g. 16384x8192: 400 MB as colours


def max_pixels() -> int:
    """The most pixels that an image may have: the environment's MMSEG_MAX_IMAGE_PIXELS, or 134 million.

    Raises:
        UserError: the environment has no number there.
    """
    text = os.environ.get(LIMIT_NAME)
    if text is None:
        return DEFAULT_MAX_PIXELS
    if not text.isdigit() or int(text) < 1:
        raise UserError(f"the environment's {LIMIT_NAME} is '{text}', expected a number of pixels")
    return int(text)


def refuse_huge_image(content: bytes, path: str) -> None:
    """Look at the size in an image's header. Formats that Pillow does not know are left to the decoder,
    which has a limit of its own.

    Raises:
        BadFile: more than ``max_pixels()``, as small malicious files can claim.
    """
    limit = max_pixels()
    Image.MAX_IMAGE_PIXELS = limit  # Pillow, which may decode it afterwards, warns from there on
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                width, height = image.size
    except Image.DecompressionBombError:
        raise BadFile(f'the image {path} has more than twice {limit} pixels: {_hint()}') from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return
    if width * height > limit:
        raise BadFile(f'the image {path} says that it is {width}x{height}, which is more than {limit} '
                      f'pixels: {_hint()}')


def _hint() -> str:
    return f'if that is right, set the environment variable {LIMIT_NAME}'


def orientation(content: bytes) -> int:
    """How a picture's EXIF data say that it is to be turned: 1 (not at all) ... 8; from 5 on its sides swap.

    Args:
        content: of the file, or its beginning.
    """
    tiff = content[:4] in (b'II*\0', b'MM\0*')
    if not tiff and b'Exif\0\0' not in content[:EXIF_WITHIN] and b'eXIf' not in content[:EXIF_WITHIN]:
        return 1
    try:
        with Image.open(io.BytesIO(content)) as image:
            found = image.getexif().get(ORIENTATION_TAG, 1)
    except (OSError, ValueError, SyntaxError):
        return 1
    return found if found in range(1, 9) else 1


def turned_file(path: str) -> tuple[int, tuple[int, int]] | None:
    """(orientation, (height, width) after turning) of a picture that is to be turned; None of others."""
    try:
        with open(path, 'rb') as file:
            turned = orientation(file.read(EXIF_WITHIN))
        if turned == 1:
            return None
        with Image.open(path) as image:
            return turned, image.size if turned >= 5 else image.size[::-1]
    except (OSError, ValueError, SyntaxError):  # whoever decodes it says so
        return None


def refuse_turned(image: str, turned: int, size: tuple[int, int], label: str,
                  label_size: tuple[int, int]) -> None:
    """Labels are not turned; a photo that is no longer fits to a label of its stored pixels.

    Args:
        image: path.
        turned: its :func:`orientation`.
        size: its (height, width) as decoded, turned.
        label: path.
        label_size: its (height, width). One that only the turned photo can have is of the turned photo.

    Raises:
        UserError: the label may be that of the photo before it is turned.
    """
    stored = size[::-1] if turned >= 5 else size
    if turned != 1 and label_size == stored:
        raise UserError(f'the photo {image} is turned by its EXIF orientation ({turned}) and its label '
                        f'{label} is not: write the photo with its pixels turned (mogrify -auto-orient), or '
                        'remove the entry')
