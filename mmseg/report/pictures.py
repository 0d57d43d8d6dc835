"""Pictures small enough for the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

LEVELS = ((1100, 70), (900, 60), (750, 50), (600, 40), (480, 30), (320, 20))
"""(largest width in pixels, quality) of pictures, the best first."""
RIGHT, WRONG, IGNORED = 0, 1, 2
ERROR_COLOURS = ((214, 217, 222), (204, 51, 17), (90, 90, 90))


def read_picture(path: Path, grey: bool = False) -> np.ndarray | None:
    """BGR uint8 (H W 3), or (H W); None if it is missing or damaged."""
    return (
        cv2.imread(str(path), cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR) if path.is_file() else None
    )


def photo(picture: np.ndarray, width: int, quality: int) -> bytes:
    """A WebP, at most ``width`` wide."""
    return cv2.imencode(
        '.webp', narrowed(picture, width, cv2.INTER_AREA), [cv2.IMWRITE_WEBP_QUALITY, quality]
    )[1].tobytes()


def narrowed(picture: np.ndarray, width: int, interpolation: int) -> np.ndarray:
    if picture.shape[1] <= width:
        return picture
    size = width, max(round(picture.shape[0] * width / picture.shape[1]), 1)
    return cv2.resize(picture, size, interpolation=interpolation)


def label_picture(labels: np.ndarray, colours: tuple, width: int) -> bytes:
    """A PNG in the colours of the ids (H W); ids without one are black."""
    labels = narrowed(
        np.where(labels < len(colours), labels, len(colours)).astype(np.uint8), width, cv2.INTER_NEAREST
    )
    image = Image.fromarray(labels).convert('P')
    image.putpalette([part for colour in (*colours, (0, 0, 0)) for part in colour])
    file = io.BytesIO()
    image.save(file, 'PNG')
    return file.getvalue()


def error_map(prediction: np.ndarray, truth: np.ndarray, num_classes: int) -> np.ndarray:
    """RIGHT, WRONG or IGNORED, uint8 (H W)."""
    found = np.where(prediction == truth, RIGHT, WRONG)
    return np.where(truth >= num_classes, IGNORED, found).astype(np.uint8)


def heat(values: np.ndarray) -> np.ndarray:
    """0–255 (H W) in viridis, BGR."""
    return cv2.applyColorMap(values, cv2.COLORMAP_VIRIDIS)


def address(data: bytes) -> str:
    """A data address for the page."""
    kind = 'png' if data[:4] == b'\x89PNG' else 'webp'
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'


def byte_strings(node: object) -> Iterator[bytes]:
    """All pictures in nested dicts and lists."""
    if isinstance(node, bytes):
        yield node
    elif isinstance(node, (dict, list)):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from byte_strings(inner)


def with_addresses(node: object) -> object:
    """``node`` with the address of each picture in its place."""
    if isinstance(node, bytes):
        return address(node)
    if isinstance(node, dict):
        return {key: with_addresses(value) for key, value in node.items()}
    return [with_addresses(value) for value in node] if isinstance(node, list) else node
