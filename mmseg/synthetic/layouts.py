"""The streets in the layouts of the other data sets' downloads, so that their whole chain can be tried."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mmseg.datasets.preparation.labels import run_all
from mmseg.utils import UserError
from mmseg.utils.files import write_bytes

from .labels import BY_NAME
from .overlay import FOG_BETAS, RAIN_PATTERNS, RAIN_SETTINGS, add_fog, add_rain
from .render import render_scene
from .weather import apply_weather
from .writer import MANIFEST, Job, _png, run_job

# class in SYNTHIA's numbering, by its name in Cityscapes
SYNTHIA_IDS = {
    'road': 3, 'sidewalk': 4, 'building': 2, 'wall': 21, 'fence': 5, 'pole': 7, 'traffic light': 15,
    'traffic sign': 9, 'vegetation': 6, 'terrain': 16, 'sky': 1, 'person': 10, 'rider': 17, 'car': 8,
    'truck': 18, 'bus': 19, 'train': 20, 'motorcycle': 12, 'bicycle': 11}


@dataclass(frozen=True)
class Plan:
    """The settings of a run; ``patterns`` of rain are drawn for each setting."""
    root: str
    seed: int
    size: tuple[int, int]
    patterns: int = RAIN_PATTERNS


def write_layout(layout: str, out: str | Path, train: int, val: int, test: int | None = None,
                 size: tuple[int, int] = (256, 128), seed: int = 0, nproc: int = 1,
                 patterns: int = RAIN_PATTERNS) -> None:
    """Write streets below OUT/gta, OUT/synthia, OUT/dark_zurich, or as Foggy and Rain Cityscapes
    below OUT/cityscapes beside the clear streets. Files that are there are kept.

    Args:
        layout: 'gta', 'synthia', 'darkzurich', 'foggy' or 'rain'.
        train, val, test: scenes of each split; GTA and SYNTHIA have a training set only, and only
            Dark Zurich has a test set (default: as many as ``val``).
        size: (width, height) in pixels.
        patterns: of the twelve rain patterns, how many to draw.

    Raises:
        UserError: OUT holds streets of another size or seed.
    """
    plan = Plan(str(out), seed, tuple(size), patterns)
    manifest = Path(out) / MANIFEST
    if manifest.is_file():
        made = json.loads(manifest.read_text())
        if (tuple(made['size']), made['seed']) != (plan.size, seed):
            raise UserError(f'{out} holds streets of size {made["size"]} and seed {made["seed"]} '
                            f'({MANIFEST}): give the same, or another folder')
    counts = {'train': train, 'val': val, 'test': val if test is None else test}
    one, splits = LAYOUTS[layout]
    scenes = [(split, number) for split in splits for number in range(counts[split])]
    run_all(partial(_write_scene, one=one, plan=plan), scenes, nproc, layout)


def _write_scene(scene: tuple[str, int], one: Callable, plan: Plan) -> None:
    for path, content in one(plan, *scene):
        if not path.is_file():
            write_bytes(path, _png(content() if callable(content) else content))


def _gta(plan: Plan, split: str, number: int) -> Iterator[tuple[Path, np.ndarray]]:
    scene, root = render_scene(plan.seed + 1, number, plan.size), Path(plan.root, 'gta')
    yield root / f'labels/{number + 1:05d}.png', scene.label_ids
    yield root / f'images/{number + 1:05d}.png', scene.image


def _synthia(plan: Plan, split: str, number: int) -> Iterator[tuple[Path, np.ndarray]]:
    scene, root = render_scene(plan.seed + 2, number, plan.size), Path(plan.root, 'synthia')
    table = np.zeros(256, np.uint16)
    table[[BY_NAME[name].id for name in SYNTHIA_IDS]] = list(SYNTHIA_IDS.values())
    instances = scene.instance_ids.astype(np.uint16) % 1000
    # red, green, blue: the class is in the red channel
    yield (root / f'GT/LABELS/{number:07d}.png',
           np.dstack([table[scene.label_ids], instances, np.zeros_like(instances)]))
    yield root / f'RGB/{number:07d}.png', scene.image


def _dark_zurich(plan: Plan, split: str, number: int) -> Iterator[tuple[Path, np.ndarray]]:
    job = Job(plan.root, plan.seed + 3, plan.size, split, number, 'night', references=False)
    scene, root = job.scene(), Path(plan.root, 'dark_zurich')
    night = apply_weather(scene, 'night', np.random.default_rng([scene.spec.seed, 16]))
    if split == 'val':
        yield root / f'gt/{split}/night/{job.name}_gt_labelTrainIds.png', scene.train_ids
    yield root / f'rgb_anon/{split}/night/{job.name}_rgb_anon.png', night


def _foggy(plan: Plan, split: str, number: int) -> Iterator[tuple[Path, Callable]]:
    job, scene = _clear(plan, split, number)
    folder = Path(plan.root, 'cityscapes/leftImg8bit_foggy', split)
    for beta in FOG_BETAS:
        yield (folder / f'{job.name}_leftImg8bit_foggy_beta_{beta}.png',
               partial(add_fog, scene.image, scene.distance, beta))


def _rain(plan: Plan, split: str, number: int) -> Iterator[tuple[Path, Callable]]:
    job, scene = _clear(plan, split, number)
    folder = Path(plan.root, 'cityscapes/leftImg8bit_rain', split)
    for alpha, beta, drop in RAIN_SETTINGS:
        for pattern in range(1, plan.patterns + 1):
            yield (folder / f'{job.name}_leftImg8bit_rain_alpha_{alpha}_beta_{beta}_dropsize_{drop}'
                   f'_pattern_{pattern}.png',
                   partial(add_rain, scene.image, scene.distance, alpha, beta, drop, pattern))


def _clear(plan: Plan, split: str, number: int) -> tuple[Job, object]:
    """A scene of the clear streets, whose files are written if they are not there."""
    job = Job(plan.root, plan.seed, plan.size, split, number, None, references=False)
    if not all(path.is_file() for path in job.paths().values()):
        run_job(job)
    return job, job.scene()


LAYOUTS = {'gta': (_gta, ('train',)), 'synthia': (_synthia, ('train',)),
           'darkzurich': (_dark_zurich, ('train', 'val', 'test')), 'foggy': (_foggy, ('train', 'val')),
           'rain': (_rain, ('train', 'val'))}
