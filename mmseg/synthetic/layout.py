"""Sampling a street scene: the camera, the plan of the street, and all that never moves."""
from __future__ import annotations

import numpy as np

from .camera import Camera
from .ground import ZEBRA_LENGTH
from .scene import Item, Light, Panel, SceneSpec, Side, Street
from .traffic import sample_traffic

KINDS = ('avenue', 'residential', 'old town', 'country')
# The two domains differ a little in where one drives and how the camera is mounted, as
# Cityscapes and ACDC do.
KIND_SHARES = {'clear': (0.38, 0.3, 0.17, 0.15), 'adverse': (0.3, 0.26, 0.12, 0.32)}
FOCAL = {'clear': (0.85, 1.1), 'adverse': (0.75, 1.0)}     # in image widths
ELEVATION = {'clear': (1.25, 1.6), 'adverse': (1.2, 1.45)}
DOMAINS = ('clear', 'adverse')
SIGHT = 150.0       # metres; nothing is placed beyond


def sample_scene(seed: int, index: int, size: tuple[int, int], domain: str = 'clear',
                 variant: int = 0) -> SceneSpec:
    """Draw scene number ``index`` of the set ``seed``; it depends on the arguments alone.

    Args:
        size: (width, height) in pixels.
        domain: 'clear' (sunny or cloudy) or 'adverse' (overcast, other streets).
        variant: another number gives the same place at another time: other traffic and people.
    """
    code = DOMAINS.index(domain)
    rng = np.random.default_rng([seed, index, code])
    camera = Camera(*size, focal=size[0] * rng.uniform(*FOCAL[domain]),
                    elevation=rng.uniform(*ELEVATION[domain]), pitch=rng.uniform(-0.02, 0.05))
    street = sample_street(rng, rng.choice(KINDS, p=KIND_SHARES[domain]))
    light = sample_light(rng, domain)
    panels, items = [], []
    for sign in (-1, 1):
        free = _place_buildings(rng, street, sign, panels)
        _place_barriers(rng, street, sign, panels)
        _place_green(rng, street, sign, free, items)
        _place_furniture(rng, street, sign, items)
    _place_signals(rng, street, items)
    moving = sample_traffic(np.random.default_rng([seed, index, code, 1 + variant]), street, camera)
    return SceneSpec(seed=int(rng.integers(1 << 31)), camera=camera, street=street, light=light,
                     panels=tuple(panels), items=(*items, *moving), ego=bool(rng.random() < 0.25))


def sample_light(rng: np.random.Generator, domain: str) -> Light:
    """A sun in the sky, or none of it."""
    azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.1)
    sun = (np.cos(height) * np.sin(azimuth), np.sin(height), np.cos(height) * np.cos(azimuth))
    warm = rng.uniform(-0.06, 0.08)
    gain = rng.uniform(0.82, 1.1)
    tint = (gain * (1 + warm), gain, gain * (1 - warm))
    overcast = domain == 'adverse' or rng.random() < 0.3
    direct = 0.0 if overcast else rng.uniform(0.35, 0.8)
    return Light(tuple(map(float, sun)), direct, tint, float(rng.uniform(0.0003, 0.0015)), overcast)


def _side(rng: np.random.Generator, kind: str, carriageway: float) -> Side:
    parking = rng.random() < {'avenue': 0.5, 'residential': 0.65, 'old town': 0.3, 'country': 0.05}[kind]
    road = carriageway + (2.2 if parking else 0.3)
    grassy = rng.random() < {'avenue': 0.35, 'residential': 0.3, 'old town': 0.0, 'country': 0.6}[kind]
    verge = road + (rng.uniform(1, 2.6) if grassy else 0.0)
    paved = kind != 'country' or rng.random() < 0.45
    pavement = verge + (rng.uniform(1.4, 4.0) if paved else 0.0)
    garden = {'avenue': (0, 1), 'residential': (0, 6), 'old town': (0, 0.3), 'country': (3, 12)}[kind]
    return Side(road, verge, pavement, pavement + max(0.0, rng.uniform(*garden)), parking)


def sample_street(rng: np.random.Generator, kind: str) -> Street:
    """Plan, cross section and paint of a street of one kind; right-hand traffic."""
    lane = rng.uniform(2.8, 3.6)
    lanes = 2 if kind == 'avenue' and rng.random() < 0.5 else 1
    left, right = (_side(rng, str(kind), lane * lanes) for _ in range(2))
    bend = {'avenue': 0.004, 'residential': 0.008, 'old town': 0.012, 'country': 0.010}[kind]
    cross = rng.uniform(14, 45) if rng.random() < 0.4 else None
    zebra = rng.uniform(9, 30) if rng.random() < 0.3 else None
    if cross is not None and zebra is not None:
        zebra = cross - 9 - ZEBRA_LENGTH
    line = rng.choice(['dashed', 'solid', 'none'], p=[0.6, 0.2, 0.2])
    position = -lane * (lanes - 0.5) if rng.random() < 0.7 else -lane * 0.5
    return Street(
        kind=str(kind), shift=position + rng.normal(0, 0.35), heading=rng.normal(0, 0.025),
        curvature=rng.normal(0, bend / 2), left=left, right=right, lane_width=lane, lanes=lanes,
        centre_line=str(line), edge_lines=bool(kind == 'country' or rng.random() < 0.2),
        rails=bool(kind in ('avenue', 'old town') and rng.random() < 0.6), zebra=zebra, cross=cross,
        cross_half=rng.uniform(3, 5), seed=int(rng.integers(1 << 31)))


def in_crossing(street: Street, z: float, margin: float = 1.0) -> bool:
    """Whether z lies in the cross street."""
    return street.cross is not None and abs(z - street.cross) < street.cross_half + margin


def _panel(street: Street, kind: str, s: float, z0: float, z1: float, height: float, rng,
           **more) -> Panel:
    return Panel(kind, (street.x(s, z0), z0), (street.x(s, z1), z1), height,
                 int(rng.integers(1 << 31)), sort=z1, **more)


def _place_buildings(rng: np.random.Generator, street: Street, sign: int,
                     panels: list[Panel]) -> list[tuple[float, float]]:
    """Rows of houses; returns the stretches [(z0, z1)] left free."""
    share = {'avenue': 0.88, 'residential': 0.72, 'old town': 0.95, 'country': 0.2}[street.kind]
    heights = {'avenue': (9, 26), 'residential': (5.5, 12), 'old town': (8, 16), 'country': (4, 8)}
    s, free, z = sign * street.side(sign).building, [], rng.uniform(-12, 0)
    storeys = rng.uniform(*heights[street.kind])
    while z < SIGHT:
        length = rng.uniform(8, 24)
        if street.cross is not None and z < street.cross + street.cross_half + 2 \
                and z + length > street.cross - street.cross_half - 2:
            length = max(0.0, street.cross - street.cross_half - 2 - z)
        if length > 4 and rng.random() < share:
            tall = float(np.clip(storeys * rng.uniform(0.75, 1.3), 4, 30))
            roof = rng.uniform(1.5, 4) if tall < 13 and rng.random() < 0.6 else 0.0
            front = _panel(street, 'facade', s, z, z + length, tall, rng, roof=roof, side=sign)
            depth = 2 * 1.3 * roof if roof else rng.uniform(7, 13)
            below = 0.0 if not panels or panels[-1].end[1] < z - 0.5 else panels[-1].height
            gable = Panel('gable', front.start, (front.start[0] + sign * depth, z), tall, front.seed,
                          sort=z + length - 0.01, side=sign)
            panels += [gable, front] if tall > below + 0.2 else [front]
        elif length > 0:
            free.append((z, z + length))
        gap = rng.random() < (0.1 if street.kind in ('avenue', 'old town') else 0.45)
        step = length + (rng.uniform(2, 7) if gap else 0.0)
        if gap:
            free.append((z + length, z + step))
        if street.cross is not None and z < street.cross <= z + step + street.cross_half + 3:
            step = street.cross + street.cross_half + 2.5 - z
        z += step
    return free


def _place_barriers(rng: np.random.Generator, street: Street, sign: int, panels: list[Panel]) -> None:
    """Walls and fences between the pavement and the plots, or along a country road."""
    side = street.side(sign)
    space = side.building - side.pavement
    if space < 0.8 and rng.random() < 0.6:
        return
    s = sign * (side.pavement + min(0.3, space / 2) + (0.4 if street.kind == 'country' else 0))
    z = rng.uniform(2, 14)
    kind = rng.choice(['wall', 'fence'])
    while z < 90:
        if rng.random() < 0.35:
            kind = 'fence' if kind == 'wall' else 'wall'
        length = rng.uniform(5, 16)
        height = rng.uniform(0.8, 2.6) if kind == 'wall' else rng.uniform(0.9, 1.9)
        seed = int(rng.integers(1 << 31))
        if rng.random() < 0.7:
            for part in np.arange(z, z + length - 0.1, 4.0):
                far = min(part + 4.0, z + length)
                if not (in_crossing(street, part) or in_crossing(street, far)):
                    panels.append(Panel(str(kind), (street.x(s, part), part), (street.x(s, far), far),
                                        height, seed, sort=far, side=sign))
        z += length + (rng.uniform(1, 8) if rng.random() < 0.5 else 0)


def _item(rng: np.random.Generator, street: Street, kind: str, s: float, z: float, turn: float = 0.0,
          scale: float = 1.0) -> Item:
    return Item(kind, street.x(s, z), z, street.yaw(z) + turn, int(rng.integers(1 << 31)), scale)


def _place_green(rng: np.random.Generator, street: Street, sign: int, free, items: list[Item]) -> None:
    """An alley of trees along the kerb, trees and bushes in gaps and gardens."""
    side = street.side(sign)
    if rng.random() < 0.45:
        s = (side.road + side.verge) / 2 if side.verge > side.road else side.road + 0.7
        step, size = rng.uniform(6, 16), rng.uniform(0.6, 1.0)
        for z in np.arange(rng.uniform(4, 16), 100, step):
            if not in_crossing(street, z):
                items.append(_item(rng, street, 'tree', sign * s, z + rng.normal(0, 0.5),
                                   scale=size * rng.uniform(0.85, 1.15)))
    for z0, z1 in free:
        for z in np.arange(max(z0, 3.0), z1, rng.uniform(2.5, 7)):
            s = side.building + rng.uniform(0.5, 9)
            kind = 'tree' if rng.random() < 0.65 else 'bush'
            if not in_crossing(street, z):
                items.append(_item(rng, street, kind, sign * s, z, scale=rng.uniform(0.7, 1.5)))
    if side.building - side.pavement > 2 and rng.random() < 0.7:
        for z in np.arange(rng.uniform(4, 9), 70, rng.uniform(1.5, 8)):
            s = rng.uniform(side.pavement + 0.9, side.building)
            if not in_crossing(street, z):
                items.append(_item(rng, street, 'bush' if rng.random() < 0.75 else 'tree', sign * s, z,
                                   scale=rng.uniform(0.5, 1.1)))


def _place_furniture(rng: np.random.Generator, street: Street, sign: int, items: list[Item]) -> None:
    """Lamps, bare poles, signs, bins along one kerb."""
    side = street.side(sign)
    kerb = side.road + 0.45
    turn = 0.0 if sign > 0 else np.pi
    if rng.random() < 0.75:
        for z in np.arange(rng.uniform(5, 20), 100, rng.uniform(14, 28)):
            items.append(_item(rng, street, 'lamp', sign * kerb, z, turn))
    for kind, mean, far in (('pole', 2.2, 50), ('sign', 1.9, 42), ('static', 0.6, 35)):
        for _ in range(rng.poisson(mean)):
            z = rng.uniform(6, far)
            s = rng.uniform(kerb, max(kerb + 0.2, side.pavement - 0.2))
            if not in_crossing(street, z, 0):
                items.append(_item(rng, street, kind, sign * s, z, rng.normal(0, 0.25)))


def _place_signals(rng: np.random.Generator, street: Street, items: list[Item]) -> None:
    """Traffic lights at crossings, and now and then elsewhere."""
    at = None
    if street.cross is not None and rng.random() < 0.75:
        at = street.cross - street.cross_half - 1.5
    elif rng.random() < 0.35:
        at = street.zebra if street.zebra is not None else rng.uniform(9, 30)
    if at is None or at < 5:
        return
    for sign in (-1, 1):
        s = sign * (street.side(sign).road + 0.4)
        items.append(_item(rng, street, 'traffic light', s, at, 0.0 if sign > 0 else np.pi))
        if street.cross is not None and rng.random() < 0.5:
            items.append(_item(rng, street, 'traffic light', s, street.cross + street.cross_half + 1.5,
                               0.0 if sign > 0 else np.pi))
