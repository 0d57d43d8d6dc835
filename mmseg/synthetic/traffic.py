"""Sampling what moves: vehicles in lanes and at the kerb, riders, people."""
from __future__ import annotations

import numpy as np

from .camera import Camera
from .scene import Item, Street

# Chance of a scene holding one or more of a kind near enough to be seen well. The rare ones are
# more frequent than in Cityscapes, so that a small data set can teach them. Trams need rails.
CHANCE = {'truck': 0.24, 'bus': 0.28, 'train': 0.7, 'motorcyclist': 0.36, 'cyclist': 0.45}
LENGTH = {'car': 4.8, 'truck': 10.0, 'bus': 12.5, 'train': 22.0, 'motorcyclist': 2.4, 'cyclist': 2.0,
          'motorcycle': 2.2, 'bicycle': 1.9}
CARS = {'avenue': 5.0, 'residential': 2.0, 'old town': 1.6, 'country': 1.8}      # driving, on average


class Space:
    """Which stretches of which lane are taken."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, float, float]] = []

    def claim(self, s: float, z: float, length: float, width: float = 2.1) -> bool:
        """Take (s, z) for something of this length, unless something is there."""
        half = length / 2 + 0.8
        for other_s, other_z, other_half in self.taken:
            if abs(s - other_s) < width and abs(z - other_z) < half + other_half:
                return False
        self.taken.append((s, z, half))
        return True


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 31))


def sample_traffic(rng: np.random.Generator, street: Street, camera: Camera) -> list[Item]:
    """All moving things of a scene; none closer than the nearest visible ground allows."""
    space, items = Space(), []
    space.claim(-street.shift, 0.0, 9.0)
    for kind in ('train', 'bus', 'truck', 'motorcyclist', 'cyclist'):
        if rng.random() < CHANCE[kind] and (kind != 'train' or street.rails):
            for _ in range(1 + (rng.random() < 0.3)):
                _drive(rng, street, kind, space, items)
    for _ in range(rng.poisson(CARS[street.kind])):
        _drive(rng, street, 'car', space, items)
    if street.cross is not None and rng.random() < 0.4:
        kind = rng.choice(['car', 'car', 'bus', 'truck', 'cyclist', 'motorcyclist'])
        s = rng.uniform(-12, 12)
        if space.claim(s, street.cross, LENGTH[kind], LENGTH[kind]):
            items.append(Item(str(kind), street.x(s, street.cross), street.cross,
                              rng.choice([-1, 1]) * np.pi / 2 + rng.normal(0, 0.1), _seed(rng)))
    for sign in (-1, 1):
        _park(rng, street, sign, space, items)
        _walk(rng, street, sign, items)
    _cross_on_foot(rng, street, items)
    return items


def _drive(rng: np.random.Generator, street: Street, kind: str, space: Space, items: list[Item]) -> None:
    """One vehicle in a free lane; on the left they come towards us."""
    slim = kind in ('cyclist', 'motorcyclist')
    near, far = (6, 30) if slim else (9, 50)
    for _ in range(12):
        sign = rng.choice([-1, 1])
        lane = rng.integers(street.lanes) if kind != 'train' else 0
        s = sign * (lane + 0.5) * street.lane_width + rng.normal(0, 0.15)
        if slim and rng.random() < 0.7:
            s = sign * (street.lanes * street.lane_width - rng.uniform(0.3, 0.9))
        z = near + LENGTH[kind] / 2 + (far - near) * rng.random() ** 1.5
        if space.claim(s, z, LENGTH[kind], 1.4 if slim else 2.1):
            turn = 0.0 if sign > 0 else np.pi
            items.append(Item(kind, street.x(s, z), z, street.yaw(z) + turn + rng.normal(0, 0.04),
                              _seed(rng)))
            return


def _park(rng: np.random.Generator, street: Street, sign: int, space: Space, items: list[Item]) -> None:
    """Cars in the parking lane; bicycles and motorcycles on the pavement."""
    side = street.side(sign)
    turn = 0.0 if sign > 0 else np.pi
    if side.parking:
        z, share = rng.uniform(5, 14), rng.uniform(0.25, 0.9)
        while z < 75:
            kind = rng.choice(['car', 'truck', 'motorcycle'], p=[0.93, 0.03, 0.04])
            s = sign * (side.road - 1.05 + rng.normal(0, 0.08))
            if rng.random() < share and not _at_crossing(street, z) and space.claim(s, z, LENGTH[kind]):
                items.append(Item(str(kind), street.x(s, z), z, street.yaw(z) + turn + rng.normal(0, 0.03),
                                  _seed(rng)))
            z += rng.uniform(5.4, 8)
    for kind, chance in (('bicycle', 0.26), ('motorcycle', 0.17)):
        if rng.random() < chance and side.pavement > side.verge:
            z = rng.uniform(6, 26)
            lean = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
            for k in range(rng.integers(1, 5 if kind == 'bicycle' else 3)):
                s = rng.uniform(side.verge + 0.4, max(side.verge + 0.5, side.pavement - 0.4))
                at = z + k * rng.uniform(0.7, 1.1)
                items.append(Item(kind, street.x(sign * s, at), at, lean + rng.normal(0, 0.2), _seed(rng)))


def _at_crossing(street: Street, z: float) -> bool:
    near_cross = street.cross is not None and abs(z - street.cross) < street.cross_half + 4
    return near_cross or (street.zebra is not None and -3 < z - street.zebra < 6)


def _walk(rng: np.random.Generator, street: Street, sign: int, items: list[Item]) -> None:
    """People on the pavement, alone or in groups."""
    side = street.side(sign)
    if side.pavement <= side.verge:
        return
    rate = {'avenue': 2.4, 'residential': 1.1, 'old town': 2.2, 'country': 0.5}[street.kind]
    for _ in range(rng.poisson(rate)):
        z = 5 + 40 * rng.random() ** 1.3
        s = rng.uniform(side.verge + 0.3, max(side.verge + 0.4, side.pavement - 0.3))
        turn = rng.choice([0, np.pi]) + rng.normal(0, 0.3)
        for _ in range(1 + rng.poisson(0.6)):
            at = z + rng.uniform(-1, 1)
            items.append(Item('person', street.x(sign * (s + rng.uniform(-0.7, 0.7)), at), at,
                              street.yaw(at) + turn, _seed(rng), rng.choice([0.62, 0.8, 0.95, 1, 1.05, 1.1])))


def _cross_on_foot(rng: np.random.Generator, street: Street, items: list[Item]) -> None:
    """People crossing the road, mostly on the zebra crossing."""
    zebra = street.zebra
    if rng.random() > (0.6 if zebra is not None else 0.12):
        return
    for _ in range(rng.integers(1, 5)):
        z = (zebra + rng.uniform(0.4, 3)) if zebra is not None else rng.uniform(10, 30)
        if z < 4.5:
            continue
        s = rng.uniform(-street.left.road, street.right.road)
        items.append(Item('person', street.x(s, z), z, rng.choice([-1, 1]) * np.pi / 2 + rng.normal(0, 0.3),
                          _seed(rng), rng.choice([0.7, 0.95, 1, 1.08])))
