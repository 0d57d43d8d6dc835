"""Deterministic weights and inputs behind the golden values of tests/data.

The values were measured once from the released implementation with exactly these; the recipe is part of the
measurement and must not change.
"""
from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

DATA = Path(__file__).resolve().parents[1] / 'data'
TOLERANCE = 1e-4  # relative, of float32


def load(name: str) -> dict[str, np.ndarray]:
    with np.load(DATA / name) as file:
        return {key: file[key] for key in file}


_DRAWN: dict[tuple, np.ndarray] = {}  # many tests fill the same small networks
_DRAWN_VALUES = 2 ** 25  # 256 MB


def _draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Seeded by the entry's name, so neither order nor presence of others matters."""
    key = name, shape
    if key not in _DRAWN:
        values = np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF).standard_normal(shape)
        if sum(drawn.size for drawn in _DRAWN.values()) + values.size > _DRAWN_VALUES:
            _DRAWN.clear()
        _DRAWN[key] = values
    return _DRAWN[key]


def _values(name: str, shape: torch.Size) -> np.ndarray:
    values = _draw(name, tuple(shape))
    if name.endswith('running_mean'):
        return 0.1 * values
    if name.endswith('running_var'):
        return 1.0 + 0.1 * np.abs(values)
    if len(shape) >= 2:  # convolutions and linear layers: scaled by fan-in
        return values * np.sqrt(1.0 / np.prod(shape[1:]))
    if name.endswith('weight'):  # of norms
        return 0.6 + 0.1 * values
    return 0.02 * values


def fill(module: nn.Module, known: dict[str, Tensor] | None = None, prefix: str = '') -> nn.Module:
    """Give every parameter and buffer its deterministic values. ``known`` are values drawn before, used again
    where name and shape agree. ``prefix`` stands before the names that the values are drawn for."""
    state = {}
    for name, entry in module.state_dict().items():
        if known and name in known and known[name].shape == entry.shape:
            state[name] = known[name]
            continue
        counts = name.endswith('num_batches_tracked')
        values = np.zeros(tuple(entry.shape)) if counts else _values(prefix + name, entry.shape)
        state[name] = torch.from_numpy(np.asarray(values)).to(entry.dtype)
    module.load_state_dict(state)
    return module


def image(seed: int, batch: int, height: int, width: int) -> Tensor:
    """A normalised image batch, float32 (batch 3 height width)."""
    rng = np.random.RandomState(seed)
    coarse = rng.standard_normal((batch, 3, height // 8, width // 8))
    fine = rng.standard_normal((batch, 3, height, width))
    return torch.from_numpy((np.kron(coarse, np.ones((1, 1, 8, 8))) + 0.1 * fine).astype(np.float32))


def label(seed: int, batch: int, height: int, width: int, num_classes: int = 19, cell: int = 16,
          ignore: int = 255) -> Tensor:
    """A blocky label map, int64 (batch 1 height width), about 5 % of it ignored."""
    rng = np.random.RandomState(seed)
    cells = rng.randint(0, num_classes, (batch, 1, height // cell, width // cell))
    cells[rng.random_sample(cells.shape) < 0.05] = ignore
    return torch.from_numpy(np.kron(cells, np.ones((1, 1, cell, cell))).astype(np.int64))


def relative_error(value: Tensor | np.ndarray | float, expected: np.ndarray) -> float:
    """Largest difference over the largest expected magnitude."""
    difference = np.abs(np.asarray(value, dtype=np.float64) - np.asarray(expected, dtype=np.float64))
    return float(difference.max() / np.abs(expected).max())
