"""Fog and rain over any picture whose distances are known.

Pictures are uint8 (H W 3) RGB; distances are metres along the ray of each pixel, float32 (H W), ``inf``
for the sky.
"""
from __future__ import annotations

import cv2
import numpy as np

from .weather import fog, rain, to_display, to_linear, transmission

FOG_BETAS = (0.005, 0.01, 0.02)
# alpha and beta in 1/m, and the size of drops as a share of the picture's height
RAIN_SETTINGS = ((0.01, 0.005, 0.01), (0.02, 0.01, 0.005), (0.03, 0.015, 0.002))
RAIN_PATTERNS = 12
NEAREST_RAIN = 4.0      # metres; streaks nearer than that are out of focus


def airlight_of(linear: np.ndarray) -> np.ndarray:
    """Colour of the light that fog scatters, float32 (3,): the mean of the pixels that are brightest
    in their darkest channel (He et al. 2009, "Single image haze removal using dark channel prior")."""
    side = max(3, min(linear.shape[:2]) // 40 | 1)
    dark = cv2.erode(linear.min(2), np.ones((side, side), np.uint8))
    return linear[dark >= np.quantile(dark, 0.999)].mean(0)


def add_fog(image: np.ndarray, distance: np.ndarray, beta: float) -> np.ndarray:
    """The picture in fog of extinction ``beta`` (1/m); the model of Foggy Cityscapes."""
    linear = to_linear(image)
    return to_display(fog(linear, distance, beta, airlight_of(linear)))


def add_rain(image: np.ndarray, distance: np.ndarray, alpha: float, beta: float, drop: float,
             pattern: int) -> np.ndarray:
    """The picture in rain; the model of Rain Cityscapes (Hu et al. 2019, eq. 1 to 4).

    Args:
        alpha: by which streaks fade with distance, 1/m.
        beta: extinction of the veil, 1/m.
        drop: size of the drops, a share of the picture's height.
        pattern: number of the streaks' picture, which is the same for every image of that size.
    """
    linear = to_linear(image)
    near = np.maximum(distance, np.float32(NEAREST_RAIN))
    veil = 1 - transmission(distance, beta)
    streaks = np.minimum(streak_pattern(image.shape[:2], drop, pattern) * transmission(near, alpha), 1 - veil)
    return to_display(rain(linear, streaks, veil, airlight_of(linear)))


def streak_pattern(size_hw: tuple[int, int], drop: float, pattern: int) -> np.ndarray:
    """Streaks of falling drops, float32 (H W) in [0, 1]: noise drawn out along a slanted line."""
    height, width = size_hw
    rng = np.random.default_rng([17, pattern])
    thickness = max(1, round(drop * height / 4))
    seeds = (rng.random((height, width)) < 0.012 / thickness ** 2).astype(np.float32)
    seeds = cv2.dilate(seeds, np.ones((thickness, thickness), np.uint8))
    side = max(5, round(height * (0.03 + 3 * drop)) | 1)
    kernel, lean = np.zeros((side, side), np.float32), round(rng.uniform(-0.35, 0.35) * (side // 2))
    cv2.line(kernel, (side // 2 - lean, 0), (side // 2 + lean, side - 1), 1.0, 1)
    return np.minimum(cv2.filter2D(seeds, -1, kernel), 1) * np.float32(rng.uniform(0.25, 0.45))
