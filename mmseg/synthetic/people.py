"""People on foot and riders, as thick limbs between joints in three dimensions."""
from __future__ import annotations

import numpy as np

from . import vehicles
from .solids import Model
from .textures import pick

CLOTHES = ((34, 36, 44), (60, 64, 80), (120, 120, 118), (150, 40, 44), (40, 80, 130), (196, 190, 176),
           (70, 90, 60), (110, 84, 60), (190, 150, 60), (90, 60, 100), (160, 110, 110))
SKIN = ((224, 180, 150), (190, 140, 108), (140, 96, 70), (92, 62, 48), (236, 200, 178))
HAIR = ((36, 28, 24), (90, 62, 40), (170, 136, 84), (120, 118, 116))
HELMETS = ((210, 210, 206), (40, 40, 44), (170, 40, 40), (50, 80, 150), (220, 200, 60))


def _head(model: Model, at: np.ndarray, rng: np.random.Generator, cap) -> None:
    model.line([at - (0, 0.16, 0), at], 0.1, pick(rng, SKIN))
    model.line([at], 0.23, pick(rng, SKIN))
    model.line([at + (0, 0.05, -0.02)], 0.22, cap)


def _leg(model: Model, hip, knee, foot, colour, shoe) -> None:
    model.line([hip, knee], 0.17, colour)
    model.line([knee, foot], 0.13, colour)
    model.line([foot, np.asarray(foot) + (0, -0.02, 0.14)], 0.09, shoe)


def person(rng: np.random.Generator) -> list[Model]:
    """Someone standing or walking along +z, perhaps with a coat, skirt, bag or umbrella."""
    model = Model('person', grain=0.3, cell=34)
    top, bottom, shoe = pick(rng, CLOTHES, 30), pick(rng, CLOTHES, 30), pick(rng, HAIR)
    stride = rng.uniform(0.12, 0.36) if rng.random() < 0.7 else 0.03
    wide = rng.uniform(0.9, 1.2)
    skirt = rng.random() < 0.25
    for sign in (-1, 1):
        reach = sign * stride
        _leg(model, (0.09 * sign, 0.92, 0), (0.09 * sign, 0.5, reach * 0.6 + 0.05),
             (0.09 * sign, 0.08, reach), pick(rng, SKIN) if skirt else bottom, shoe)
    if skirt or rng.random() < 0.3:
        hem = rng.uniform(0.45, 0.7)
        model.flat([(-0.2, 1.1, 0), (0.2, 1.1, 0), (0.26, hem, 0), (-0.26, hem, 0)], bottom if skirt else top)
        model.flat([(0, 1.1, -0.12), (0, 1.1, 0.12), (0, hem, 0.24), (0, hem, -0.24)],
                   bottom if skirt else top)
    model.line([(-0.08, 1.02, 0), (-0.1 * wide, 1.36, 0), (0.1 * wide, 1.36, 0), (0.08, 1.02, 0)], 0.24,
               top, closed=True, up=0.1)
    for sign in (-1, 1):
        swing = -sign * stride * rng.uniform(0.5, 1.1)
        elbow = (0.25 * wide * sign, 1.14, swing * 0.4)
        hand = (0.24 * wide * sign, 0.9, swing + 0.06)
        model.line([(0.2 * wide * sign, 1.4, 0), elbow, hand], 0.1, top * 0.9)
    _head(model, np.array([0, 1.62, 0.03]), rng, pick(rng, HAIR if rng.random() < 0.7 else CLOTHES, 30))
    dice = rng.random()
    if dice < 0.2:
        model.line([(0, 1.12, -0.22), (0, 1.35, -0.22)], 0.26, pick(rng, CLOTHES, 40))
    elif dice < 0.4:
        model.line([(0.32, 0.72, 0.05), (0.32, 0.86, 0.05)], 0.2, pick(rng, CLOTHES, 40))
    elif dice < 0.48:
        angle = np.linspace(0, np.pi, 9)
        dome = np.column_stack([0.5 * np.cos(angle), 1.85 + 0.3 * np.sin(angle), np.full(9, 0.05)])
        model.line([(0.18, 1.2, 0.1), (0.05, 2.1, 0.05)], 0.03, (40, 40, 40))
        model.flat(dome, pick(rng, CLOTHES, 40), up=0.6)
    return [model]


def _rider(rng: np.random.Generator, saddle, grip, pedal, cap) -> Model:
    """Someone seated at ``saddle`` with hands at ``grip`` and feet around ``pedal`` (y, z)."""
    model = Model('rider', grain=0.3, cell=34)
    top, bottom, shoe = pick(rng, CLOTHES, 30), pick(rng, CLOTHES, 30), pick(rng, HAIR)
    lean = rng.uniform(0.1, 0.3)
    neck = np.array([0, saddle[0] + 0.52, saddle[1] + lean])
    turn = rng.uniform(-0.15, 0.15)
    for sign in (-1, 1):
        foot = np.array([0.12 * sign, pedal[0] + sign * turn, pedal[1] + sign * turn * 0.6])
        hip = np.array([0.1 * sign, saddle[0] + 0.05, saddle[1]])
        knee = (hip + foot) / 2 + (0.03 * sign, 0.06, 0.24)
        _leg(model, hip, knee, foot, bottom, shoe)
    model.line([(0, saddle[0] + 0.1, saddle[1]), neck], 0.33, top, up=0.1)
    for sign in (-1, 1):
        hand = np.array([0.25 * sign, grip[0], grip[1]])
        shoulder = neck + (0.2 * sign, -0.04, 0)
        model.line([shoulder, (shoulder + hand) / 2 + (0.05 * sign, -0.08, 0), hand], 0.1, top * 0.9)
    _head(model, neck + (0, 0.22, 0.04), rng, cap)
    if rng.random() < 0.25:
        model.line([neck + (0, -0.32, -0.2), neck + (0, -0.08, -0.2)], 0.28, pick(rng, CLOTHES, 40))
    return model


def cyclist(rng: np.random.Generator) -> list[Model]:
    """A bicycle with its rider."""
    cap = pick(rng, HELMETS if rng.random() < 0.5 else HAIR, 20)
    return [*vehicles.bicycle(rng), _rider(rng, (0.95, -0.24), (1.04, 0.22), (0.33, -0.06), cap)]


def motorcyclist(rng: np.random.Generator) -> list[Model]:
    """A motorcycle with its rider, who wears a helmet."""
    return [*vehicles.motorcycle(rng),
            _rider(rng, (0.86, -0.2), (1.06, 0.34), (0.36, 0.05), pick(rng, HELMETS, 20))]
