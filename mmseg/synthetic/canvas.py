"""Where a scene is painted: three supersampled layers, and label polygons at the final size.

Every object leaves integer polygons behind, as an annotator of Cityscapes would; the label map is
*made* by rasterising them with PIL in paint order, so polygons and label map agree by construction.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from .camera import Camera
from .labels import BY_NAME

SHIFT = 4                   # cv2 takes fixed-point coordinates with this many fractional bits
MARGIN = 2                  # pixels that a label polygon may reach beyond the image
DepthFn = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass
class LabelObject:
    """One labelled object: integer polygons (n, 2), and the depth (m, n) at columns and rows."""
    name: str
    polygons: list[np.ndarray]
    depth: DepthFn


def clip_polygon(points: np.ndarray, low: tuple[float, float], high: tuple[float, float]) -> np.ndarray:
    """The part of a polygon (n, 2) inside a rectangle (Sutherland and Hodgman 1974)."""
    if len(points) and (points >= low).all() and (points <= high).all():
        return points
    for axis in (0, 1):
        for sign, limit in ((1, low[axis]), (-1, -high[axis])):
            if not len(points):
                return points
            inside = sign * points[:, axis] - limit
            out = []
            for i in range(len(points)):
                here, last = inside[i], inside[i - 1]
                if (here >= 0) != (last >= 0):
                    out.append(points[i - 1] + (points[i] - points[i - 1]) * last / (last - here))
                if here >= 0:
                    out.append(points[i])
            points = np.array(out)
    return points


class Canvas:
    """Layers of a picture in the making.

    ``rgb``: sRGB uint8 (H·ss, W·ss, 3); ``glow``: light given off at night, the same shape;
    ``up``: how far a surface faces upwards, 0-255 (where snow comes to rest).
    """

    def __init__(self, camera: Camera, supersample: int):
        self.camera, self.ss = camera, supersample
        self.h, self.w = camera.height * supersample, camera.width * supersample
        self.rgb = np.zeros((self.h, self.w, 3), np.uint8)
        self.glow = np.zeros_like(self.rgb)
        self.up = np.zeros((self.h, self.w), np.uint8)
        self.scratch = np.zeros((self.h, self.w), np.uint8)
        self.objects: list[LabelObject] = []

    def fixed(self, pixels: np.ndarray) -> np.ndarray:
        """Fixed-point layer coordinates of final-image pixel coordinates."""
        grid = (np.asarray(pixels) + 0.5) * self.ss - 0.5
        return np.round(np.clip(grid, -1e5, 1e5) * (1 << SHIFT)).astype(np.int32)

    def box(self, pixels: np.ndarray, pad: float = 1.0) -> tuple[slice, slice] | None:
        """Rows and columns of the layers around final-image points; None if outside the picture."""
        low = np.floor((pixels.min(0) - pad) * self.ss).astype(int)
        high = np.ceil((pixels.max(0) + pad + 1) * self.ss).astype(int)
        x0, y0 = np.maximum(low, 0)
        x1, y1 = np.minimum(high, (self.w, self.h))
        return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None

    def pixels_of(self, box: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        """Final-image columns and rows of the layer samples in a box."""
        rows, cols = box
        return ((np.arange(cols.start, cols.stop) + 0.5) / self.ss - 0.5,
                (np.arange(rows.start, rows.stop) + 0.5) / self.ss - 0.5)

    def fill(self, fixed: np.ndarray, colour, glow=(0, 0, 0), up: float = 0) -> None:
        """A flat polygon on all layers."""
        for layer, value in ((self.rgb, colour), (self.glow, glow), (self.up, (255 * up,)),
                             (self.scratch, (255,))):
            cv2.fillPoly(layer, [fixed], [float(v) for v in value], cv2.LINE_AA, SHIFT)

    def line(self, fixed: np.ndarray, width: float, closed: bool, colour, glow=(0, 0, 0),
             up: float = 0, solid: bool = True) -> None:
        """A line ``width`` final-image pixels wide, with round ends."""
        for layer, value in ((self.rgb, colour), (self.glow, glow), (self.up, (255 * up,)),
                             (self.scratch, (255,)))[:4 if solid else 3]:
            cv2.polylines(layer, [fixed], closed, [float(v) for v in value],
                          max(1, round(width * self.ss)), cv2.LINE_AA, SHIFT)

    def balls(self, fixed: np.ndarray, diameters: np.ndarray, colours: np.ndarray, glow=(0, 0, 0),
              ups: np.ndarray = (0.0,)) -> None:
        """Discs (n, 2) with diameters (n,) in final-image pixels, one after another."""
        radii = np.round(diameters * self.ss / 2 * (1 << SHIFT)).astype(int).tolist()
        for at, radius, colour, up in zip(fixed.tolist(), radii, colours.tolist(), ups):
            for layer, value in ((self.rgb, colour), (self.glow, glow), (self.up, (255 * up,)),
                                 (self.scratch, (255,))):
                cv2.circle(layer, at, radius, value, -1, cv2.LINE_AA, SHIFT)

    def blend(self, box, mask: np.ndarray, colour: np.ndarray, glow: np.ndarray, up: float) -> None:
        """Paint ``colour`` (m n 3, 0-255) over a box with opacity ``mask`` (m n) in [0, 1]."""
        weight = mask[..., None]
        for layer, value in ((self.rgb, colour), (self.glow, glow)):
            patch = layer[box]
            patch[...] = np.clip(patch * (1 - weight) + value * weight + 0.5, 0, 255)
        patch = self.up[box]
        patch[...] = patch * (1 - mask) + 255 * up * mask

    def texture(self, box, gain: np.ndarray) -> None:
        """Multiply the picture by ``gain`` (m n) where the scratch mask of this object is set."""
        weight = self.scratch[box].astype(np.float32) / 255
        patch = self.rgb[box]
        patch[...] = np.clip(patch * (1 + weight * (gain - 1))[..., None] + 0.5, 0, 255)

    def darken(self, pixels: np.ndarray, factor: float, blur: float) -> None:
        """A soft shadow: the polygon's inside times ``factor``, ``blur`` pixels of penumbra."""
        box = self.box(pixels, 2 * blur + 1)
        if box is None:
            return
        cv2.fillPoly(self.scratch, [self.fixed(pixels)], 255, cv2.LINE_AA, SHIFT)
        self.scratch[box] = cv2.GaussianBlur(self.scratch[box], (0, 0), max(0.4, blur * self.ss))
        self.texture(box, np.float32(factor))
        self.scratch[box] = 0

    def take_mask(self, box) -> np.ndarray:
        """The mask drawn since the last call, which is cleared."""
        mask = self.scratch[box].copy()
        self.scratch[box] = 0
        return mask

    def polygons_of(self, mask: np.ndarray, box, largest: bool) -> list[np.ndarray]:
        """Outlines of a mask as integer polygons of the final image."""
        found, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_EXTERNAL,
                                    cv2.CHAIN_APPROX_TC89_L1)
        found = sorted(found, key=len, reverse=True)[:1 if largest else 6]
        origin = np.array([box[1].start, box[0].start])
        return [self.integers((c[:, 0] + origin + 0.5) / self.ss - 0.5) for c in found]

    def integers(self, pixels: np.ndarray) -> np.ndarray:
        """Clip to just beyond the image, round, drop repeated points; at least three points."""
        size = (self.camera.width - 1 + MARGIN, self.camera.height - 1 + MARGIN)
        points = np.round(clip_polygon(pixels, (-MARGIN, -MARGIN), size)).astype(int)
        if not len(points):
            return points.reshape(0, 2)
        keep = np.any(points != np.roll(points, 1, 0), 1)
        points = points[keep] if keep.any() else points[:1]
        return np.concatenate([points, np.repeat(points[-1:], max(0, 3 - len(points)), 0)])

    def add(self, name: str, polygons: list[np.ndarray], depth: DepthFn) -> None:
        """Record an object that was painted on top of everything so far."""
        polygons = [p for p in polygons if len(p)]
        if polygons:
            self.objects.append(LabelObject(name, polygons, depth))

    def finish(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[tuple[str, np.ndarray]]]:
        """Rasterise the objects.

        Returns:
            label ids uint8 (H W), instance ids uint16 (H W), depth float32 (H W) in metres, and
            the visible polygons [(label name, (n, 2) int)] in paint order.
        """
        size = (self.camera.width, self.camera.height)
        flat = [(obj, polygon) for obj in self.objects for polygon in obj.polygons]
        index = Image.new('I', size, 0)
        draw = ImageDraw.Draw(index)
        for k, (_, polygon) in enumerate(flat, 1):
            draw.polygon([tuple(p) for p in polygon.tolist()], fill=k)
        index = np.asarray(index)
        depth = np.full(index.shape, np.inf, np.float32)
        ids, instances = np.zeros(len(flat) + 1, np.uint8), np.zeros(len(flat) + 1, np.uint16)
        counts: dict[str, int] = {}
        shown = []
        for k in np.flatnonzero(np.bincount(index.ravel(), minlength=len(flat) + 1)):
            if k == 0:
                continue
            obj, polygon = flat[k - 1]
            label = BY_NAME[obj.name]
            number = counts.setdefault(obj.name, 0)
            counts[obj.name] += 1
            ids[k] = label.id
            instances[k] = label.id * 1000 + number if label.thing else label.id
            _fill_depth(depth, index, k, polygon, obj.depth)
            shown.append((obj.name, polygon))
        return ids[index], instances[index], depth, shown


def _fill_depth(depth: np.ndarray, index: np.ndarray, k: int, polygon: np.ndarray, fn: DepthFn) -> None:
    low = np.maximum(polygon.min(0), 0)
    high = np.minimum(polygon.max(0) + 1, index.shape[::-1])
    box = slice(low[1], high[1]), slice(low[0], high[0])
    here = index[box] == k
    values = fn(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
    depth[box][here] = np.broadcast_to(values, here.shape)[here]
