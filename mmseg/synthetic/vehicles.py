"""Cars, lorries, buses, trams, motorcycles and bicycles as models of flat parts."""
from __future__ import annotations

import numpy as np

from .solids import Model, extrude, ring
from .textures import jitter, pick

CARS = ((30, 30, 34), (205, 205, 206), (120, 122, 126), (72, 76, 84), (150, 28, 30), (36, 58, 120),
        (168, 160, 140), (34, 80, 60), (196, 150, 40), (92, 62, 44), (110, 130, 150))
LIVERY = ((200, 40, 40), (220, 180, 40), (40, 90, 160), (50, 120, 80), (225, 225, 222),
          (120, 124, 130), (230, 120, 40), (90, 50, 110))
GLASS = np.array([38.0, 46, 54])
TYRE = np.array([24.0, 24, 26])
HEAD_LAMP = (255, 244, 214)
TAIL_LAMP = (230, 20, 14)


def _wheels(model: Model, half: float, spots: list[float], radius: float) -> None:
    for sign in (-1, 1):
        for z in spots:
            model.detail(ring(sign * (half + 0.01), radius, z, radius), TYRE)
            model.detail(ring(sign * (half + 0.02), radius, z, radius * 0.55, 10), (132, 134, 138))


def _lamps(model: Model, half: float, y: float, front: float, rear: float, size: float = 0.16) -> None:
    for sign in (-1, 1):
        x0, x1 = sign * (half - 0.05), sign * (half - 0.05 - 2 * size)
        for z, colour, glow in ((front, (226, 226, 214), HEAD_LAMP), (rear, (150, 26, 24), TAIL_LAMP)):
            model.detail([[x0, y, z], [x1, y, z], [x1, y + size, z], [x0, y + size, z]], colour,
                         glow=glow)


def _cross(model: Model, x0: float, x1: float, y0: float, y1: float, z: float, colour, **more) -> None:
    """A rectangle across the length, on a front or a rear."""
    model.detail([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]], colour, **more)


def _along(model: Model, x: float, y0: float, y1: float, z0: float, z1: float, colour, **more) -> None:
    """The same rectangle on both flanks."""
    for sign in (-1, 1):
        model.detail([[sign * x, y0, z0], [sign * x, y0, z1], [sign * x, y1, z1], [sign * x, y1, z0]],
                     colour, **more)


def car(rng: np.random.Generator) -> list[Model]:
    """Saloon, estate, hatchback, off-roader or small van."""
    kind = rng.choice(['saloon', 'estate', 'hatch', 'suv', 'van'], p=[0.25, 0.2, 0.25, 0.18, 0.12])
    length = {'saloon': 4.6, 'estate': 4.7, 'hatch': 3.9, 'suv': 4.6, 'van': 4.8}[kind]
    tall = {'saloon': 1.44, 'estate': 1.48, 'hatch': 1.5, 'suv': 1.72, 'van': 1.95}[kind]
    length, tall = length * rng.uniform(0.94, 1.06), tall * rng.uniform(0.97, 1.04)
    half, paint = rng.uniform(0.84, 0.94), pick(rng, CARS)
    belt, rear, front = tall * 0.62, -length / 2, length / 2
    model = Model('car', grain=0.10, centre=(0, 0.62, 0))
    sill, radius = 0.26, rng.uniform(0.3, 0.35)
    nose = front - (0.5 if kind == 'van' else 0.95)
    boot = {'saloon': rear + 0.75}.get(kind, rear + 0.05)
    extrude(model, [(rear, sill), (rear, belt * 0.92), (boot, belt), (nose, belt),
                    (front - 0.08, belt * 0.8), (front, belt * 0.6), (front, sill)],
            lambda y: half, paint)
    roof_back = boot + {'saloon': 0.55, 'hatch': 0.4}.get(kind, 0.18)
    roof_front = nose - (0.35 if kind == 'van' else 0.75)
    extrude(model, [(boot, belt), (roof_back, tall), (roof_front, tall), (nose, belt)],
            lambda y: half * (0.97 if y < belt + 0.01 else 0.82), paint)
    glass = GLASS * rng.uniform(0.7, 1.5)
    low, high, w0, w1 = belt + 0.05, tall - 0.07, half * 0.9, half * 0.76
    for z0, z1 in ((nose - 0.06, roof_front + 0.06), (boot + 0.06, roof_back - 0.02)):
        model.detail([[-w0, low, z0], [w0, low, z0], [w1, high, z1], [-w1, high, z1]], glass)
    for sign in (-1, 1):
        mid = (boot + nose) / 2
        model.detail(_pane(half, low, high, boot + 0.2, roof_back + 0.12, mid - 0.05, sign), glass)
        model.detail(_pane(half, low, high, nose - 0.25, roof_front - 0.02, mid + 0.05, sign), glass)
    _lamps(model, half, belt * 0.66, front + 0.01, rear - 0.01)
    _cross(model, -half, half, sill, sill + 0.17, rear - 0.01, paint * 0.4)
    _cross(model, -0.6 * half, 0.6 * half, sill + 0.05, sill + 0.3, front + 0.01, (34, 34, 36))
    _cross(model, -0.26, 0.26, 0.56, 0.68, rear - 0.02, (214, 212, 200))
    _cross(model, -0.26, 0.26, 0.4, 0.51, front + 0.02, (214, 212, 200))
    _along(model, half + 0.005, sill, sill + 0.12, rear + 0.2, front - 0.2, paint * 0.45)
    _wheels(model, half, [rear + 0.8, front - 0.85], radius)
    return [model]


def _pane(half: float, low: float, high: float, z_low: float, z_high: float, z_mid: float,
          sign: int) -> np.ndarray:
    x0, x1 = sign * (half * 0.965), sign * (half * 0.835)
    return np.array([[x0, low, z_low], [x0, low, z_mid], [x1, high, z_mid], [x1, high, z_high]])


def _box(model: Model, x: float, y0: float, y1: float, z0: float, z1: float, colour,
         bulge: float = 0) -> None:
    extrude(model, [(z0, y0), (z0, y1 - bulge), (z0 + bulge, y1), (z1 - bulge, y1),
                    (z1, y1 - bulge), (z1, y0)], lambda y: x, colour)


def truck(rng: np.random.Generator) -> list[Model]:
    """Lorry: cab and a box, a tarpaulin, a tank or an open bed, with a gap between."""
    model = Model('truck', grain=0.14, centre=(0, 1.6, 0))
    length, half, tall = rng.uniform(6, 10), rng.uniform(1.08, 1.25), rng.uniform(2.7, 3.8)
    cab, load = pick(rng, LIVERY + CARS), pick(rng, LIVERY + ((190, 186, 170), (96, 110, 80)))
    front, rear, deck = length / 2, -length / 2, rng.uniform(0.9, 1.15)
    cab_tall, split = rng.uniform(2.4, 3.0), length / 2 - rng.uniform(1.6, 2.1)
    extrude(model, [(rear, 0.55), (rear, deck), (front - 0.3, deck), (front - 0.3, 0.55)],
            lambda y: half * 0.86, (46, 46, 48))
    kind = rng.choice(['box', 'box', 'bed', 'tank'])
    if kind == 'box':
        _box(model, half, deck, tall, rear, split - 0.3, load)
    elif kind == 'bed':
        _box(model, half, deck, deck + rng.uniform(0.5, 0.9), rear, split - 0.3, load)
        _box(model, half * 0.8, deck + 0.3, deck + rng.uniform(0.9, 1.5), rear + 0.4, split - 1,
             pick(rng, ((140, 110, 70), (110, 110, 110), (90, 70, 50))), 0.3)
    else:
        _box(model, half * 0.92, deck, deck + 1.7, rear, split - 0.3, load, 0.45)
    extrude(model, [(split, 0.5), (split, cab_tall), (front - 0.35, cab_tall), (front, cab_tall * 0.62),
                    (front, 0.5)], lambda y: half, cab)
    top = cab_tall - 0.15
    low = cab_tall * 0.62 + 0.05
    model.detail([[-half * .9, low, front - .01], [half * .9, low, front - .01],
                  [half * .85, top, front - 0.31], [-half * .85, top, front - 0.31]], GLASS)
    _along(model, half + 0.01, cab_tall * 0.6, top, split + 0.6, front - 0.45, GLASS)
    _cross(model, -half * 0.8, half * 0.8, 0.75, 1.25, front + 0.01, (40, 40, 42))
    _cross(model, -half, half, 0.5, 0.8, rear - 0.01, (52, 50, 50))
    if kind == 'box':
        _cross(model, -0.03, 0.03, deck + 0.1, tall - 0.1, rear - 0.01, load * 0.5)
        band = jitter(rng, (200, 60, 50), 60)
        _along(model, half + 0.01, deck + 0.6, deck + 1.2, rear + 0.8, split - 1.2, band)
    _lamps(model, half, 0.62, front + 0.02, rear - 0.02, 0.18)
    _wheels(model, half, [rear + 1.0, rear + 2.1, front - 1.1][0 if length > 8 else 1:], 0.48)
    return [model]


def _saloon(model: Model, half: float, tall: float, z0: float, z1: float, paint, second, rng) -> None:
    """A passenger body with a band of windows and doors along both flanks."""
    _box(model, half, 0.35, tall, z0, z1, paint, 0.16)
    low, high = tall * 0.43, tall * 0.80
    _along(model, half + 0.01, 0.4, tall * rng.uniform(0.2, 0.36), z0, z1, second)
    step = rng.uniform(1.2, 1.7)
    for z in np.arange(z0 + 0.3, z1 - 0.9, step):
        glass = GLASS * rng.uniform(0.7, 1.7)
        _along(model, half + 0.02, low, high, z, min(z + step - 0.12, z1 - 0.3), glass,
               glow=(240, 226, 190))
    for z in np.linspace(z0 + 1.5, z1 - 1.6, 3):
        _along(model, half + 0.03, 0.42, high, z, z + 1.1, GLASS * 0.85, glow=(200, 186, 150))


def bus(rng: np.random.Generator) -> list[Model]:
    """City bus on tyres, with a destination display over a large flat windscreen."""
    model = Model('bus', grain=0.10, centre=(0, 1.5, 0))
    length, half, tall = rng.uniform(8.5, 12), 1.25, rng.uniform(2.9, 3.2)
    tall = tall * (1.35 if rng.random() < 0.15 else 1)
    paint = pick(rng, LIVERY)
    second = pick(rng, LIVERY) if rng.random() < 0.6 else paint * 0.8
    front, rear = length / 2, -length / 2
    _saloon(model, half, tall, rear, front, paint, second, rng)
    _cross(model, -1.12, 1.12, tall * 0.36, tall * 0.8, front + 0.02, GLASS, glow=(120, 112, 90))
    _cross(model, -0.8, 0.8, tall * 0.84, tall * 0.95, front + 0.02, (30, 26, 20), glow=(255, 170, 40))
    _cross(model, -1.0, 1.0, tall * 0.52, tall * 0.8, rear - 0.02, GLASS)
    _cross(model, -0.45, 0.45, tall * 0.84, tall * 0.94, rear - 0.02, (30, 26, 20), glow=(255, 170, 40))
    _cross(model, -1.1, 1.1, 0.4, tall * 0.34, rear - 0.02, second)
    _cross(model, -1.2, 1.2, 0.35, 0.6, front + 0.01, (46, 46, 48))
    _lamps(model, half, 0.72, front + 0.03, rear - 0.03, 0.17)
    for sign in (-1, 1):
        model.flat([[sign * 1.3, tall * 0.8, front + 0.1], [sign * 1.55, tall * 0.8, front + 0.1],
                    [sign * 1.55, tall * 0.62, front + 0.1], [sign * 1.3, tall * 0.62, front + 0.1]],
                   (28, 28, 30))
    _wheels(model, half, [rear + 2.4, front - 2.5], 0.48)
    return [model]


def train(rng: np.random.Generator) -> list[Model]:
    """Tram: low sections on rails with bellows, slanted ends, pantograph, skirts over the wheels."""
    model = Model('train', grain=0.10, centre=(0, 1.6, 0))
    half, tall = rng.uniform(1.12, 1.22), rng.uniform(3.1, 3.5)
    paint, second = pick(rng, LIVERY), pick(rng, LIVERY)
    sections, each = int(rng.integers(1, 4)), rng.uniform(6, 8.5)
    length = sections * each + 0.6 * (sections - 1)
    rear = -length / 2
    for k in range(sections):
        z0 = rear + k * (each + 0.6)
        _saloon(model, half, tall, z0, z0 + each, paint, second, rng)
        if k:
            _box(model, half * 0.93, 0.5, tall - 0.15, z0 - 0.6, z0, (50, 50, 52))
        _along(model, half + 0.02, 0.12, 0.5, z0 + 0.2, z0 + each - 0.2, paint * 0.5)
    front = length / 2
    for z, sign in ((front, 1), (rear, -1)):
        tip = z + sign * 0.75
        extrude(model, [(z, 0.3), (z, tall), (tip - sign * 0.55, tall * 0.93), (tip, tall * 0.36),
                        (tip, 0.3)], lambda y: half * 0.94, paint)
        low, high = tall * 0.42, tall * 0.84
        model.detail([[-half * .84, low, tip - sign * .04], [half * .84, low, tip - sign * .04],
                      [half * .8, high, tip - sign * .43], [-half * .8, high, tip - sign * .43]], GLASS,
                     glow=(130, 120, 96))
        _cross(model, -half * 0.94, half * 0.94, tall * 0.22, tall * 0.34, tip + sign * 0.02, second)
        glow = HEAD_LAMP if sign > 0 else TAIL_LAMP
        for x in (-0.7, 0.7):
            model.detail(np.array([[x - .15, .6, tip + sign * .03], [x + .15, .6, tip + sign * .03],
                                   [x + .15, .85, tip + sign * .03], [x - .15, .85, tip + sign * .03]]),
                         (226, 220, 200) if sign > 0 else (150, 30, 26), glow=glow)
        _cross(model, -0.5, 0.5, tall * 0.87, tall * 0.92, z + sign * 0.3, (30, 26, 20), glow=(255, 170, 40))
    model.line([[-0.5, tall, 0], [0, tall + 0.6, 0.6], [0, tall + 1.2, 0]], 0.06, (50, 50, 54))
    model.line([[-0.7, tall + 1.2, 0], [0.7, tall + 1.2, 0]], 0.07, (50, 50, 54))
    return [model]


def bicycle(rng: np.random.Generator) -> list[Model]:
    """Two thin wheels, a frame of tubes, handlebar, saddle; about 1.75 m long."""
    model = Model('bicycle', grain=0.1, cell=30)
    paint = pick(rng, CARS + LIVERY, 30)
    radius, span = 0.35, rng.uniform(1.02, 1.1)
    rear, front, bottom = (0, radius, -span / 2), (0, radius, span / 2), (0, 0.3, -0.06)
    seat, head = (0, 0.82, -0.22), (0, 0.86, span / 2 - 0.2)
    for hub in (rear, front):
        for part in range(3):
            spoke = ring(0, hub[1], hub[2], radius * 0.93, 6)[[part, part + 3]]
            model.line(spoke, 0.012, (120, 122, 126), solid=False)
        model.line(ring(0, hub[1], hub[2], radius, 18), 0.055, TYRE * 1.3, closed=True)
    for a, b in ((rear, bottom), (bottom, head), (bottom, seat), (seat, head), (rear, seat), (front, head)):
        model.line([a, b], 0.05, paint)
    model.line([head, (0, 1.0, span / 2 - 0.27)], 0.04, (60, 60, 62))
    model.line([(-0.28, 1.02, span / 2 - 0.32), (0.28, 1.02, span / 2 - 0.32)], 0.045, (40, 40, 42))
    model.line([seat, (0, 0.93, -0.25)], 0.04, (60, 60, 62))
    model.line([(0, 0.94, -0.34), (0, 0.95, -0.12)], 0.1, (30, 28, 28))
    if rng.random() < 0.5:
        model.line([(0, 0.72, -span / 2 - 0.15), (0, 0.74, -0.3)], 0.08, (70, 70, 70))
    model.line([(0, 0.66, -span / 2 - 0.2)], 0.08, (150, 26, 24), glow=TAIL_LAMP)
    model.line([(0, 0.85, span / 2 - 0.05)], 0.08, (220, 220, 210), glow=HEAD_LAMP)
    return [model]


def motorcycle(rng: np.random.Generator) -> list[Model]:
    """Motorcycle or scooter: thick wheels, tank and engine, fork, saddle; about 2 m long."""
    model = Model('motorcycle', grain=0.14, cell=30)
    paint, scooter = pick(rng, CARS + LIVERY, 30), rng.random() < 0.4
    radius, span = (0.24, 1.25) if scooter else (0.31, 1.4)
    rear, front = -span / 2, span / 2
    for z in (rear, front):
        model.line(ring(0, radius, z, radius - 0.06, 16), 0.13, TYRE, closed=True)
        model.line([(0, radius, z)], 0.3, (110, 112, 116))
    body = [(0.5, rear - 0.1), (0.82, rear - 0.25), (0.84, -0.1), (0.98, 0.22), (0.9, 0.42),
            (0.42, 0.3), (0.3, -0.25)]
    for x in (0.16, 0, -0.16):
        model.flat([(x, y, z) for y, z in body], paint * (0.85 if x else 1.0))
    model.flat([(0, y, z) for y, z in ((0.32, -0.3), (0.3, 0.3), (0.55, 0.34), (0.56, -0.3))],
               paint * 0.8 if scooter else (58, 58, 60))
    model.line([(0, radius, front), (0, 0.95, front - 0.3)], 0.09, (130, 130, 134))
    model.line([(-0.34, 1.04, front - 0.36), (0.34, 1.04, front - 0.36)], 0.06, (36, 36, 38))
    model.line([(0, 0.87, rear - 0.15), (0, 0.86, 0.02)], 0.2, (28, 26, 26))
    if scooter:
        model.flat([(-0.24, 0.35, front - 0.2), (0.24, 0.35, front - 0.2), (0.2, 1.0, front - 0.34),
                    (-0.2, 1.0, front - 0.34)], paint)
    model.line([(0, 0.9, front - 0.2)], 0.18, (220, 220, 210), glow=HEAD_LAMP)
    model.line([(0, 0.78, rear - 0.28)], 0.13, (160, 26, 24), glow=TAIL_LAMP)
    return [model]
