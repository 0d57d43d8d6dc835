"""The pictures that a training made of itself, by step."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..panel import Panel
from ..pictures import LEVELS, address, narrowed, photo, read_picture
from ..record import RunRecord

FOLDER = 'class_mix_debug'
NAME = re.compile(r'(\d+)_(\d+)\.png')
MOST_PICTURES = 100


def training_panel(runs: Sequence[RunRecord], budget: int) -> Panel:
    """Pictures of all runs, thinned to MOST_PICTURES and reduced until they have at most ``budget`` bytes."""
    quota = max(MOST_PICTURES // max(len(runs), 1), 1)
    chosen = {number: thinned(pictures_of(run.folder), quota) for number, run in enumerate(runs)}
    missing = [
        f'{runs[number].folder.name}: no training pictures ({FOLDER}/), which adapting methods make'
        for number, found in chosen.items()
        if not found
    ]
    files = [(number, step, path) for number, found in chosen.items() for step, path in found]
    encoded, damaged = _encoded([path for _, _, path in files], budget)
    missing += [f'{path.parent.parent.name}: {path.name} is damaged' for path in damaged]
    listed = [
        {'run': number, 'step': step, 'src': address(encoded[path])}
        for number, step, path in files
        if path in encoded
    ]
    return Panel(
        'training',
        'Training pictures',
        'What steps of a training saw and predicted; the slider goes through the steps.',
        {'pictures': listed} if listed else {},
        tuple(missing),
    )


def pictures_of(folder: Path) -> list[tuple[int, Path]]:
    """(step, file): the first image of each step in order, then the second ones, …"""
    found = [
        (int(match[2]), int(match[1]), path)
        for path in folder.glob(f'{FOLDER}/*.png')
        if (match := NAME.fullmatch(path.name))
    ]
    return [(step, path) for _, step, path in sorted(found)]


def thinned(pictures: list[tuple[int, Path]], most: int) -> list[tuple[int, Path]]:
    """At most ``most``: the first images of each step before further ones, at equal distances; by step."""
    first = [picture for picture in pictures if picture[1].name.endswith('_0.png')]
    if len(first) >= most:
        places = np.linspace(0, len(first) - 1, most).round().astype(int)
        return [first[place] for place in places]
    return sorted(pictures[:most])


def _encoded(files: Sequence[Path], budget: int) -> tuple[dict[Path, bytes], list[Path]]:
    """(the pictures at the best level that fits, files that cannot be read)."""
    widest = max(width for width, _ in LEVELS)
    read = {path: read_picture(path) for path in files}
    damaged = [path for path, picture in read.items() if picture is None]
    pictures = {path: narrowed(picture, widest, cv2.INTER_AREA) for path, picture in read.items()
                if picture is not None}
    encoded: dict[Path, bytes] = {}
    for width, quality in LEVELS:
        encoded, size = {}, 0
        for path, picture in pictures.items():
            encoded[path] = photo(picture, width, quality)
            size += len(encoded[path])
            if size > budget:
                break
        else:
            break
    return encoded, damaged
