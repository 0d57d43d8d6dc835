"""Trees, bushes, poles, lamps, traffic lights, signs and odds and ends."""
from __future__ import annotations

import numpy as np

from .solids import Model, Part
from .textures import jitter, pick

LEAVES = ((62, 92, 40), (84, 112, 48), (106, 124, 60), (52, 80, 52), (140, 120, 50), (150, 92, 44),
          (96, 100, 58))
METAL = ((92, 94, 96), (128, 130, 132), (58, 62, 60), (110, 100, 88), (70, 84, 76))
LAMP_GLOW = (255, 206, 130)
SIGNAL = {'red': (240, 40, 30), 'amber': (250, 170, 30), 'green': (40, 230, 140)}


def _crown(model: Model, rng: np.random.Generator, middle, radii, colour, blobs: int) -> None:
    """A cloud of leaf clusters: the lower and later ones darker, the upper left ones lighter."""
    angle, reach = rng.uniform(0, 2 * np.pi, blobs), np.sqrt(rng.random(blobs))
    x, y = reach * np.cos(angle), reach * np.sin(angle)
    order = np.argsort(0.4 * y - reach)
    x, y, reach = x[order], y[order], reach[order]
    size = rng.uniform(0.22, 0.42, blobs) * np.where(reach > 0.8, 0.7, 1.0) * min(radii)
    light = 0.8 + 0.24 * y - 0.08 * x + rng.uniform(-0.16, 0.16, blobs)
    tones = np.clip(colour * light[:, None] + rng.normal(0, 5, (blobs, 3)), 0, 255)
    points = np.column_stack([middle[0] + x * radii[0], middle[1] + y * radii[1], 0 * x])
    ups = np.clip(0.55 + 0.35 * y, 0, 0.8)
    model.parts.append(Part(points, tones, 2 * size, ups=ups))


def tree(rng: np.random.Generator) -> list[Model]:
    """Broad-leaved tree, conifer or poplar; the trunk is vegetation as well."""
    model = Model('vegetation', grain=0.75, cell=30, slope=0.55)
    colour, bark = pick(rng, LEAVES, 20), jitter(rng, (84, 70, 58), 16)
    kind = rng.choice(['broad', 'broad', 'broad', 'conifer', 'tall', 'bare'], p=[.24, .23, .22, .13, .1, .08])
    tall = rng.uniform(5, 11)
    foot, top, lean = rng.uniform(0.14, 0.3), rng.uniform(0.06, 0.12), rng.uniform(-0.2, 0.2)
    model.flat([(-foot, 0, 0), (foot, 0, 0), (lean + top, tall * 0.6, 0), (lean - top, tall * 0.6, 0)], bark)
    if kind == 'broad':
        clear = rng.uniform(0.25, 0.4) * tall
        radius = (tall - clear) / 2
        _crown(model, rng, (0, clear + radius), (radius * rng.uniform(0.8, 1.15), radius * 0.85), colour, 80)
    elif kind == 'tall':
        _crown(model, rng, (0, tall * 0.6), (tall * 0.15, tall * 0.42), colour, 60)
    elif kind == 'conifer':
        for level in np.linspace(0, 1, 7):
            base, half = tall * (0.12 + 0.72 * level), tall * 0.24 * (1.08 - level)
            tone = colour * (0.66 + 0.3 * level)
            model.flat([(-half, base, 0), (half, base - 0.1, 0),
                        (rng.uniform(-0.1, 0.1), base + tall * 0.26, 0)],
                       tone, up=0.45)
    else:
        start = np.array([lean, tall * 0.5, 0])
        _branches(model, rng, start, np.array([0, 1.0]), tall * 0.2, 0.2, bark)
    return [model]


def _branches(model: Model, rng, start, direction, length, width, bark, depth: int = 0) -> None:
    """Forking twigs of a bare tree."""
    end = start + np.array([direction[0], direction[1], 0]) * length
    model.line([start, end], width, bark * rng.uniform(0.85, 1.2), up=0.25)
    if depth == 4:
        return
    for turn in rng.uniform(0.2, 0.6, 2) * (-1, 1):
        sin, cos = np.sin(turn), np.cos(turn)
        bent = np.array([direction[0] * cos + direction[1] * sin, direction[1] * cos - direction[0] * sin])
        _branches(model, rng, end, bent, length * 0.78, width * 0.66, bark, depth + 1)


def bush(rng: np.random.Generator) -> list[Model]:
    """Shrub or a piece of hedge."""
    model = Model('vegetation', grain=0.7, cell=40, slope=0.55)
    wide, tall = rng.uniform(0.7, 1.8), rng.uniform(0.45, 1.1)
    _crown(model, rng, (0, tall), (wide, tall * 0.75), pick(rng, LEAVES, 20), 30)
    return [model]


def _mast(rng: np.random.Generator, tall: float, width: float = 0.14) -> Model:
    model = Model('pole', grain=0.2)
    model.line([(0, width / 2, 0), (0, tall, 0)], width, pick(rng, METAL))
    return model


def lamp(rng: np.random.Generator) -> list[Model]:
    """Street lamp with an arm over the road (towards -x of the item)."""
    tall, arm = rng.uniform(5.5, 8.5), rng.uniform(0.3, 2.0)
    model = _mast(rng, tall, rng.uniform(0.13, 0.2))
    model.line([(0, tall, 0), (-arm, tall + 0.25, 0)], 0.1, model.parts[0].colour)
    model.line([(-arm - 0.3, tall + 0.25, 0), (-arm + 0.15, tall + 0.25, 0)], 0.18, (196, 194, 184),
               glow=LAMP_GLOW)
    return [model]


def pole(rng: np.random.Generator) -> list[Model]:
    """Bare mast, bollard or telegraph pole."""
    kind = rng.choice(['mast', 'bollard', 'telegraph'], p=[0.5, 0.25, 0.25])
    if kind == 'bollard':
        return [_mast(rng, rng.uniform(0.8, 1.2), 0.2)]
    model = _mast(rng, rng.uniform(3.5, 8), rng.uniform(0.1, 0.24))
    if kind == 'telegraph':
        tall = model.parts[0].points[1, 1]
        model.line([(-0.7, tall - 0.5, 0), (0.7, tall - 0.5, 0)], 0.12, model.parts[0].colour)
    return [model]


def traffic_light(rng: np.random.Generator) -> list[Model]:
    """Signal head on a mast, some with a second one on an arm over the road (towards -x)."""
    tall = rng.uniform(2.7, 3.6)
    mast = _mast(rng, tall, 0.14)
    state = rng.choice(['red', 'amber', 'green'], p=[0.45, 0.15, 0.4])
    casing = pick(rng, ((26, 28, 28), (46, 50, 46), (170, 140, 40), (70, 72, 74)), 10)
    spots = [(0, tall)]
    if rng.random() < 0.45:
        arm, high = rng.uniform(2.0, 3.8), rng.uniform(4.8, 5.6)
        mast.line([(0, tall, 0), (0, high + 0.3, 0), (-arm, high + 0.3, 0)], 0.14, mast.parts[0].colour)
        spots.append((-arm, high))
    return [mast, *(_signal(x, y, casing, state) for x, y in spots)]


def _signal(x: float, y: float, casing, state: str) -> Model:
    model = Model('traffic light', grain=0.1)
    model.flat([(x - 0.21, y - 0.6, 0), (x + 0.21, y - 0.6, 0), (x + 0.21, y + 0.6, 0),
                (x - 0.21, y + 0.6, 0)], casing)
    for name, rise in (('red', 0.36), ('amber', 0), ('green', -0.36)):
        colour = np.array(SIGNAL[name], float)
        lit = name == state
        model.line([(x, y + rise, 0)], 0.27, colour if lit else colour * 0.22 + 12,
                   glow=SIGNAL[name] if lit else (0, 0, 0))
    return model


def _disc(radius: float, n: int, turn: float, y: float) -> np.ndarray:
    angle = turn + np.arange(n) * 2 * np.pi / n
    return np.column_stack([radius * np.sin(angle), y + radius * np.cos(angle), np.zeros(n)])


def sign(rng: np.random.Generator) -> list[Model]:
    """Traffic sign on a thin post: prohibition, warning, stop, order, information or direction."""
    tall, radius = rng.uniform(2.1, 3.0), rng.uniform(0.36, 0.5)
    mast, model = _mast(rng, tall + 0.3, 0.09), Model('traffic sign', grain=0.08)
    red, white, blue = (jitter(rng, c, 12) for c in ((190, 30, 34), (232, 232, 228), (30, 74, 160)))
    kind = rng.integers(6)
    if kind == 5:
        wide, high = rng.uniform(0.5, 1.0), rng.uniform(0.3, 0.55)
        plate = np.array([(-wide, tall - high, 0), (wide, tall - high, 0), (wide, tall + high, 0),
                          (-wide, tall + high, 0)])
        model.flat(plate, pick(rng, ((36, 90, 170), (222, 190, 50), (228, 228, 224), (30, 120, 74))))
        for row in np.linspace(tall - high * 0.5, tall + high * 0.5, 3):
            model.line([(-wide * 0.75, row, 0), (rng.uniform(-0.2, 0.7) * wide, row, 0)], high * 0.18,
                       white if kind else red)
        return [mast, model]
    sides, turn, rim, inner = ((20, 0, red, white), (3, 0, red, white), (8, np.pi / 8, white, red),
                               (20, 0, white, blue), (4, np.pi / 4, white, blue))[kind]
    model.flat(_disc(radius, sides, turn, tall), rim)
    model.flat(_disc(radius * (0.72 if kind < 2 else 0.88), sides, turn, tall), inner)
    mark = np.array((30, 30, 30)) if kind < 2 else white
    tilt = rng.uniform(-0.1, 0.1)
    model.line([(-radius * 0.3, tall, 0), (radius * 0.3, tall + tilt, 0)], radius * 0.25, mark)
    if rng.random() < 0.25:
        model.flat(_disc(radius * 0.7, 4, np.pi / 4, tall - radius * 1.6), white)
    return [mast, model]


def static(rng: np.random.Generator) -> list[Model]:
    """Bin, box, bench or advertising pillar: labelled, but not a class."""
    model = Model('static', grain=0.25)
    wide, tall = rng.uniform(0.25, 0.7), rng.uniform(0.5, 1.6)
    colour = pick(rng, METAL + LEAVES + ((170, 60, 40), (200, 180, 60)), 20)
    model.flat([(-wide, 0, 0), (wide, 0, 0), (wide, tall, 0), (-wide, tall, 0)], colour, up=0.2)
    model.line([(-wide, tall, 0), (wide, tall, 0)], 0.1, colour * 0.7, up=1.0)
    return [model]
