"""A pinhole camera above flat ground.

World axes: X right, Y up, Z forward along the street, metres, the ground is Y = 0 and the camera
stands at (0, elevation, 0). Pixel (u, v) = (0, 0) is the *centre* of the top left pixel, which is
also how PIL reads the integer corners of a label polygon.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """Intrinsics in pixels of the final image, elevation in metres, pitch in radians (down > 0)."""
    width: int
    height: int
    focal: float
    elevation: float
    pitch: float

    @property
    def cx(self) -> float:
        return (self.width - 1) / 2

    @property
    def cy(self) -> float:
        return (self.height - 1) / 2

    @property
    def horizon(self) -> float:
        """Row of the horizon, in pixels."""
        return self.cy - self.focal * np.tan(self.pitch)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (..., 2) and depths (...) in metres of world points (..., 3).

        Depth is measured along the optical axis; a point must lie in front of the camera (> 0).
        """
        points = np.asarray(points, np.float64)
        sin, cos = np.sin(self.pitch), np.cos(self.pitch)
        rise = points[..., 1] - self.elevation
        depth = points[..., 2] * cos - rise * sin
        down = -rise * cos - points[..., 2] * sin
        scale = self.focal / depth
        pixels = np.stack([self.cx + points[..., 0] * scale, self.cy + down * scale], -1)
        return pixels, depth

    def rays(self, cols: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Ray directions with depth 1 for pixel columns (n,) and rows (m,).

        Returns:
            (x, y, z) world components, float32: x of shape (1, n), y and z of shape (m, 1).
        """
        a = ((np.asarray(cols, np.float64) - self.cx) / self.focal)[None, :]
        b = ((np.asarray(rows, np.float64) - self.cy) / self.focal)[:, None]
        sin, cos = np.sin(self.pitch), np.cos(self.pitch)
        return tuple(part.astype(np.float32) for part in (a, -b * cos - sin, cos - b * sin))

    def ray_distance(self, depth: np.ndarray) -> np.ndarray:
        """Metres along the ray, float32 (H W), for metres along the optical axis (H W)."""
        a = (np.arange(self.width) - self.cx)[None, :] / self.focal
        b = (np.arange(self.height) - self.cy)[:, None] / self.focal
        return (depth * np.sqrt(1 + a * a + b * b)).astype(np.float32)

    def panel_depth(self, point: tuple[float, float, float], normal: tuple[float, float, float],
                    cols: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Depth (m, n) at which the rays meet the plane through ``point`` with ``normal``.

        Rays that never meet it, or only behind the camera, get ``inf``.
        """
        x, y, z = self.rays(cols, rows)
        nx, ny, nz = normal
        offset = nx * point[0] + ny * (point[1] - self.elevation) + nz * point[2]
        slope = nx * x + (ny * y + nz * z)
        with np.errstate(divide='ignore', invalid='ignore'):
            depth = np.float32(offset) / slope
        return np.where(depth > 0, depth, np.float32(np.inf)).astype(np.float32)
