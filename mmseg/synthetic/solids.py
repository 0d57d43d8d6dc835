"""Small three-dimensional parts in metres, and how a thing made of them is painted.

A thing has its own axes: x to its right, y up, z ahead, the origin on the ground below its middle.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from .canvas import Canvas
from .scene import Item, Light
from .textures import noise

NEAR = 0.7        # metres; a thing with any part nearer is left out
DARK = (0.0, 0.0, 0.0)


@dataclass
class Part:
    """A flat polygon (width 0), or a line ``width`` metres thick (one point: a ball).

    With ``ups`` it is a cloud of balls: ``colour`` (n, 3), ``width`` (n,) and ``ups`` (n,).
    """
    points: np.ndarray                 # (n, 3) metres
    colour: np.ndarray                 # RGB, 0-255
    width: float | np.ndarray = 0.0
    closed: bool = False
    glow: tuple = DARK                 # light given off at night, RGB 0-255
    up: float = 0.0                    # how far it faces upwards, 0-1
    face: bool = False                 # a face of a closed body: culled from behind, sorted, shaded
    detail: bool = False               # lies on a face: culled from behind, painted after them
    solid: bool = True                 # belongs to the outline
    ups: np.ndarray | None = None


@dataclass
class Model:
    """A thing: label name, parts in paint order, strength of its surface noise."""
    label: str
    parts: list[Part] = field(default_factory=list)
    grain: float = 0.25
    cell: float = 20.0                 # noise cells per metre
    slope: float = 0.7                 # of the noise: more is smoother
    centre: tuple[float, float, float] = (0.0, 0.8, 0.0)

    def face(self, points, colour, **more) -> None:
        self.parts.append(Part(np.asarray(points, float), np.asarray(colour), face=True, **more))

    def detail(self, points, colour, **more) -> None:
        self.parts.append(Part(np.asarray(points, float), np.asarray(colour), detail=True, **more))

    def flat(self, points, colour, **more) -> None:
        self.parts.append(Part(np.asarray(points, float), np.asarray(colour), **more))

    def line(self, points, width: float, colour, **more) -> None:
        self.parts.append(Part(np.atleast_2d(np.asarray(points, float)), np.asarray(colour), width,
                               **more))


def extrude(model: Model, profile: list[tuple[float, float]], half, colour, up_from: float = 0.8) -> None:
    """Closed body: a side view [(z, y)] drawn out to both sides, ``half(y)`` metres each."""
    pairs = np.array(profile, float)
    sides = {}
    for sign in (-1, 1):
        x = np.array([sign * half(y) for y in pairs[:, 1]])
        sides[sign] = np.column_stack([x, pairs[:, 1], pairs[:, 0]])
    for i in range(len(pairs)):
        quad = np.array([sides[-1][i - 1], sides[-1][i], sides[1][i], sides[1][i - 1]])
        run, rise = pairs[i] - pairs[i - 1]
        level = abs(run) / (np.hypot(run, rise) + 1e-9)
        top = quad[:, 1].mean() > pairs[:, 1].mean()
        model.face(quad, colour, up=float(level) if level > up_from and top else 0.0)
    for sign in (-1, 1):
        model.face(sides[sign], colour)


def ring(x: float, y: float, z: float, radius: float, n: int = 16) -> np.ndarray:
    """A circle standing along the thing's length, (n, 3)."""
    angle = np.arange(n) * 2 * np.pi / n
    return np.column_stack([np.full(n, x), y + radius * np.cos(angle), z + radius * np.sin(angle)])


def place(points: np.ndarray, item: Item) -> np.ndarray:
    """World points of a thing's own points (n, 3)."""
    sin, cos = np.sin(item.yaw), np.cos(item.yaw)
    x, y, z = points.T * item.scale
    return np.column_stack([x * cos + z * sin + item.x, y, z * cos - x * sin + item.z])


def draw_models(canvas: Canvas, models: list[Model], item: Item, light: Light) -> None:
    """Paint the models of one item, the farther parts first, and record their labels."""
    for model in models:
        _draw_model(canvas, model, item, light)


def _draw_model(canvas: Canvas, model: Model, item: Item, light: Light) -> None:
    sizes = np.array([len(part.points) for part in model.parts])
    starts = np.cumsum(sizes) - sizes
    world = place(np.concatenate([part.points for part in model.parts]), item)
    pixels, depth = canvas.camera.project(world)
    if depth.min() < NEAR:
        return
    scale = item.scale * canvas.camera.focal
    widest = max(float(np.max(part.width)) for part in model.parts) * scale / depth.min()
    box = canvas.box(pixels, widest / 2 + 1)
    if box is None:
        return
    far = np.add.reduceat(depth, starts) / sizes
    gains = _gains(canvas, model, item, light, world, starts)
    fixed, tint = canvas.fixed(pixels), np.array(light.tint)
    order = sorted(range(len(sizes)), key=lambda k: (not model.parts[k].face, -far[k] * model.parts[k].face))
    planes = []
    for k in order:
        if gains[k] <= 0:
            continue
        part, here = model.parts[k], slice(starts[k], starts[k] + sizes[k])
        _paint(canvas, part, fixed[here], scale / far[k], gains[k] * tint)
        if part.face:
            planes.append((pixels[here], depth[here]))
    _roughen(canvas, model, item, box)
    mask = canvas.take_mask(box)
    polygons = canvas.polygons_of(mask, box, largest=model.label not in ('pole', 'vegetation'))
    canvas.add(model.label, polygons, _body_depth(canvas, planes, float(np.median(depth))))


def _gains(canvas: Canvas, model: Model, item: Item, light: Light, world: np.ndarray,
           starts: np.ndarray) -> np.ndarray:
    """Brightness of each part; 0 for faces and details that are turned away from the camera."""
    gains = np.full(len(starts), light.shade(np.array([-0.3, 0.3, -0.9])))
    chosen = [k for k, part in enumerate(model.parts) if part.face or part.detail]
    if not chosen:
        return gains
    middle = place(np.array([model.centre]), item)[0]
    third = np.array([len(model.parts[k].points) / 3 for k in chosen])
    first = world[starts[chosen]]
    second, last = (world[starts[chosen] + (third * n).astype(int)] for n in (1, 2))
    normals = np.cross(second - first, last - first)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    outward = (first + second + last) / 3 - middle
    normals *= np.where((normals * outward).sum(1, keepdims=True) < 0, -1, 1)
    towards = (normals * (first - (0, canvas.camera.elevation, 0))).sum(1)
    for k, normal, away in zip(chosen, normals, towards >= 0):
        gains[k] = 0 if away else light.shade(normal)
    return gains


def _paint(canvas: Canvas, part: Part, fixed: np.ndarray, scale: float, gain: np.ndarray) -> None:
    colour = np.minimum(part.colour * gain, 255)
    if part.ups is not None:
        canvas.balls(fixed, part.width * scale, colour, part.glow, part.ups)
    elif len(fixed) == 1:
        canvas.balls(fixed, np.array([part.width * scale]), colour[None], part.glow, (part.up,))
    elif part.width:
        canvas.line(fixed, part.width * scale, part.closed, colour, part.glow, part.up, part.solid)
    else:
        canvas.fill(fixed, colour, part.glow, part.up)


def _roughen(canvas: Canvas, model: Model, item: Item, box) -> None:
    """Surface noise, and a little less light towards the ground."""
    cols, rows = canvas.pixels_of(box)
    scale = item.z / canvas.camera.focal * model.cell
    across = (cols * scale + item.seed % 97)[None]
    grain = noise(across, (rows * scale + item.seed % 89)[:, None], 1.0, model.slope) - 0.5
    height = np.linspace(1.06, 0.9, len(rows), dtype=np.float32)[:, None]
    canvas.texture(box, height * (1 + 2 * model.grain * grain))


def _body_depth(canvas: Canvas, planes: list, fallback: float):
    """Depth of a body: of its visible faces, whose inverse depth is affine in the image."""

    def depth(cols: np.ndarray, rows: np.ndarray) -> np.ndarray:
        out = np.full((len(rows), len(cols)), fallback, np.float32)
        origin = np.array([cols[0], rows[0]])
        grid = np.stack(np.meshgrid(cols, rows), -1).reshape(-1, 2)
        for pixels, far in planes:
            design = np.column_stack([pixels, np.ones(len(pixels))])
            affine = np.linalg.lstsq(design, 1 / far, rcond=None)[0]
            inside = np.zeros(out.shape, np.uint8)
            _fill_box(inside, pixels - origin)
            inverse = (grid @ affine[:2] + affine[2]).reshape(out.shape)
            value = 1 / np.clip(inverse, 1 / far.max(), 1 / far.min())
            out = np.where(inside > 0, value, out)
        return out.astype(np.float32)

    return depth


def _fill_box(mask: np.ndarray, points: np.ndarray) -> None:
    cv2.fillPoly(mask, [np.round(np.clip(points, -1e4, 1e4)).astype(np.int32)], 1)
