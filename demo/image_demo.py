"""Segment an image, a folder of images, or a video, and write the result over it.

    python -m demo.image_demo demo/demo.png CONFIG CHECKPOINT --out overlay.png --legend
    python -m demo.image_demo demo/demo.png CONFIG BEFORE.pth AFTER.pth --entropy      (side by side)
"""
from __future__ import annotations

import argparse
import contextlib
import gc
import re
import sys
from collections.abc import Iterator
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

import cv2
import numpy as np
from tqdm import tqdm

from demo.painter import Painter
from mmseg.apis.inference import init_segmentor
from mmseg.checkpoint.weights import TEACHER_PREFIX
from mmseg.core.evaluation import get_palette
from mmseg.core.evaluation.accessible_palette import accessible_palette
from mmseg.core.pictures import Style
from mmseg.experiments.runs import plain_name
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.config_trust import warn_of_code
from mmseg.utils.files import output_names, replacing, unused_path, write_image
from mmseg.utils.reading import walk_files

IMAGES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v')
DEFAULT_FPS = 25.0
COLOUR_BLIND = 'colour-blind'
TRAINING_FILE = re.compile(r'latest|iter_\d+|best_.*')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('img', help='an image, a folder of images, or a video')
    parser.add_argument('config', help='config file of the network, or of its training run')
    parser.add_argument('checkpoint', nargs='+',
                        help='weights, a .pth file; of several the pictures stand side by side')
    parser.add_argument('--out', '--out-file', dest='out', metavar='PATH',
                        help='file, or for a folder of images the folder, to write '
                             '(default: beside the input, with _seg in its name)')
    parser.add_argument('--trust', action='store_true',
                        help='do not warn before Python code of another folder is run (configs are code)')
    parser.add_argument('--device', default='auto', help='auto (default), cpu, cuda:0, ...')
    parser.add_argument('--palette', metavar='DATASET',
                        help="colours of cityscapes, camvid, ..., or 'colour-blind', which all people can "
                             'tell apart (default: those of the checkpoint)')
    parser.add_argument('--opacity', type=float, default=0.5,
                        help='of the colours, 0 to 1 (default: %(default)s)')
    parser.add_argument('--teacher', action='store_true',
                        help="the teacher of a UDA checkpoint in the student's place")
    parser.add_argument('--legend', action='store_true', help='name the classes that are there, by area')
    parser.add_argument('--outlines', action='store_true', help='draw the borders between classes')
    parser.add_argument('--entropy', action='store_true', help='image, prediction and entropy side by side')
    parser.add_argument('--save-labels', action='store_true',
                        help='also write the class ids (of the first checkpoint) as grey PNGs, '
                             'NAME_labels.png beside each picture')
    return parser.parse_args(argv)


def kind_of(path: Path) -> str:
    """'folder', 'image' or 'video'.

    Raises:
        UserError: there is nothing at ``path``, or something else.
    """
    if path.is_dir():
        return 'folder'
    if not path.is_file():
        raise UserError(f"'{path}' does not exist: give an image, a folder of images, or a video")
    for kind, suffixes in (('image', IMAGES), ('video', VIDEOS)):
        if path.suffix.lower() in suffixes:
            return kind
    raise UserError(f"'{path}' is neither an image ({' '.join(IMAGES)}) nor a video "
                    f"({' '.join(VIDEOS)})")


def default_output(path: Path, kind: str) -> str:
    """A new name beside the input."""
    suffix = {'folder': '', 'image': '.png', 'video': '.mp4'}[kind]
    stem = path.resolve().name if kind == 'folder' else path.stem
    return unused_path(path.resolve().parent / f'{stem}_seg{suffix}')


def labels_beside(output: Path) -> Path:
    return output.with_name(f'{output.stem}_labels.png')


def segment_images(paint: Painter, images: list[Path], outputs: list[Path], save_labels: bool) -> list[str]:
    """Write a picture of each image; the reasons why images of a folder were passed over."""
    reasons: list[str] = []
    for image, output in zip(tqdm(images, unit='img', disable=len(images) == 1), outputs):
        try:
            picture, labels = paint(str(image))
            write_image(str(output), picture)
            if save_labels:
                write_image(str(labels_beside(output)), labels.astype(np.uint8))
        except UserError as error:
            if len(images) == 1:
                raise
            reasons.append(str(error))
            tqdm.write(f'passed over: {error}', file=sys.stderr)
    return reasons


def refuse_existing(outputs: list[Path]) -> None:
    """Nothing that is there is overwritten."""
    for output in outputs:
        if output.exists():
            raise UserError(f"'{output}' exists and would be overwritten: name another --out")


def images_in(folder: Path) -> list[Path]:
    names = walk_files(folder, (*IMAGES, *(suffix.upper() for suffix in IMAGES)))
    images = sorted(folder / name for name in names)
    if not images:
        raise UserError(f"the folder '{folder}' holds no image ({' '.join(IMAGES)})")
    return images


@contextlib.contextmanager
def opened(video: Path) -> Iterator[cv2.VideoCapture]:
    capture = cv2.VideoCapture(str(video))
    try:
        if not capture.isOpened():
            raise UserError(f"the video '{video}' cannot be read")
        yield capture
    finally:
        capture.release()


def frames_of(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    """BGR uint8 frames (H W 3)."""
    there, frame = capture.read()
    while there:
        yield frame
        there, frame = capture.read()


def outputs_for(source: Path, kind: str, output: Path) -> tuple[list[Path], list[Path]]:
    """The images of a source and the files for their overlays."""
    if kind == 'image':
        return [source], [output / source.name if output.is_dir() else output]
    images = images_in(source)
    names = output_names([image.relative_to(source) for image in images], '.png')
    return images, [output / name for name in names]


def segment_video(paint: Painter, video: Path, output: Path) -> None:
    """Write the picture of every frame; an interrupted run leaves no half-written video behind."""
    writer = None
    with replacing(output, output.suffix) as partial, opened(video) as capture:
        frames = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0) or None
        fps = capture.get(cv2.CAP_PROP_FPS) or DEFAULT_FPS
        try:
            for frame in tqdm(frames_of(capture), total=frames, unit='frame'):
                picture, _ = paint(frame)
                writer = writer or video_writer(Path(partial), fps, picture)
                writer.write(picture)
        finally:
            if writer is not None:
                writer.release()
        if writer is None:
            raise UserError(f"the video '{video}' has no frame that can be read")


def video_writer(path: Path, fps: float, frame: np.ndarray) -> cv2.VideoWriter:
    codec = 'MJPG' if path.suffix.lower() == '.avi' else 'mp4v'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, frame.shape[1::-1])
    if not writer.isOpened():
        raise UserError(f"cannot write the video '{path}': use a name that ends in .mp4 or .avi")
    return writer


def painter(args: argparse.Namespace, kind: str) -> Painter:
    """The networks of the checkpoints and how they are drawn; all frames of a video in one size."""
    palette = None if args.palette in (None, COLOUR_BLIND) else get_palette(args.palette)
    warn_of_code(args.config, args.trust)
    networks = [init_segmentor(args.config, path, args.device, TEACHER_PREFIX if args.teacher else 'auto')
                for path in args.checkpoint]
    palette = palette or networks[0].PALETTE
    if args.palette == COLOUR_BLIND:
        palette = accessible_palette(palette)
    style = Style(palette, networks[0].CLASSES, args.opacity, args.outlines, args.legend,
                  rows=len(palette) if kind == 'video' else 0)
    return Painter(dict(zip(titles_of(args.checkpoint), networks)), style, args.entropy)


def titles_of(checkpoints: list[str]) -> list[str]:
    """Names of files; of a training's checkpoints, which are called alike in all runs, the run's, with the
    files' where they are needed to tell them apart."""
    files = [Path(path).resolve() for path in checkpoints]
    runs = [plain_name(file.parent.name) for file in files]
    names = [run if TRAINING_FILE.fullmatch(file.stem) else file.stem for run, file in zip(runs, files)]
    if len({*names}) < len(names):
        names = [f'{run}, {file.stem}' for run, file in zip(runs, files)]
    return names if len({*names}) == len(names) else [f'{n}: {name}' for n, name in enumerate(names, 1)]


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    source = Path(args.img)
    kind = kind_of(source)
    if kind == 'video' and args.save_labels:
        raise UserError('--save-labels is for images: a video would blur the ids')
    paint = painter(args, kind)
    output = Path(args.out or default_output(source, kind))
    passed_over: list[str] = []
    if kind == 'video':
        refuse_existing([output])
        segment_video(paint, source, output)
    else:
        images, outputs = outputs_for(source, kind, output)
        refuse_existing([*outputs, *(map(labels_beside, outputs) if args.save_labels else ())])
        passed_over = segment_images(paint, images, outputs, args.save_labels)
        output = outputs[0] if kind == 'image' else output
    print(f'overlay written to {output}')
    if passed_over:
        raise UserError(f'{len(passed_over)} of {len(images)} images were passed over; the first: '
                        f'{passed_over[0]}')


if __name__ == '__main__':
    main()
