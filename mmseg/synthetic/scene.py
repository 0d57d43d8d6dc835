"""What a street scene is made of, before a pixel is drawn: plain data, in metres and radians.

``layout`` samples these objects and ``render`` draws them. A position along the street is given in
street coordinates (s, z): s metres to the right of the centre line, z metres ahead of the camera.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .camera import Camera

BEND_END = 90.0    # metres; the centre line goes on straight beyond


@dataclass(frozen=True)
class Side:
    """Distances from the centre line at which each strip of one side ends, rising."""
    road: float
    verge: float
    pavement: float
    building: float
    parking: bool


@dataclass(frozen=True)
class Street:
    """The plan: a parabola as centre line, a cross section, and what is painted on the road."""
    kind: str
    shift: float          # x of the centre line at z = 0
    heading: float        # its slope there
    curvature: float      # 1 / m
    left: Side
    right: Side
    lane_width: float
    lanes: int            # for each direction
    centre_line: str      # dashed | solid | none
    edge_lines: bool
    rails: bool
    zebra: float | None   # z where the crossing begins
    cross: float | None   # z of the middle of a cross street
    cross_half: float     # half its width
    seed: int

    def centre(self, z: np.ndarray | float) -> np.ndarray | float:
        """x of the centre line at z."""
        near = np.minimum(z, BEND_END)
        bend = self.curvature * (near * near / 2 + (z - near) * BEND_END)
        return self.shift + self.heading * z + bend

    def yaw(self, z: float) -> float:
        """Direction of the street at z: 0 = along the Z axis, positive to the right."""
        return float(np.arctan(self.heading + self.curvature * min(z, BEND_END)))

    def x(self, s: float, z: float) -> float:
        """World x of street coordinates (s, z)."""
        return float(self.centre(z) + s)

    def side(self, sign: int) -> Side:
        """The right side for +1, the left one for -1."""
        return self.right if sign > 0 else self.left


@dataclass(frozen=True)
class Panel:
    """An upright rectangle from plan point (x, z) ``start`` to ``end``: facade, wall or fence."""
    kind: str             # facade | gable | wall | fence
    start: tuple[float, float]
    end: tuple[float, float]
    height: float
    seed: int
    sort: float           # painted before everything with a smaller value
    roof: float = 0.0     # metres that a pitched roof rises above it
    side: int = 0         # -1 left, +1 right of the street


@dataclass(frozen=True)
class Item:
    """A thing standing at (x, z), turned by ``yaw`` (0 = faces away from the camera)."""
    kind: str
    x: float
    z: float
    yaw: float
    seed: int
    scale: float = 1.0


@dataclass(frozen=True)
class Light:
    """Daylight: unit vector to the sun, share of direct light, RGB tint, horizon haze per metre."""
    sun: tuple[float, float, float]
    direct: float
    tint: tuple[float, float, float]
    haze: float
    overcast: bool

    def shade(self, normal: np.ndarray) -> float:
        """Brightness factor of a surface with this unit normal."""
        facing = max(0.0, float(np.dot(normal, self.sun)))
        sky = 0.5 + 0.5 * float(normal[1])
        return (1 - self.direct) * (0.72 + 0.28 * sky) + self.direct * (0.45 + 0.75 * facing)


@dataclass(frozen=True)
class SceneSpec:
    """A whole scene."""
    seed: int
    camera: Camera
    street: Street
    light: Light
    panels: tuple[Panel, ...]
    items: tuple[Item, ...]
    ego: bool
