"""Writing the streets to disk: the clear ones as Cityscapes, the adverse ones as ACDC."""
from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from mmseg.utils import UserError
from mmseg.utils.files import write_bytes

from .labels import ID_TO_COLOUR
from .render import RenderedScene, render_scene
from .weather import CONDITIONS, apply_weather

MANIFEST = 'synthetic_streets.json'
VERSION = 3                 # of the renderer: one more whenever a pixel changes
MIN_SIZE, MAX_SIZE = (64, 32), (4096, 4096)
CITIES = {'train': ('amberg', 'birkenau', 'corvey', 'dornburg', 'eldena', 'falkenhain'),
          'val': ('grauheim', 'hohenau', 'ilsenried')}
FIRST_SEQUENCE = {'fog': 1475, 'night': 3351, 'rain': 5400, 'snow': 7604}
SEQUENCE_LENGTH = 20        # frames of one ACDC sequence, and images of one city in a row
SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Settings:
    """The settings: numbers of images, (width, height), seed, reference images or not."""
    train: int
    val: int
    test: int
    size: tuple[int, int]
    seed: int
    references: bool

    def check(self) -> None:
        """Raise a UserError for numbers that make no sense."""
        for name in SPLITS:
            if getattr(self, name) < 0:
                raise UserError(f'--{name} must be 0 or more, got {getattr(self, name)}')
        if not all(low <= side <= high for low, side, high in zip(MIN_SIZE, self.size, MAX_SIZE)):
            raise UserError(f'--size must lie between {MIN_SIZE[0]}x{MIN_SIZE[1]} and '
                            f'{MAX_SIZE[0]}x{MAX_SIZE[1]}, got {self.size[0]}x{self.size[1]}')
        if self.seed < 0:
            raise UserError(f'--seed must be 0 or more, got {self.seed}')


@dataclass(frozen=True)
class Job:
    """One scene: its set, its number there, and where its files go."""
    root: str
    seed: int
    size: tuple[int, int]
    split: str
    number: int
    condition: str | None      # None: the clear domain
    references: bool

    @property
    def name(self) -> str:
        """Path of the image below its split, without the ending that the data set gives it."""
        if self.condition is None:
            cities = CITIES[self.split]
            city = cities[self.number // SEQUENCE_LENGTH % len(cities)]
            return f'{city}/{city}_{self.number:06d}_000019'
        block, frame = divmod(self.number, SEQUENCE_LENGTH)
        sequence = FIRST_SEQUENCE[self.condition] + 3 * block + SPLITS.index(self.split)
        return f'GOPR{sequence:04d}/GOPR{sequence:04d}_frame_{41 + 25 * frame:06d}'

    def paths(self) -> dict[str, Path]:
        """The files of this job by what they hold."""
        root = Path(self.root)
        if self.condition is None:
            labels = root / 'cityscapes' / 'gtFine' / self.split
            images = root / 'cityscapes' / 'leftImg8bit' / self.split
            out = {part: labels / f'{self.name}_gtFine_{part}.png'
                   for part in ('labelIds', 'instanceIds', 'color')}
            out['polygons'] = labels / f'{self.name}_gtFine_polygons.json'
            return {**out, 'image': images / f'{self.name}_leftImg8bit.png'}
        images = root / 'acdc' / 'rgb_anon' / self.condition
        labels = root / 'acdc' / 'gt' / self.condition / self.split
        out = {}
        if self.split != 'test':
            out = {part: labels / f'{self.name}_gt_{part}.png'
                   for part in ('labelIds', 'labelTrainIds', 'labelColor')}
        if self.references:
            out['reference'] = images / f'{self.split}_ref' / f'{self.name}_rgb_ref_anon.png'
        return {**out, 'image': images / self.split / f'{self.name}_rgb_anon.png'}

    def scene(self, variant: int = 0) -> RenderedScene:
        """Render the scene; each domain, condition and split has scenes of its own."""
        place = 0 if self.condition is None else 1 + CONDITIONS.index(self.condition)
        index = (self.number * len(SPLITS) + SPLITS.index(self.split)) * 8 + place
        domain = 'clear' if self.condition is None else 'adverse'
        return render_scene(self.seed, index, self.size, domain, variant)


def write_streets(out: str | Path, train: int, val: int, test: int | None = None,
                  size: tuple[int, int] = (256, 128), seed: int = 0, nproc: int = 0,
                  references: bool = False, progress: bool = True) -> None:
    """Write OUT/cityscapes (clear) and OUT/acdc (fog, night, rain, snow).

    What is there already and complete is kept, so that a run that was cut off goes on. The files
    do not depend on ``nproc``.

    Args:
        train, val, test: images of each split in either domain; ``test`` has no labels and exists
            in ACDC only (default: as many as ``val``).
        size: (width, height) in pixels.
        nproc: number of processes, 0 = one for each core.
        references: also write the clear picture of each adverse place at another time.

    Raises:
        UserError: settings that make no sense, a folder that cannot be written, or one that holds
            something else.
    """
    settings = Settings(train, val, val if test is None else test, tuple(size), seed, references)
    settings.check()
    if nproc < 0:
        raise UserError(f'--nproc must be 0 (all cores) or more, got {nproc}')
    root = Path(out)
    try:
        _open_folder(root, settings)
        todo = [job for job in jobs(root, settings) if not all(p.is_file() for p in job.paths().values())]
        _run(todo, nproc or os.cpu_count() or 1, progress)
    except OSError as error:
        raise UserError(f'cannot write to {root}: {error.strerror or error}') from error


def jobs(root: Path, settings: Settings) -> Iterator[Job]:
    """All scenes of a data set; the adverse ones take the conditions in turn."""
    for split in SPLITS:
        count = getattr(settings, split)
        common = {'root': str(root), 'seed': settings.seed, 'size': settings.size, 'split': split}
        if split in CITIES:
            for number in range(count):
                yield Job(**common, number=number, condition=None, references=False)
        for number in range(count):
            block, condition = divmod(number, len(CONDITIONS))
            yield Job(**common, number=block, condition=CONDITIONS[condition],
                      references=settings.references)


def _open_folder(root: Path, settings: Settings) -> None:
    """Make the folder, or see that it was made with the same settings."""
    manifest = root / MANIFEST
    wanted = json.loads(json.dumps({'version': VERSION, **asdict(settings)}))
    if manifest.is_file():
        try:
            found = json.loads(manifest.read_text())
        except ValueError:
            found = None
        if found != wanted:
            raise UserError(f'{root} holds streets made with other settings ({MANIFEST} there: '
                            f'{json.dumps(found)}); give another folder, or remove it')
        return
    if root.is_dir() and any(root.iterdir()):
        raise UserError(f'{root} is not empty and was not made by this program (no {MANIFEST}); '
                        'give another folder')
    for split in SPLITS:
        for condition in CONDITIONS:
            (root / 'acdc' / 'rgb_anon' / condition / split).mkdir(parents=True, exist_ok=True)
    write_bytes(manifest, (json.dumps(wanted, indent=2) + '\n').encode())


def _run(todo: list[Job], nproc: int, progress: bool) -> None:
    nproc = min(nproc, len(todo))
    bar = tqdm(total=len(todo), desc='streets', unit='scene', disable=not progress)
    with bar:
        if nproc <= 1:
            for job in todo:
                run_job(job)
                bar.update()
            return
        # forked workers start at once; importing torch again in each would take longer than drawing
        method = 'fork' if 'fork' in multiprocessing.get_all_start_methods() else 'spawn'
        with multiprocessing.get_context(method).Pool(nproc, _leave_ctrl_c_to_the_parent) as pool:
            for _ in pool.imap_unordered(run_job, todo, chunksize=1):
                bar.update()


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_job(job: Job) -> None:
    """Render one scene and write its files, the image last."""
    cv2.setNumThreads(0)
    scene, paths = job.scene(), job.paths()
    content = {'labelIds': scene.label_ids, 'labelTrainIds': scene.train_ids, 'image': scene.image,
               'instanceIds': scene.instance_ids, 'color': _rgba(scene), 'labelColor': _rgba(scene)}
    if job.condition is not None:
        rng = np.random.default_rng([scene.spec.seed, 16])
        content['image'] = apply_weather(scene, job.condition, rng)
    if 'reference' in paths:
        content['reference'] = job.scene(variant=1).image
    for part, path in paths.items():
        if part == 'polygons':
            write_bytes(path, json.dumps(polygons_json(scene)).encode())
        else:
            write_bytes(path, _png(content[part]))


def polygons_json(scene: RenderedScene) -> dict:
    """The content of ``_gtFine_polygons.json``: objects in paint order, as Cityscapes has them."""
    return {'imgHeight': scene.camera.height, 'imgWidth': scene.camera.width,
            'objects': [{'label': name, 'polygon': polygon.tolist()} for name, polygon in scene.objects]}


def _rgba(scene: RenderedScene) -> np.ndarray:
    colour = ID_TO_COLOUR[scene.label_ids]
    return np.dstack([colour, np.full(colour.shape[:2], 255, np.uint8)])


def _png(array: np.ndarray) -> bytes:
    if array.ndim == 3:
        array = cv2.cvtColor(array, cv2.COLOR_RGB2BGR if array.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    return cv2.imencode('.png', array)[1].tobytes()
