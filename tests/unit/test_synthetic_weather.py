"""Weather: the formulas against a recount by hand, and what each condition does to a picture."""
from __future__ import annotations

import math

import numpy as np
import pytest

from mmseg.synthetic import CONDITIONS, apply_weather, render_scene, weather

SIZE = (256, 128)


@pytest.fixture(scope='module')
def scene():
    return render_scene(2, 47, SIZE, 'adverse')


def test_fog_is_koschmieders_law():
    linear = np.array([[[0.2, 0.5, 0.9], [0.2, 0.5, 0.9], [0.4, 0.4, 0.4]]], np.float32)
    distance = np.array([[10.0, 60.0, np.inf]], np.float32)
    out = weather.fog(linear, distance, 0.03, np.array([0.7, 0.8, 0.6]))
    for i, metres in enumerate((10.0, 60.0, math.inf)):
        t = math.exp(-0.03 * metres)
        for c, light in enumerate((0.7, 0.8, 0.6)):
            assert out[0, i, c] == pytest.approx(t * linear[0, i, c] + (1 - t) * light, rel=1e-5)


def test_rain_is_the_model_of_hu_et_al():
    image, r, a, light = 0.3, 0.2, 0.35, (0.5, 0.6, 0.7)
    out = weather.rain(np.full((1, 1, 3), image, np.float32), np.full((1, 1), r, np.float32),
                       np.full((1, 1), a, np.float32), np.array(light))
    for c in range(3):
        assert out[0, 0, c] == pytest.approx(image * (1 - r - a) + r + light[c] * a, rel=1e-5)


def test_sensor_noise_has_the_variance_of_photons_and_electronics():
    signal = np.full((400, 400, 3), 0.25, np.float32)
    noisy = weather.sensor_noise(signal, shot=2e-3, read=0.01, rng=np.random.default_rng(0))
    assert noisy.mean() == pytest.approx(0.25, abs=1e-3)
    assert noisy.var() == pytest.approx(0.25 * 2e-3 + 0.01 ** 2, rel=0.02)


def test_display_coding_goes_there_and_back():
    values = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, 2)
    np.testing.assert_array_equal(weather.to_display(weather.to_linear(values)), values)


@pytest.mark.parametrize('condition', CONDITIONS)
def test_a_condition_depends_on_its_generator_alone_and_leaves_the_scene(scene, condition):
    before = scene.image.copy()
    first, again, other = (apply_weather(scene, condition, np.random.default_rng(k)) for k in (1, 1, 2))
    assert first.dtype == np.uint8 and first.shape == scene.image.shape
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(before, scene.image)
    assert (first != other).mean() > 0.2
    assert np.abs(first.astype(int) - before).mean() > 10


def _contrast(image: np.ndarray, where: np.ndarray) -> float:
    return float(image[where].astype(float).std())


def test_fog_takes_more_contrast_the_farther_away(scene):
    foggy = apply_weather(scene, 'fog', np.random.default_rng(0))
    near = (scene.depth < 12) & (scene.label_ids > 6)
    far = (scene.depth > 40) & np.isfinite(scene.depth)
    left = [_contrast(foggy, part) / _contrast(scene.image, part) for part in (near, far)]
    assert left[1] < 0.6 * left[0]


def test_night_is_dark_but_lamps_shine(scene):
    dark = apply_weather(scene, 'night', np.random.default_rng(0)).mean(2)
    assert np.median(dark) < 0.45 * np.median(scene.image)
    assert dark[scene.glow.max(2) > 0.7].mean() > 2 * dark.mean()


def test_snow_lies_on_the_ground_and_not_on_upright_walls(scene):
    cover = weather.snow_cover(scene, np.random.default_rng(0))
    assert cover.min() >= 0 and cover.max() <= 1
    ground = np.isin(scene.label_ids, [7, 8, 22])
    upright = np.isin(scene.label_ids, [11, 12, 13, 17]) & (scene.up < 0.1)
    assert cover[ground].mean() > 0.3
    assert cover[upright].mean() < 0.02


def test_an_unknown_condition_is_refused(scene):
    with pytest.raises(ValueError, match='hail'):
        apply_weather(scene, 'hail', np.random.default_rng(0))
