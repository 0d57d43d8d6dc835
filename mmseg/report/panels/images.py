"""Images that runs predicted best, worst and most differently, side by side."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmseg.core.evaluation import generated_palette
from mmseg.engine.evaluation_record import FOLDER, IMAGES_FILE

from ..panel import Panel, plain
from ..pictures import (
    ERROR_COLOURS,
    LEVELS,
    byte_strings,
    error_map,
    heat,
    label_picture,
    narrowed,
    photo,
    read_picture,
    with_addresses,
)
from ..record import RunRecord, read_json

NUMBERS = (12, 12, 10, 8, 6, 4)
"""Of images on the page, at each of LEVELS."""
ABOUT = (
    'Choose two runs and drag the divider: left of it run A, right of it run B. Images are of the validation '
    'set, the same ones of every run.'
)
MADE_BY = (
    'no kept predictions; a training keeps them after its last evaluation, and tools/report.py --predict '
    'makes them from its last checkpoint'
)


@dataclass(frozen=True)
class Kept:
    """One image of one run: its folder and files' stem, its mIoU and pixel accuracy (0–1)."""

    folder: Path
    stem: str
    scores: Mapping[str, Any]

    def read(self, what: str) -> np.ndarray | None:
        suffix = 'jpg' if what in ('image', 'entropy') else 'png'
        return read_picture(self.folder / f'{self.stem}_{what}.{suffix}', grey=what != 'image')

    def kept(self, what: str) -> np.ndarray:
        """``read`` of a complete one."""
        picture = self.read(what)
        assert picture is not None, (self.stem, what)
        return picture

    @property
    def complete(self) -> bool:
        return all(self.read(what) is not None for what in ('truth', 'prediction', 'entropy'))


def images_panel(runs: Sequence[RunRecord], budget: int) -> Panel:
    """Of the kept images those with the highest and lowest mean mIoU over runs and with the largest spread,
    as many and as large as fit into ``budget`` bytes."""
    missing: list[str] = []
    kept: dict[str, dict[int, Kept]] = {}
    names: dict[str, list] = {}
    for number, run in enumerate(runs):
        found, listed = _kept_of(run, missing)
        names = names or listed
        for name, one in found.items():
            kept.setdefault(name, {})[number] = one
    if not kept:
        return Panel('images', 'Images', ABOUT, {}, tuple(missing))
    classes, palette = names['classes'], tuple(map(tuple, names['palette']))
    images: list[dict] = []
    for (width, quality), number in zip(LEVELS, NUMBERS):
        images = [entry(name, kept[name], palette, min(width, 480), quality) for name in choose(kept, number)]
        if sum(map(len, byte_strings(images))) <= budget:
            break
    legend = [{'name': name, 'colour': list(colour)} for name, colour in zip(classes, palette)]
    about = f'{ABOUT} {len(images)} of {len(kept)} kept ones are here.'
    return Panel(
        'images', 'Images', about, {'images': with_addresses(images), 'legend': legend}, tuple(missing)
    )


def _kept_of(run: RunRecord, missing: list[str]) -> tuple[dict[str, Kept], dict]:
    """(by the image's name, names and colours of the classes)."""
    folder, told = run.folder / FOLDER, len(missing)
    listed: Any = {}
    if (folder / IMAGES_FILE).is_file():
        listed = read_json(folder / IMAGES_FILE, lambda line: missing.append(f'{run.folder.name}: {line}'))
    if not isinstance(listed, dict) or not listed.get('images'):
        if len(missing) == told:
            missing.append(f'{run.folder.name}: {MADE_BY}')
        return {}, {}
    found = {one['name']: Kept(folder, one['stem'], one) for one in listed['images']}
    complete = {name: one for name, one in found.items() if one.complete}
    if len(complete) < len(found):
        missing.append(
            f'{run.folder.name}: pictures of {len(found) - len(complete)} images are missing or damaged'
        )
    classes = listed.get('classes') or []
    return complete, {'classes': classes, 'palette': listed.get('palette') or generated_palette(len(classes))}


def choose(kept: Mapping[str, Mapping[int, Kept]], number: int) -> list[str]:
    """Names of ``number`` images: in turn the worst, the best and the most differently predicted one left."""

    def scores(name: str) -> list[float]:
        return [one.scores.get('mIoU') or 0.0 for one in kept[name].values()]

    orders = [
        sorted(kept, key=lambda name: statistics.fmean(scores(name))),
        sorted(kept, key=lambda name: -statistics.fmean(scores(name))),
        sorted(kept, key=lambda name: min(scores(name)) - max(scores(name))),
    ]
    chosen: dict[str, None] = {}
    for turn in zip(*orders):
        chosen.update(dict.fromkeys(turn))
    return list(chosen)[:number]


def entry(name: str, by_run: Mapping[int, Kept], palette: tuple, width: int, quality: int) -> dict[str, Any]:
    """One image of the page, with its pictures as bytes."""
    first = next(iter(by_run.values()))
    image, truth = first.read('image'), first.kept('truth')
    found: dict[str, Any] = {'name': name, 'truth': label_picture(truth, palette, width), 'runs': {}}
    if image is not None:
        found['image'] = photo(image, width, quality)
    for number, one in by_run.items():
        prediction = one.kept('prediction')
        errors = error_map(prediction, one.kept('truth'), len(palette))
        found['runs'][number] = {
            'prediction': label_picture(prediction, palette, width),
            'error': label_picture(errors, ERROR_COLOURS, width),
            'entropy': photo(heat(narrowed(one.kept('entropy'), width, 3)), width, quality // 2),
            **{key: plain(one.scores.get(key)) for key in ('mIoU', 'aAcc', 'entropy') if key != 'entropy'},
            'mean_entropy': plain(one.scores.get('entropy')),
        }
    return found
