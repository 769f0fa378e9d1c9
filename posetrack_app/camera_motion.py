"""How the camera moved from one frame to the next, from the background: sparse optical flow, and a robust fit.

Corners outside of people are followed by Lucas and Kanade's method in small grey pictures; the map that most of them
agree on (turn, zoom and shift, by RANSAC) is the camera's. For `Tracker.update(camera=...)`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["CameraMotion"]

WIDTH = 320
"""Pixels of the long side of the pictures in which corners are followed."""

CORNERS = 120
FEWEST_CORNERS = 12
"""Corners that must agree, and half of all that were followed: else the camera is taken to stand still."""

STILL_PIXELS = 0.15
"""Mean movement of the corners, in small pictures, that is taken for noise."""

NOTHING = np.eye(2, 3)


class CameraMotion:
    """Compares each frame with the one before it."""

    def __init__(self) -> None:
        self._before: Any = None  # uint8 (H, W), grey
        self._corners: Any = None  # float32 (P, 1, 2); OpenCV's types do not tell

    def update(self, image: npt.NDArray[np.uint8], boxes: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """The map (2, 3) from places in the last frame to places in this one; nothing moves where it is not known.

        Args:
            image: uint8 (H, W, 3), RGB.
            boxes: (N, 4), left, top, right and bottom of the people in this frame, pixels: no background.
        """
        scale = min(1.0, WIDTH / max(image.shape[:2]))
        size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
        grey = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        before, corners = self._before, self._corners
        mask = np.full(grey.shape, 255, dtype=np.uint8)
        for left, top, right, bottom in np.nan_to_num(boxes * scale).clip(0, 1e4).astype(int).tolist():
            mask[top : bottom + 1, left : right + 1] = 0
        self._before = grey
        self._corners = cv2.goodFeaturesToTrack(grey, CORNERS, 0.01, 6, mask=mask)
        if before is None or before.shape != grey.shape or corners is None or len(corners) < FEWEST_CORNERS:
            return NOTHING.copy()
        nothing: Any = None
        found, status, _ = cv2.calcOpticalFlowPyrLK(before, grey, corners, nothing, winSize=(15, 15), maxLevel=3)
        good = status.ravel() > 0
        if good.sum() < FEWEST_CORNERS:
            return NOTHING.copy()
        start, end = corners[good, 0], found[good, 0]
        cv2.setRNGSeed(0)  # the same frames give the same map
        camera, agree = cv2.estimateAffinePartial2D(start, end, method=cv2.RANSAC, ransacReprojThreshold=1.0)
        if camera is None or agree.sum() < max(FEWEST_CORNERS, 0.5 * good.sum()):
            return NOTHING.copy()
        moved = np.abs(end - start)[agree.ravel() > 0].mean()
        if moved < STILL_PIXELS:
            return NOTHING.copy()
        result: npt.NDArray[np.float64] = camera.astype(np.float64)
        # Small pixels to large ones; (0, 0) is the centre of the top left pixel in both.
        middle = (1 / scale - 1) / 2
        result[:, 2] = result[:, 2] / scale + (np.eye(2) - result[:, :2]) @ np.full(2, middle)
        return result
