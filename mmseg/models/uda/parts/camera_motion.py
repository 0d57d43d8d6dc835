"""How the camera moved between two pictures of a place (MGCDA: Sakaridis et al., TPAMI 2020, section 3.3;
sakaridis/MGCDA). On the host, by OpenCV."""
from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from mmseg.utils import DataError

FIELD_OF_VIEW = 64.4  # degrees, horizontal, of the cameras of Dark Zurich
FEWEST_MATCHES = 14  # twice what a fundamental matrix needs


@dataclass(frozen=True)
class Motion:
    """x' = rotation·x + translation takes points from the frame of the first camera to that of the second.

    Args:
        rotation: (3, 3).
        translation: (3), metres.
    """

    rotation: np.ndarray
    translation: np.ndarray


def calibration_matrix(height: int, width: int, field_of_view: float = FIELD_OF_VIEW) -> np.ndarray:
    """K (3, 3) of a camera without distortion, its axis through the middle of the picture; pixels count from
    the centre of the first one, 0.

    Args:
        field_of_view: horizontal, degrees.
    """
    focal = width / (2 * math.tan(math.radians(field_of_view) / 2))
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])


def motion_from_matches(first: np.ndarray, second: np.ndarray, depth: np.ndarray, calibrations: tuple,
                        sky: np.ndarray | None = None, tolerance: float = 2.0) -> Motion | None:
    """Motion between two views from matched points, and its scale from the depth of the first.

    The essential matrix of a RANSAC gives the rotation and the direction of the translation. Its length is
    the median ratio of the depths to those triangulated, in front of the camera and not of the sky.

    Args:
        first, second: the same points in both views (N, 2), x and y in pixels.
        depth: of the first view (H, W), metres.
        calibrations: K of both views.
        sky: pixels of the first view that are sky (H, W), bool.
        tolerance: largest distance to the epipolar line, pixels.

    Returns:
        None if there are too few matches, or too few that agree; then filter instead of warping.

    Raises:
        DataError: the points do not come in pairs.
    """
    if first.shape != second.shape or first.ndim != 2 or first.shape[1] != 2:
        raise DataError(f'matched points of shapes {first.shape} and {second.shape}, expected (N, 2) twice')
    if len(first) < FEWEST_MATCHES:
        return None
    fundamental, inliers = cv2.findFundamentalMat(first, second, cv2.FM_RANSAC, tolerance, 0.999)
    if fundamental is None or fundamental.shape != (3, 3) or inliers.sum() < FEWEST_MATCHES:
        return None
    agree = inliers.ravel().astype(bool)
    rays = [_normalised(points[agree], k) for points, k in zip((first, second), calibrations)]
    essential = calibrations[1].T @ fundamental @ calibrations[0]
    _, rotation, direction, _ = cv2.recoverPose(essential, *rays, np.eye(3))
    poses = np.eye(3, 4), np.hstack([rotation, direction])
    points = cv2.triangulatePoints(*poses, *(r.T for r in rays))
    triangulated = points[2] / points[3]
    x, y = (np.clip(np.rint(first[agree, k]).astype(int), 0, side - 1)
            for k, side in ((0, depth.shape[1]), (1, depth.shape[0])))
    usable = triangulated > 0
    if sky is not None:
        usable &= ~sky[y, x]
    if not usable.any():
        return None
    scale = np.exp(np.median(np.log(depth[y, x][usable]) - np.log(triangulated[usable])))
    return Motion(rotation, scale * direction.ravel())


def _normalised(points: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    homogeneous = np.column_stack([points, np.ones(len(points))])
    return (homogeneous @ np.linalg.inv(calibration).T)[:, :2].astype(np.float64)
