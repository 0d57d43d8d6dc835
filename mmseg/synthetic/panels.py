"""Upright rectangles in perspective: facades with gables and roofs, walls, fences."""
from __future__ import annotations

import cv2
import numpy as np

from .canvas import SHIFT, Canvas
from .scene import Light, Panel
from .textures import Facade, Fence, Wall, pick

NEAR = 0.6       # metres; panels are cut off here
LABELS = {'facade': 'building', 'gable': 'building', 'wall': 'wall', 'fence': 'fence'}
ROOFS = ((120, 62, 48), (78, 74, 76), (96, 84, 74), (140, 90, 66))


def _cut(panel: Panel, pitch_margin: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Plan points of the part ahead of the camera."""
    start, end = np.array(panel.start, float), np.array(panel.end, float)
    limit = NEAR + pitch_margin
    if start[1] < limit and end[1] < limit:
        return None
    if start[1] < limit or end[1] < limit:
        cut = start + (end - start) * (limit - start[1]) / (end[1] - start[1])
        start, end = (cut, end) if start[1] < limit else (start, cut)
    return start, end


def draw_panel(canvas: Canvas, panel: Panel, light: Light) -> None:
    """Paint one panel and record its label polygons."""
    # high up, the depth shrinks with the pitch: keep the upper edge in front of the camera too
    ends = _cut(panel, panel.height * abs(np.sin(canvas.camera.pitch)))
    if ends is None:
        return
    if panel.roof:
        _draw_roof(canvas, panel, ends, light)
    start, end = ends
    corners = np.array([[start[0], 0, start[1]], [end[0], 0, end[1]],
                        [end[0], panel.height, end[1]], [start[0], panel.height, start[1]]])
    pixels, _ = canvas.camera.project(corners)
    box = canvas.box(pixels)
    if box is None:
        return
    run = np.array(panel.end) - np.array(panel.start)
    run = run / np.linalg.norm(run)
    normal = np.array([run[1], 0, -run[0]])
    cols, rows = canvas.pixels_of(box)
    depth = np.minimum(canvas.camera.panel_depth(corners[0], tuple(normal), cols, rows), 1e3)
    colour, glow, alpha = _surface(canvas, panel, run, depth, cols, rows)
    facing = normal if normal @ (corners[0] - (0, canvas.camera.elevation, 0)) < 0 else -normal
    colour = colour * (light.shade(facing) * np.asarray(light.tint, np.float32))
    cv2.fillPoly(canvas.scratch, [canvas.fixed(pixels)], 255, cv2.LINE_AA, SHIFT)
    mask = canvas.take_mask(box).astype(np.float32) / 255
    canvas.blend(box, mask * alpha, colour, glow, 0.0)

    def plane(columns: np.ndarray, lines: np.ndarray) -> np.ndarray:
        return np.minimum(canvas.camera.panel_depth(corners[0], tuple(normal), columns, lines), 1e3)

    canvas.add(LABELS[panel.kind], [canvas.integers(pixels)], plane)


def _surface(canvas: Canvas, panel: Panel, run: np.ndarray, depth: np.ndarray, cols, rows):
    x, y, z = canvas.camera.rays(cols, rows)
    along = (depth * x - panel.start[0]) * run[0] + (depth * z - panel.start[1]) * run[1]
    high = canvas.camera.elevation + depth * y
    foot = depth / (canvas.camera.focal * canvas.ss)
    if panel.kind == 'wall':
        return Wall(panel.seed, panel.height)(along, high, foot)
    if panel.kind == 'fence':
        return Fence(panel.seed, panel.height)(along, high, foot)
    return Facade(panel.seed, panel.height, panel.kind == 'gable')(along, high, foot)


def _draw_roof(canvas: Canvas, panel: Panel, ends, light: Light) -> None:
    """A pitched roof rising away from the street behind a facade."""
    start, end = ends
    back, ridge = panel.side * panel.roof * 1.3, panel.height + panel.roof
    near, far = (start[0], start[1]), (end[0], end[1])
    slope = [[near[0], panel.height, near[1]], [far[0], panel.height, far[1]],
             [far[0] + back, ridge, far[1]], [near[0] + back, ridge, near[1]]]
    gable = [slope[0], slope[3], [near[0] + 2 * back, panel.height, near[1]]]
    tiles = pick(np.random.default_rng([panel.seed, 5]), ROOFS)
    plaster = Facade(panel.seed, panel.height, False).base
    for corners, colour, normal, up in ((gable, plaster, (0.0, 0.0, -1.0), 0.0),
                                        (slope, tiles, (-panel.side * 0.6, 0.8, 0.0), 1.0)):
        _draw_flat(canvas, np.array(corners), colour * light.shade(np.array(normal)) * light.tint, up)


def _draw_flat(canvas: Canvas, corners: np.ndarray, colour: np.ndarray, up: float) -> None:
    pixels, depth = canvas.camera.project(corners)
    box = canvas.box(pixels)
    if box is None or depth.min() <= 0:
        return
    canvas.fill(canvas.fixed(pixels), np.clip(colour, 0, 255), up=up)
    canvas.take_mask(box)
    middle = np.float32(depth.mean())
    canvas.add('building', [canvas.integers(pixels)], lambda cols, rows: middle)
