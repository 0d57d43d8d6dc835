"""Render fog and rain onto a person's own Cityscapes, as Foggy and Rain Cityscapes have them.

    python tools/make_adverse.py data/cityscapes --weather foggy --split train --nproc 8

It reads leftImg8bit/SPLIT and, for the distances, disparity/SPLIT with camera/SPLIT (the archives
disparity_trainvaltest.zip and camera_trainvaltest.zip), or with --depth-dir a folder of depth maps
in place of disparities: SPLIT/CITY/*_depth.png of 16 bit in 1/256 metre along the optical axis.
Pixels without a value take the nearest one; where gtFine/SPLIT has label ids, the sky is infinitely
far. It writes leftImg8bit_foggy/SPLIT or leftImg8bit_rain/SPLIT; what is there is kept, so that it
can be stopped and started again.
"""
from __future__ import annotations

import argparse
import gc
import json
import os.path as osp
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.datasets.pipelines.loading import decode_image, read_bytes, read_label
from mmseg.datasets.preparation.labels import Part, require_complete, run_all
from mmseg.synthetic.overlay import FOG_BETAS, RAIN_PATTERNS, RAIN_SETTINGS, add_fog, add_rain
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.errors import positive
from mmseg.utils.files import write_bytes

SITE = 'of https://www.cityscapes-dataset.com'
SUFFIX, SKY, FIXED_POINT = '_leftImg8bit.png', 23, 256


@dataclass(frozen=True)
class Geometry:
    """A pinhole camera: focal lengths and centre in pixels, baseline of the stereo pair in metres."""
    fx: float
    fy: float
    u0: float
    v0: float
    baseline: float

    def depth(self, disparity: np.ndarray) -> np.ndarray:
        """Metres along the optical axis, float32 (H W), of a disparity in pixels; NaN where it is 0."""
        with np.errstate(divide='ignore'):
            depth = np.float32(self.baseline * self.fx) / disparity
        return np.where(disparity > 0, depth, np.float32(np.nan))

    def ray_distance(self, depth: np.ndarray) -> np.ndarray:
        """Metres along the ray of each pixel, float32 (H W): light crosses that much air, not z."""
        height, width = depth.shape
        a = (np.arange(width) - self.u0)[None] / self.fx
        b = (np.arange(height) - self.v0)[:, None] / self.fy
        return (depth * np.sqrt(1 + a * a + b * b)).astype(np.float32)


def read_camera(path: str) -> Geometry:
    """Raises:
        UserError: missing or damaged file.
    """
    try:
        content = json.loads(read_bytes(path, 'camera'))
        inner = content['intrinsic']
        return Geometry(inner['fx'], inner['fy'], inner['u0'], inner['v0'], content['extrinsic']['baseline'])
    except (ValueError, KeyError, TypeError):
        raise UserError(f'{path} is no camera file of Cityscapes: unpack camera_trainvaltest.zip '
                        'again') from None


def read_sixteen_bit(path: str) -> np.ndarray:
    """uint16 (H W).

    Raises:
        UserError: missing, damaged, or not 16 bit in one channel.
    """
    pixels = cv2.imdecode(np.frombuffer(read_bytes(path, 'distances'), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 2:
        raise UserError(f'{path} is no PNG of 16 bit in one channel: is it damaged, or of another kind?')
    return pixels


def disparity_of(stored: np.ndarray) -> np.ndarray:
    """Disparity in pixels, float32 (H W), as Cityscapes stores it: (p − 1) / 256, and 0 for none."""
    return np.where(stored > 0, (stored.astype(np.float32) - 1) / FIXED_POINT, np.float32(0))


def fill_holes(depth: np.ndarray, path: str) -> np.ndarray:
    """Every NaN takes the value of the nearest pixel that has one.

    Raises:
        UserError: no pixel has a value.
    """
    holes = np.isnan(depth)
    if holes.all():
        raise UserError(f'{path} holds no distance at all')
    if not holes.any():
        return depth
    _, nearest = cv2.distanceTransformWithLabels(holes.astype(np.uint8), cv2.DIST_L2, 5,
                                                 labelType=cv2.DIST_LABEL_PIXEL)
    values = np.zeros(nearest.max() + 1, np.float32)
    values[nearest[~holes]] = depth[~holes]
    return values[nearest]


def distance_of(root: str, name: str, depth_dir: str | None) -> np.ndarray:
    """Metres along the ray, float32 (H W), of the image SPLIT/CITY/STEM; the sky is inf."""
    camera = read_camera(osp.join(root, 'camera', f'{name}_camera.json'))
    if depth_dir:
        path = osp.join(depth_dir, f'{name}_depth.png')
        stored = read_sixteen_bit(path)
        depth = np.where(stored > 0, stored.astype(np.float32) / FIXED_POINT, np.float32(np.nan))
    else:
        path = osp.join(root, 'disparity', f'{name}_disparity.png')
        depth = camera.depth(disparity_of(read_sixteen_bit(path)))
    distance = camera.ray_distance(fill_holes(depth, path))
    labels = osp.join(root, 'gtFine', f'{name}_gtFine_labelIds.png')
    if osp.isfile(labels):
        distance[read_label(labels) == SKY] = np.inf
    return distance


def pictures(name: str, weather: str, patterns: int) -> Iterator[tuple[str, Callable]]:
    """(path below the output folder, function of image and distance) of each picture to render."""
    if weather == 'foggy':
        for beta in FOG_BETAS:
            yield f'leftImg8bit_foggy/{name}_leftImg8bit_foggy_beta_{beta}.png', partial(add_fog, beta=beta)
        return
    for alpha, beta, drop in RAIN_SETTINGS:
        for pattern in range(1, patterns + 1):
            yield (f'leftImg8bit_rain/{name}_leftImg8bit_rain_alpha_{alpha}_beta_{beta}_dropsize_{drop}'
                   f'_pattern_{pattern}.png',
                   partial(add_rain, alpha=alpha, beta=beta, drop=drop, pattern=pattern))


def render_one(name: str, args: argparse.Namespace) -> int:
    """Write the pictures of one scene that are not there; gives their number."""
    out = args.out or args.root
    todo = [(osp.join(out, path), function) for path, function in pictures(name, args.weather, args.patterns)
            if not osp.isfile(osp.join(out, path))]
    if not todo:
        return 0
    path = osp.join(args.root, 'leftImg8bit', name + SUFFIX)
    image = cv2.cvtColor(decode_image(read_bytes(path, 'image'), path), cv2.COLOR_BGR2RGB)
    distance = distance_of(args.root, name, args.depth_dir)
    if distance.shape != image.shape[:2]:
        raise UserError(f'the distances of {path} have the size {distance.shape[::-1]}, the image '
                        f'{image.shape[1::-1]}')
    for target, function in todo:
        picture = cv2.cvtColor(function(image, distance), cv2.COLOR_RGB2BGR)
        write_bytes(target, cv2.imencode('.png', picture)[1].tobytes())
    return len(todo)


def find_scenes(args: argparse.Namespace) -> list[str]:
    """SPLIT/CITY/STEM of every image.

    Raises:
        UserError: images, distances or cameras are missing; names the archive.
    """
    folder = f'leftImg8bit/{args.split}'
    found = Part(folder, SUFFIX, f'leftImg8bit_trainvaltest.zip {SITE}').files(args.root)
    names = [f'{args.split}/{name.removesuffix(SUFFIX)}' for name in found]
    depths = (args.depth_dir, '_depth.png', '--depth-dir') if args.depth_dir else (
        osp.join(args.root, 'disparity'), '_disparity.png', f'disparity_trainvaltest.zip {SITE}')
    for place, end, archive in (depths, (osp.join(args.root, 'camera'), '_camera.json',
                                         f'camera_trainvaltest.zip {SITE}')):
        missing = [path for name in names if not osp.isfile(path := osp.join(place, name + end))]
        require_complete(missing, 'the image of that name', len(names), archive)
    return names


@one_line_errors
def main(argv: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('root', help='the data root of Cityscapes')
    parser.add_argument('--weather', choices=['foggy', 'rain'], required=True)
    parser.add_argument('--split', default='train', help='train (default), val or test')
    parser.add_argument('--depth-dir', metavar='DIR', help='depth maps SPLIT/CITY/*_depth.png, 1/256 metre')
    parser.add_argument('--out', metavar='DIR', help='where to write (default: the data root)')
    parser.add_argument('--patterns', type=positive, default=RAIN_PATTERNS,
                        help='of rain, for each of three strengths (default: %(default)s)')
    parser.add_argument('--nproc', type=positive, default=4, help='processes (default: %(default)s)')
    args = parser.parse_args(argv)
    written = run_all(partial(render_one, args=args), find_scenes(args), args.nproc, 'scenes')
    print(f'{sum(written)} pictures written to {args.out or args.root}')


if __name__ == '__main__':
    main()
