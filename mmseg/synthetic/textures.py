"""Noise, random colours and the surfaces of upright panels: all functions of metres, not of pixels."""
from __future__ import annotations

import functools

import cv2
import numpy as np

TILE = 256


@functools.cache
def noise_tile(slope: float, seed: int = 0) -> np.ndarray:
    """A periodic float32 field in [0, 1] whose amplitude falls as frequency^-slope.

    Of period 256; the first row and column stand again at the end, for interpolation.
    """
    white = np.random.default_rng([7, seed]).standard_normal((TILE, TILE))
    freq = np.hypot(*np.meshgrid(np.fft.fftfreq(TILE), np.fft.fftfreq(TILE)))
    freq[0, 0] = 1
    field = np.fft.ifft2(np.fft.fft2(white) * freq ** -slope).real
    field = (field - field.mean()) / field.std()
    tile = np.clip(0.5 + 0.2 * field, 0, 1).astype(np.float32)
    return np.pad(tile, ((0, 1), (0, 1)), mode='wrap')


def noise(u: np.ndarray, v: np.ndarray, cells: float, slope: float = 1.0) -> np.ndarray:
    """Noise in [0, 1] at surface coordinates in metres, ``cells`` tile cells per metre."""
    across, down = np.broadcast_arrays(_wrap(u * np.float32(cells)), _wrap(v * np.float32(cells)))
    return cv2.remap(noise_tile(slope), np.ascontiguousarray(across), np.ascontiguousarray(down),
                     cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _wrap(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, np.float32)
    return x - np.floor(x * np.float32(1 / TILE)) * np.float32(TILE)


def cell_hash(i: np.ndarray, j: np.ndarray, salt: int) -> np.ndarray:
    """A number in [0, 1) for each integer cell (i, j), float32."""
    h = (i.astype(np.int64) * 73856093) ^ (j.astype(np.int64) * 19349663) ^ (salt * 83492791)
    h = (h ^ (h >> 13)) * 1274126177
    return (((h ^ (h >> 16)) & 0xFFFF) / 65536).astype(np.float32)


def jitter(rng: np.random.Generator, colour: tuple[float, float, float], by: float = 14) -> np.ndarray:
    """``colour`` (RGB, 0-255) with a random brightness and a little random hue, float32 (3,)."""
    out = np.asarray(colour, np.float32) * rng.uniform(0.82, 1.15) + rng.normal(0, by * 0.5, 3)
    return np.clip(out, 4, 250).astype(np.float32)


def pick(rng: np.random.Generator, palette: tuple, by: float = 14) -> np.ndarray:
    """A jittered colour of the palette."""
    return jitter(rng, palette[rng.integers(len(palette))], by)


FACADES = ((205, 190, 160), (215, 200, 120), (170, 170, 168), (150, 82, 66), (120, 92, 74),
           (226, 222, 214), (205, 160, 140), (150, 165, 180), (110, 112, 118), (190, 120, 80),
           (140, 150, 120))
WALLS = ((160, 155, 148), (130, 120, 105), (150, 90, 70), (190, 186, 178), (105, 108, 104),
         (120, 125, 95))
FENCES = ((60, 62, 60), (130, 98, 66), (150, 152, 155), (200, 200, 196), (52, 84, 60), (92, 66, 44))


def blend(base: np.ndarray, colour: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``base`` (m n 3) moved towards ``colour`` by ``weight`` (m n) in [0, 1]."""
    return base + weight[..., None] * (np.asarray(colour, np.float32) - base)


def _band(x: np.ndarray, low: float, high: float) -> np.ndarray:
    return (x > low) & (x < high)


class Facade:
    """A house front with windows in floors and columns, doors or shops at its foot."""

    def __init__(self, seed: int, height: float, plain: bool):
        rng = np.random.default_rng(seed)
        self.seed, self.height, self.plain = int(seed), height, plain and rng.random() < 0.6
        self.base = pick(rng, FACADES)
        self.trim = np.clip(self.base + rng.uniform(-60, 50), 0, 255).astype(np.float32)
        self.glass = jitter(rng, (62, 74, 88), 18)
        self.style = rng.choice(['plaster', 'brick', 'office'], p=[0.55, 0.25, 0.2])
        self.floor = rng.uniform(2.7, 3.7)
        self.column = rng.uniform(1.7, 3.6)
        self.half = rng.uniform(0.2, 0.34) if self.style != 'office' else rng.uniform(0.4, 0.48)
        self.sill, self.lintel = rng.uniform(0.2, 0.34), rng.uniform(0.74, 0.9)
        self.shop = rng.random() < 0.4
        self.awning = pick(rng, ((170, 40, 40), (40, 90, 60), (40, 60, 130), (200, 170, 60),
                                 (90, 90, 92)))
        self.lit_share = rng.uniform(0.15, 0.5)
        self.lamp = jitter(rng, (255, 214, 140), 20)

    def __call__(self, a: np.ndarray, y: np.ndarray, foot: np.ndarray) -> tuple[np.ndarray, ...]:
        """Colour (m n 3) and light given off at night (m n 3), both 0-255, alpha (m n) in [0, 1]."""
        fade = 1 / (1 + foot * 12)
        rough = noise(a, y, 9, 0.6) - 0.5
        stain = noise(a, y, 2.5, 1.2) - 0.5
        base = self.base * (1 + 0.30 * stain + 0.35 * fade * rough)[..., None]
        if self.style == 'brick':
            base = base * (1 - 0.22 * fade * self._mortar(a, y))[..., None]
        i, j = np.floor(y / self.floor), np.floor(a / self.column)
        fy, fx = y / self.floor - i, a / self.column - j
        base = blend(base, self.trim, 0.6 * (fy < 0.05) + 0.8 * (y > self.height - 0.35))
        glow = np.zeros_like(base)
        if self.plain:
            return base, glow, np.ones_like(a)
        window, frame = self._openings(fx, fy, i, y)
        dice = cell_hash(i, j, self.seed & 0xFFFF)
        pane = self.glass * (0.55 + 0.9 * dice + 0.5 * (fy - 0.5))[..., None]
        curtain = (dice * 7 % 1 < 0.35) & (fy > 0.55)
        pane = blend(pane, (196, 190, 180), 0.6 * curtain)
        base = blend(base, self.trim, 0.75 * frame)
        base = np.where(window[..., None], pane, base)
        lit = window & (cell_hash(j, i, 77 + self.seed & 0xFFFF) < self.lit_share)
        glow[lit] = self.lamp
        return self._ground_floor(base, glow, fx, fy, i, j), glow, np.ones_like(a)

    def _openings(self, fx: np.ndarray, fy: np.ndarray, i: np.ndarray, y: np.ndarray):
        inside = (y < self.height - 0.5) & (i >= 0)
        cross = np.abs(fx - 0.5)
        window = (cross < self.half) & _band(fy, self.sill, self.lintel) & inside
        outer = (cross < self.half + 0.06) & _band(fy, self.sill - 0.05, self.lintel + 0.05) & inside
        bar = window & (cross < 0.03)
        return window & ~bar, (outer & ~window) | bar

    def _ground_floor(self, base, glow, fx, fy, i, j) -> np.ndarray:
        low = i < 1
        if self.shop:
            pane = low & (np.abs(fx - 0.5) < 0.44) & _band(fy, 0.12, 0.72)
            base = np.where(pane[..., None], self.glass * (0.7 + 0.8 * fy[..., None]), base)
            base = np.where((low & _band(fy, 0.76, 0.95))[..., None], self.awning, base)
            glow[pane] = self.lamp * 0.8
            return base
        door = low & (cell_hash(j, j, self.seed & 0xFF) < 0.3)
        base = np.where(door[..., None], self.base * 0.9, base)
        leaf = door & (np.abs(fx - 0.5) < 0.24) & (fy < 0.7)
        glow[door] = 0
        return np.where(leaf[..., None], self.awning * 0.7, base)

    @staticmethod
    def _mortar(a: np.ndarray, y: np.ndarray) -> np.ndarray:
        row = np.floor(y / 0.16)
        return ((y / 0.16 - row < 0.16) | ((a / 0.34 + 0.5 * (row % 2)) % 1 < 0.08)).astype(np.float32)


class Wall:
    """A free-standing wall of concrete, plaster, brick or field stones, with a coping."""

    def __init__(self, seed: int, height: float):
        rng = np.random.default_rng(seed)
        self.base, self.height = pick(rng, WALLS), height
        self.block = rng.uniform(0.3, 1.4), rng.uniform(0.2, 0.5)
        self.joint = rng.uniform(0, 0.4)
        self.salt = int(rng.integers(1 << 16))

    def __call__(self, a: np.ndarray, y: np.ndarray, foot: np.ndarray) -> tuple[np.ndarray, ...]:
        """As ``Facade``."""
        fade = 1 / (1 + foot * 10)
        i, j = np.floor(y / self.block[1]), np.floor(a / self.block[0])
        tone = cell_hash(i, j, self.salt) - 0.5
        seam = (y / self.block[1] - i < 0.1) | (a / self.block[0] - j < 0.06)
        rough = noise(a, y, 7, 0.7) - 0.5
        gain = 1 + 0.6 * rough + self.joint * fade * (tone * 0.8 - 0.6 * seam)
        moss = np.clip(noise(a, y, 3, 1.3) - 0.45 - 0.3 * y / self.height, 0, 1)
        out = blend(self.base * gain[..., None], (82, 96, 58), moss)
        out = blend(out, self.base * 1.25, 0.8 * (y > self.height - 0.1))
        return out, np.zeros_like(out), np.ones_like(a)


class Fence:
    """Pickets, bars, mesh or a crash barrier: what lies behind shows through the gaps."""

    def __init__(self, seed: int, height: float):
        rng = np.random.default_rng(seed)
        self.base, self.height = pick(rng, FENCES), height
        self.style = rng.choice(['pickets', 'bars', 'mesh', 'boards'])
        self.step = {'pickets': 0.16, 'bars': 0.14, 'mesh': 0.12, 'boards': 0.2}[self.style]
        self.post = rng.uniform(1.8, 3)

    def __call__(self, a: np.ndarray, y: np.ndarray, foot: np.ndarray) -> tuple[np.ndarray, ...]:
        """As ``Facade``; alpha is the share of the pixel that the slats cover."""
        fx = (a / self.step) % 1
        cover = {'pickets': 0.62, 'bars': 0.34, 'mesh': 0.3, 'boards': 0.95}[self.style]
        slat = fx < cover
        if self.style == 'mesh':
            slat = (((a + y) / self.step) % 1 < 0.2) | (((a - y) / self.step) % 1 < 0.2)
        sharp = np.clip(self.step / (foot * 2.5 + 1e-6) - 0.4, 0, 1)
        alpha = sharp * slat + (1 - sharp) * cover
        rail = (np.abs(y - 0.15 * self.height) < 0.05) | (np.abs(y - 0.9 * self.height) < 0.05)
        post = (a % self.post) < 0.1
        alpha = np.maximum(alpha, rail | post).astype(np.float32)
        tone = 1 + 0.4 * (noise(a, y, 12, 0.5) - 0.5) - 0.18 * (post | rail)
        out = self.base * tone[..., None]
        return out, np.zeros_like(out), alpha
