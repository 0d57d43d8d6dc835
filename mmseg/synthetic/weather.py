"""Bad weather and night, computed from a clear picture and the geometry of its scene.

All functions work on linear light: float32 (H, W, 3) in [0, 1]; distances are metres along the ray
(H, W), ``inf`` for the sky. Randomness comes from an explicit generator.
"""
from __future__ import annotations

import cv2
import numpy as np

from .labels import BY_NAME
from .render import RenderedScene
from .textures import noise

CONDITIONS = ('fog', 'night', 'rain', 'snow')
GAMMA = 2.2


def to_linear(image: np.ndarray) -> np.ndarray:
    """Linear light, float32 in [0, 1], of a display-coded uint8 picture."""
    return (np.arange(256, dtype=np.float32) / 255)[image] ** np.float32(GAMMA)


def to_display(linear: np.ndarray) -> np.ndarray:
    """Display-coded uint8 picture of linear light; what lies outside [0, 1] is clipped."""
    return (np.clip(linear, 0, 1) ** np.float32(1 / GAMMA) * 255 + 0.5).astype(np.uint8)


def apply_weather(scene: RenderedScene, condition: str, rng: np.random.Generator) -> np.ndarray:
    """The picture of a scene, uint8 (H, W, 3) RGB, under 'fog', 'night', 'rain' or 'snow'.

    Raises:
        ValueError: another condition.
    """
    if condition not in CONDITIONS:
        raise ValueError(f"condition must be one of {', '.join(CONDITIONS)}, got '{condition}'")
    clear = to_linear(scene.image)
    linear = {'fog': _foggy, 'night': _night, 'rain': _rainy, 'snow': _snowy}[condition](scene, clear, rng)
    return to_display(linear)


# --- the physics ------------------------------------------------------------------------------

def transmission(distance: np.ndarray, beta: float) -> np.ndarray:
    """t = exp(−β·ℓ): the share of light that crosses ℓ metres of air with extinction β (1/m)."""
    return np.exp(-np.float32(beta) * distance)


def fog(linear: np.ndarray, distance: np.ndarray, beta: float, airlight: np.ndarray) -> np.ndarray:
    """I = t·R + (1 − t)·L (Koschmieder 1924), L the colour of the lit fog, (3,)."""
    t = transmission(distance, beta)[..., None]
    return t * linear + (1 - t) * np.asarray(airlight, np.float32)


def rain(linear: np.ndarray, streaks: np.ndarray, veil: np.ndarray, airlight: np.ndarray) -> np.ndarray:
    """O = I·(1 − R − A) + R + A₀·A, the rain model of Hu et al. 2019, "Depth-attentional features
    for single-image rain removal", eq. 1: R (H, W) streaks, A (H, W) fog-like veil with R + A ≤ 1,
    A₀ (3,) its colour.
    """
    r, a = streaks[..., None], veil[..., None]
    return linear * (1 - r - a) + r + np.asarray(airlight, np.float32) * a


def sensor_noise(linear: np.ndarray, shot: float, read: float, rng: np.random.Generator) -> np.ndarray:
    """Photon noise, whose variance is ``shot`` times the signal, and noise of the electronics."""
    sigma = np.sqrt(np.maximum(linear, 0) * shot + read * read)
    return linear + sigma * rng.standard_normal(linear.shape, np.float32)


# --- the conditions ---------------------------------------------------------------------------

def _foggy(scene: RenderedScene, clear: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    grey = rng.uniform(0.42, 0.72)
    light = grey * np.array([1, 1, 1]) * (1 + rng.normal(0, 0.02, 3))
    out = fog(_dull(clear, rng.uniform(0.6, 0.9)), scene.distance, rng.uniform(0.015, 0.05), light)
    return sensor_noise(out, 2e-4, 0.004, rng)


def _rainy(scene: RenderedScene, clear: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    wet = _wet_ground(scene, _dull(clear, 0.7) * rng.uniform(0.4, 0.65), rng)
    beta = rng.uniform(0.008, 0.022)
    veil = (1 - transmission(scene.distance, beta)) * np.float32(0.85)
    streaks = np.minimum(_streaks(scene, rng), 1 - veil)
    light = rng.uniform(0.3, 0.45) * np.array([0.97, 1.0, 1.03])
    out = rain(wet, streaks * np.float32(rng.uniform(0.12, 0.32)), veil, light)
    soft = cv2.GaussianBlur(out, (0, 0), scene.camera.width / 512 * rng.uniform(0.6, 1.3))
    lens = _drops(scene, rng)[..., None]
    return sensor_noise(out * (1 - lens) + soft * lens, 3e-4, 0.005, rng)


def _snowy(scene: RenderedScene, clear: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    cover = snow_cover(scene, rng)[..., None]
    grain = 0.86 + 0.2 * noise(*_ground_coordinates(scene), 12, 0.8)[..., None]
    white = np.float32([0.70, 0.73, 0.78]) * rng.uniform(0.75, 1.05)
    out = _dull(clear, 0.75) * (1 - cover) + white * grain * cover
    light = rng.uniform(0.55, 0.75) * np.array([0.98, 1.0, 1.03])
    out = fog(out, scene.distance, rng.uniform(0.006, 0.024), light)
    flakes = _flakes(scene, rng)[..., None]
    return sensor_noise(out * (1 - flakes) + np.float32(0.9) * flakes, 2e-4, 0.004, rng)


def _night(scene: RenderedScene, clear: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    cast = np.array([1.0, rng.uniform(0.72, 0.86), rng.uniform(0.42, 0.62)], np.float32)
    ambient = rng.uniform(0.014, 0.045) * np.float32([0.8, 0.9, 1.15])
    lit = clear * (ambient + _lamp_light(scene, rng)[..., None] * cast)
    sky = np.isinf(scene.depth)[..., None]
    lit = np.where(sky, ambient * 0.5 + 0.004 * cast, lit)
    glow = scene.glow * np.float32(rng.uniform(0.8, 1.4))
    image = lit * rng.uniform(0.9, 1.6) + glow
    width = scene.camera.width / 256
    for sigma, share in ((1.5, 0.35), (5, 0.22), (14, 0.16)):
        image = image + share * cv2.GaussianBlur(glow * 2, (0, 0), sigma * width)
    tint = np.float32([1.0, 0.92, 0.84]) if rng.random() < 0.6 else np.float32([0.86, 0.96, 1.06])
    return sensor_noise(image * tint, rng.uniform(6e-4, 2e-3), rng.uniform(0.003, 0.008), rng)


# --- what they are made of --------------------------------------------------------------------

def _dull(linear: np.ndarray, saturation: float) -> np.ndarray:
    grey = linear.mean(2, keepdims=True)
    return grey + (linear - grey) * np.float32(saturation)


def _positions(scene: RenderedScene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World (x, y, z) of each pixel in metres; the sky is put 2 km away."""
    camera = scene.camera
    x, y, z = camera.rays(np.arange(camera.width), np.arange(camera.height))
    depth = np.minimum(scene.depth, np.float32(2000))
    return depth * x, camera.elevation + depth * y, depth * z


def _ground_coordinates(scene: RenderedScene) -> tuple[np.ndarray, np.ndarray]:
    x, y, z = _positions(scene)
    return x - scene.spec.street.centre(z).astype(np.float32), z + y


def _is(scene: RenderedScene, *names: str) -> np.ndarray:
    return np.isin(scene.label_ids, [BY_NAME[name].id for name in names])


def _lamp_light(scene: RenderedScene, rng: np.random.Generator) -> np.ndarray:
    """Light from street lamps and our own headlamps: falls off with the square of the distance."""
    x, y, z = _positions(scene)
    light = np.zeros(x.shape, np.float32)
    strength = rng.uniform(4, 9)
    for lamp in scene.lamps:
        square = (x - lamp[0]) ** 2 + (y - lamp[1]) ** 2 + (z - lamp[2]) ** 2
        light += np.float32(strength) / (square + 6)
    aside = x / np.maximum(z, 0.5)
    beam = np.exp(-(aside / 0.35) ** 2) * np.clip(1.15 - 0.28 * y, 0.1, 1)
    return light + np.float32(rng.uniform(14, 34)) * beam / (z * z + 40)


def _wet_ground(scene: RenderedScene, linear: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Wet surfaces are darker, and puddles mirror what stands beyond, upside down."""
    ground = _is(scene, 'road', 'sidewalk') & (scene.up > 0.5)
    horizon, rows = scene.camera.horizon, np.arange(scene.camera.height)
    source = np.clip(np.round(2 * horizon - rows), 0, scene.camera.height - 1).astype(int)
    sigma = scene.camera.height / 128
    mirror = cv2.GaussianBlur(linear[source], (0, 0), sigmaX=0.7 * sigma, sigmaY=3 * sigma)
    s, z = _ground_coordinates(scene)
    puddle = np.clip((noise(s, z * 0.5, 5, 1.4) - rng.uniform(0.35, 0.6)) * 5, 0.15, 1)
    below = np.clip((rows - horizon) / scene.camera.height, 0, 1)[:, None]
    share = (ground * puddle * (0.75 - 0.7 * below)).astype(np.float32)[..., None]
    dark = np.where(ground[..., None], linear * np.float32(0.62), linear)
    return dark * (1 - share) + mirror * share


def _streaks(scene: RenderedScene, rng: np.random.Generator) -> np.ndarray:
    """Falling rain: sparse bright specks drawn out along a slanted line, in two depths."""
    w, h = scene.camera.width, scene.camera.height
    layer = np.zeros((h, w), np.float32)
    slant = rng.uniform(-0.35, 0.35)
    for length, width, count in ((0.05, 1, 0.006), (0.11, 2, 0.0006)):
        seeds = (rng.random((h, w)) < count * 256 / w).astype(np.float32)
        if width > 1:
            seeds = cv2.dilate(seeds, np.ones((1, max(1, round(width * w / 512))), np.uint8))
        side = max(3, int(length * h) | 1)
        kernel = np.zeros((side, side), np.float32)
        middle = side // 2
        reach = int(middle * slant)
        cv2.line(kernel, (middle - reach, 0), (middle + reach, side - 1), 1.0, 1)
        layer = np.maximum(layer, np.minimum(cv2.filter2D(seeds, -1, kernel), 1))
    return cv2.GaussianBlur(layer, (0, 0), 0.6)


def _drops(scene: RenderedScene, rng: np.random.Generator) -> np.ndarray:
    """Where water on the lens blurs the view, (H, W) in [0, 1]."""
    w, h = scene.camera.width, scene.camera.height
    layer = np.zeros((h, w), np.uint8)
    for _ in range(rng.integers(0, 14)):
        at = int(rng.uniform(0, w)), int(rng.uniform(0, h))
        cv2.circle(layer, at, max(1, int(rng.uniform(0.01, 0.04) * w)), 255, -1, cv2.LINE_AA)
    return np.maximum(cv2.GaussianBlur(layer, (0, 0), w / 200).astype(np.float32) / 255, 0.25)


def snow_cover(scene: RenderedScene, rng: np.random.Generator) -> np.ndarray:
    """Share of snow on each pixel, (H, W) in [0, 1]: on what faces up, less where wheels roll."""
    s, z = _ground_coordinates(scene)
    patch = noise(s, z * 0.6, 3, 1.2) + 0.25 * (noise(s, z, 14, 0.7) - 0.5)
    amount = rng.uniform(0.35, 0.75)
    street = scene.spec.street
    in_lane = np.abs(s) % street.lane_width / street.lane_width
    tracks = 0.5 + 0.5 * np.cos(4 * np.pi * (in_lane - 0.25))
    bare = np.where(_is(scene, 'road'), rng.uniform(0.1, 0.45) + 0.25 * tracks, 0.0)
    bare = np.where(_is(scene, 'sidewalk'), rng.uniform(0, 0.3), bare)
    bare = np.where(_is(scene, 'person', 'rider', 'bicycle', 'motorcycle'), 0.35, bare)
    share = np.clip((patch - 0.75 + amount - bare + 0.2) * 4, 0, 0.95)
    x, y, _ = _positions(scene)
    leaves = np.clip((noise(x, y, 26, 0.7) - 0.62 + 0.3 * amount) * 6, 0, 0.9)
    share = np.where(_is(scene, 'vegetation'), leaves, share)
    return (share * np.clip(scene.up * 1.3, 0, 1)).astype(np.float32)


def _flakes(scene: RenderedScene, rng: np.random.Generator) -> np.ndarray:
    """Falling flakes of several sizes, the near ones large, blurred and drawn out by the wind."""
    w, h = scene.camera.width, scene.camera.height
    layer = np.zeros((h, w), np.float32)
    wind = rng.uniform(-0.8, 0.8)
    for size, count, strength in ((0.0022, 420, 0.7), (0.005, 70, 0.6), (0.011, 14, 0.45)):
        dots = np.zeros((h, w), np.uint8)
        for x, y in rng.uniform(0, 1, (int(count * rng.uniform(0.4, 1.2)), 2)) * (w, h):
            radius = size * w * rng.uniform(0.6, 1.2) / 2
            fixed = np.round(np.array([x, y]) * 16).astype(int).tolist()
            tail = [int(fixed[0] + wind * radius * 32), int(fixed[1] + radius * 32)]
            cv2.line(dots, fixed, tail, 255, max(1, round(2 * radius)), cv2.LINE_AA, 4)
        soft = cv2.GaussianBlur(dots, (0, 0), 0.4 + size * w * 0.3).astype(np.float32) / 255
        layer = np.maximum(layer, soft * strength)
    return layer
