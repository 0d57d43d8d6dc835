"""Class ids out of a picture file: the numbers that are stored, or a refusal, never others."""
from __future__ import annotations

import io

import numpy as np
from PIL import Image

from .errors import UserError

PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
LOSSY = ('JPEG', 'MPO', 'JPEG2000', 'AVIF', 'HEIF')
LOSSY_IN_TIFF = ('jpeg', 'tiff_jpeg', 'webp', 'jpeg2000')
BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # tags of a TIFF
WHITE_IS_ZERO, SIGNED = 0, 2
UNREADABLE = (OSError, ValueError, SyntaxError)  # what Pillow says of a file that it does not know


def class_ids(pixels: np.ndarray, content: bytes, path: str) -> np.ndarray:
    """The ids that a label file stores, uint8 (H W).

    Args:
        pixels: of the file, decoded without conversion ('unchanged').
        content: of the file.
        path: for the message.

    Raises:
        UserError: several channels, a lossy format, or values that are not whole numbers of 0 ... 255.
    """
    pixels = _as_stored(pixels, content, path)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim != 2:
        raise UserError(f'the label {path} has {pixels.shape[-1]} channels, expected one with class '
                        'ids: is it a colour picture of the labels?')
    if pixels.dtype == np.uint8 or pixels.size == 0:
        return pixels.astype(np.uint8, copy=False)
    strange = pixels[~((pixels >= 0) & (pixels <= 255))]  # not-a-number as well
    if not strange.size and pixels.dtype.kind == 'f':
        strange = pixels[pixels != np.floor(pixels)]
    if strange.size:
        raise UserError(f'the label {path} has the value {strange.flat[0]}, expected whole numbers of '
                        '0 ... 255')
    return pixels.astype(np.uint8)


def _as_stored(pixels: np.ndarray, content: bytes, path: str) -> np.ndarray:
    """Take back what decoders do to the numbers of some files."""
    if content[:8] == PNG_SIGNATURE:
        depth, colour = content[24:26]
        return _unscaled(pixels, depth) if colour == 0 else pixels
    try:
        picture = Image.open(io.BytesIO(content))
    except UNREADABLE:
        return pixels
    with picture:
        if picture.format in LOSSY or _is_lossy_webp(picture, content):
            raise UserError(f'the label {path} is a {picture.format} file, whose lossy compression changes '
                            'class ids: make the labels anew, as PNG')
        if picture.format == 'TIFF':
            return _from_tiff(pixels, picture, path)
        if picture.format == 'PPM':
            _refuse_scaled_netpbm(picture, path)
    return pixels


def _unscaled(pixels: np.ndarray, depth: int) -> np.ndarray:
    """Decoders stretch grey values of fewer than 8 bits to 0 ... 255."""
    return pixels // np.uint8(255 // (2 ** depth - 1)) if depth < 8 and pixels.dtype == np.uint8 else pixels


def _is_lossy_webp(picture: Image.Image, content: bytes) -> bool:
    return picture.format == 'WEBP' and b'VP8L' not in (content[12:16], content[30:34])


def _from_tiff(pixels: np.ndarray, picture: Image.Image, path: str) -> np.ndarray:
    if picture.info.get('compression') in LOSSY_IN_TIFF:
        raise UserError(f'the label {path} is a TIFF file compressed as {picture.info["compression"]}, which '
                        'changes class ids: make the labels anew, as PNG')
    tags = getattr(picture, 'tag_v2')  # noqa: B009  (of its TIFF images alone)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        raise UserError(f'the label {path} is a TIFF file whose white is 0, which decoders turn round: '
                        'write it as PNG')
    bits = tags.get(BITS, (1,))[0]
    if bits == 8 and tags.get(SAMPLE_FORMAT, (1,))[0] == SIGNED and pixels.dtype == np.uint8:
        return pixels.view(np.int8)
    return _unscaled(pixels, bits) if tags.get(PHOTOMETRIC) == 1 else pixels


def _refuse_scaled_netpbm(picture: Image.Image, path: str) -> None:
    """Decoders stretch values whose greatest is not 255 or 65535, and turn those of one bit round."""
    arguments = getattr(picture, 'tile')[0][3]  # noqa: B009  (of images in files alone)
    greatest = arguments[-1] if isinstance(arguments, tuple) else 255
    if picture.mode == '1' or greatest not in (255, 65535):
        raise UserError(f'the label {path} is a Netpbm file whose values decoders change: write it as PNG')
