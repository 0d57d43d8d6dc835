"""How big a picture says it is, before anything of that size is allocated."""
from __future__ import annotations

import io
import os
import warnings

from PIL import Image, UnidentifiedImageError

from mmseg.utils.errors import BadFile, UserError

LIMIT_NAME = 'MMSEG_MAX_IMAGE_PIXELS'
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
