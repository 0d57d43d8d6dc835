"""The warp of a day's prediction to the dark view: motion from matches, and the rendering, against geometry
by hand."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from mmseg.models.uda.parts.camera_motion import Motion, calibration_matrix, motion_from_matches
from mmseg.models.uda.parts.depth_warp import project, warp_by_depth
from mmseg.utils import DataError

H, W = 48, 64
K = calibration_matrix(H, W)
STILL = Motion(np.eye(3), np.zeros(3))


def rotation(x: float, y: float, z: float) -> np.ndarray:
    return cv2.Rodrigues(np.radians([x, y, z]))[0]


def scene(motion: Motion, count: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A rough depth map, some of its pixels and where the second camera sees them."""
    rng = np.random.RandomState(0)
    depth = rng.uniform(5, 30, (H, W))
    seen, _ = project(torch.from_numpy(depth), motion, (K, K))
    pixels = rng.choice(H * W, count, replace=False)
    first = np.stack([pixels % W, pixels // W], axis=1).astype(float)
    return depth, first, seen.numpy().T[pixels]


def test_camera_of_a_field_of_view():
    """The ray through the left border, half a pixel beside the first centre, is 32.2 degrees off the axis."""
    ray = np.linalg.inv(K) @ np.array([-0.5, (H - 1) / 2, 1])
    assert np.degrees(np.arctan2(-ray[0], ray[2])) == pytest.approx(32.2)
    assert ray[1] == pytest.approx(0)


def test_motion_with_its_scale():
    truth = Motion(rotation(1, -3, 0.5), np.array([0.6, -0.1, 0.9]))
    depth, first, second = scene(truth)
    second[:20] += np.random.RandomState(1).uniform(10, 20, (20, 2))  # wrong matches
    found = motion_from_matches(first, second, depth, (K, K), tolerance=0.2)
    np.testing.assert_allclose(found.rotation, truth.rotation, atol=2e-3)
    np.testing.assert_allclose(found.translation, truth.translation, atol=0.03)


def test_the_sky_does_not_count_in_the_scale():
    truth = Motion(rotation(0, 2, 0), np.array([0.5, 0.0, 0.5]))
    depth, first, second = scene(truth)
    wrong = depth.copy()
    wrong[:30] = 540
    sky = np.zeros((H, W), bool)
    sky[:30] = True
    lengths = [np.linalg.norm(motion_from_matches(first, second, wrong, (K, K), mask, 0.2).translation)
               for mask in (sky, None)]
    assert lengths[0] == pytest.approx(np.sqrt(0.5), rel=0.05)
    assert lengths[1] > 2 * lengths[0]


def test_few_or_wrong_matches_give_no_motion():
    depth, first, second = scene(STILL)
    assert motion_from_matches(first[:13], second[:13], depth, (K, K)) is None
    noise = np.random.RandomState(2).uniform(0, [W, H], first[:20].shape)
    assert motion_from_matches(first[:20], noise, depth, (K, K), tolerance=0.05) is None
    with pytest.raises(DataError, match='expected \\(N, 2\\) twice'):
        motion_from_matches(first, second[1:], depth, (K, K))


def labels(seed: int = 3) -> torch.Tensor:
    return torch.rand(1, 4, H, W, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_still_camera_changes_nothing():
    prob, depth = labels(), torch.rand(H, W, dtype=torch.float64) + 5
    torch.testing.assert_close(warp_by_depth(prob, depth, STILL, (K, K)), prob)


def test_a_step_aside_before_a_wall():
    """All pixels move by focal·step/depth; the border that has nothing to show keeps the day's pixels."""
    depth, shift = torch.full((H, W), 10.0, dtype=torch.float64), 3
    aside = Motion(np.eye(3), np.array([shift * 10 / K[0, 0], 0, 0]))
    prob = labels()
    warped = warp_by_depth(prob, depth, aside, (K, K))
    torch.testing.assert_close(warped[..., shift + 1:-1, shift + 1:-1], prob[..., shift + 1:-1, 1:-shift - 1])
    assert torch.equal(warped[..., :shift - 1], prob[..., :shift - 1])


def test_a_turn_is_a_homography():
    turn = Motion(rotation(2, -4, 3), np.zeros(3))
    smooth = torch.nn.functional.interpolate(labels()[..., :4, :5], (H, W), mode='bicubic')
    warped = warp_by_depth(smooth, torch.full((H, W), 7.0, dtype=torch.float64), turn, (K, K))
    matrix = K @ turn.rotation @ np.linalg.inv(K)
    picture = smooth[0].permute(1, 2, 0).numpy().copy()
    expected = torch.from_numpy(cv2.warpPerspective(picture, matrix, (W, H))).permute(2, 0, 1)[None]
    inside = torch.from_numpy(cv2.warpPerspective(np.ones((H, W)), matrix, (W, H)) > 0.999)
    assert float(inside.double().mean()) > 0.8
    assert float(((warped - expected).abs() * inside).max()) < 0.02


def test_the_near_hides_the_far_and_the_far_fills_the_gap():
    """A pole at 5 m before a wall at 50 m; a step aside moves it by 10 pixels and the wall by 1."""
    depth = torch.full((H, W), 50.0, dtype=torch.float64)
    depth[:, 20:24] = 5
    prob = torch.nn.functional.one_hot((depth < 10).long(), 2).permute(2, 0, 1)[None].double()
    aside = Motion(np.eye(3), np.array([10 * 5 / K[0, 0], 0, 0]))
    pole = warp_by_depth(prob, depth, aside, (K, K))[0, 1, H // 2]
    assert pole[30:34].tolist() == [1, 1, 1, 1]
    assert pole[2:29].tolist() == [0] * 27
    assert pole[35:].sum() == 0


def test_what_is_behind_the_camera_is_not_seen():
    prob, depth = labels(), torch.full((H, W), 2.0, dtype=torch.float64)
    past = Motion(np.eye(3), np.array([0, 0, -3.0]))
    assert torch.equal(warp_by_depth(prob, depth, past, (K, K)), prob)


def test_depth_of_another_size_is_told():
    with pytest.raises(DataError, match='expected one size'):
        warp_by_depth(labels(), torch.ones(H, W + 1), STILL, (K, K))
