"""Weather over a person's own Cityscapes: the distances, the physics, the files."""
from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from data_trees import save

from mmseg.synthetic.overlay import add_fog, add_rain, airlight_of
from mmseg.synthetic.weather import to_linear
from tools import make_adverse as program

NAME = 'train/town/town_000000_000019'
CAMERA = dict(intrinsic=dict(fx=100.0, fy=80.0, u0=31.5, v0=15.5), extrinsic=dict(baseline=0.2))
HW = (32, 64)


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    save(tmp_path / f'leftImg8bit/{NAME}_leftImg8bit.png', rng.integers(0, 256, (*HW, 3), dtype=np.uint8))
    stored = np.full(HW, 1 + 2 * 256, np.uint16)      # 2 pixels of disparity: z = 0.2 · 100 / 2 = 10 m
    stored[:, :8] = 0
    ids = np.full(HW, 7, np.uint8)
    ids[:4] = 23
    save(tmp_path / f'disparity/{NAME}_disparity.png', stored)
    save(tmp_path / f'gtFine/{NAME}_gtFine_labelIds.png', ids)
    (tmp_path / 'camera/train/town').mkdir(parents=True)
    (tmp_path / f'camera/{NAME}_camera.json').write_text(json.dumps(CAMERA))
    return tmp_path


def call(root, *args, code=0):
    with pytest.raises(SystemExit) as end:
        program.main([str(root), '--nproc', '1', *map(str, args)])
    assert end.value.code == code


@pytest.mark.parametrize('depth', [False, True])
def test_distance_is_along_the_ray_holes_are_filled_and_the_sky_is_far(root, depth):
    folder = None
    if depth:
        save(root / f'depth/{NAME}_depth.png', np.full(HW, 10 * 256, np.uint16))
        folder = str(root / 'depth')
    distance = program.distance_of(str(root), NAME, folder)
    assert np.isinf(distance[:4]).all() and np.isfinite(distance[4:]).all()
    for row, column in ((31, 63), (16, 32), (20, 0)):   # the last lies in the hole
        a, b = (column - 31.5) / 100, (row - 15.5) / 80
        assert distance[row, column] == pytest.approx(10 * np.sqrt(1 + a * a + b * b), rel=1e-5)


def test_fog_follows_the_distance():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (*HW, 3), dtype=np.uint8)
    distance = np.full(HW, 50, np.float32)
    distance[:8], distance[8:12] = np.inf, 0
    foggy = add_fog(image, distance, 0.02)
    np.testing.assert_allclose(foggy[8:12].astype(int), image[8:12], atol=1)
    light = airlight_of(to_linear(image))
    np.testing.assert_allclose(to_linear(foggy[:8]), np.broadcast_to(light, (8, 64, 3)), atol=0.01)
    share = np.exp(-0.02 * 50)
    expected = share * to_linear(image[20]) + (1 - share) * light
    np.testing.assert_allclose(to_linear(foggy[20]), expected, atol=0.01)


def test_rain_without_streaks_is_its_veil_and_patterns_differ():
    image = np.full((64, 128, 3), 90, np.uint8)
    image[:8] = 200
    distance = np.full((64, 128), 100, np.float32)
    one, two = (add_rain(image, distance, 0.01, 0.01, 0.01, pattern) for pattern in (1, 2))
    assert (one != two).any() and (one == add_rain(image, distance, 0.01, 0.01, 0.01, 1)).all()
    # far streaks are gone: I·(1 − A) + A₀·A with A = 1 − exp(−0.01·100)
    veil = 1 - np.exp(-1.0)
    far = add_rain(image, distance, 10.0, 0.01, 0.01, 1)
    expected = to_linear(image[40]) * (1 - veil) + airlight_of(to_linear(image)) * veil
    np.testing.assert_allclose(to_linear(far[40]), expected, atol=0.01)
    assert to_linear(one).mean() > to_linear(far).mean()


def test_the_program_writes_the_names_of_the_data_sets_and_keeps_what_is_there(root, capsys):
    call(root, '--weather', 'foggy')
    call(root, '--weather', 'rain', '--patterns', 2)
    foggy = sorted(p.name for p in (root / 'leftImg8bit_foggy/train/town').iterdir())
    assert foggy == [f'town_000000_000019_leftImg8bit_foggy_beta_{b}.png' for b in ('0.005', '0.01', '0.02')]
    rain = sorted((root / 'leftImg8bit_rain/train/town').iterdir())
    assert len(rain) == 6 and cv2.imread(str(rain[0])).shape == (*HW, 3)
    assert rain[0].name.endswith('_leftImg8bit_rain_alpha_0.01_beta_0.005_dropsize_0.01_pattern_1.png')
    before = rain[0].stat().st_mtime_ns
    rain[1].unlink()
    capsys.readouterr()
    call(root, '--weather', 'rain', '--patterns', 2)
    assert '1 pictures written' in capsys.readouterr().out
    assert rain[1].is_file() and rain[0].stat().st_mtime_ns == before


@pytest.mark.parametrize('path, words', [
    (f'disparity/{NAME}_disparity.png', 'disparity_trainvaltest.zip'),
    (f'camera/{NAME}_camera.json', 'camera_trainvaltest.zip'),
    ('leftImg8bit', 'leftImg8bit_trainvaltest.zip')])
def test_what_is_missing_is_named_with_its_archive(root, path, words, capsys):
    (root / path).rename(root / 'elsewhere')
    call(root, '--weather', 'foggy', code=1)
    err = capsys.readouterr().err
    assert err.startswith('error: ') and words in err and len(err.splitlines()) == 1
