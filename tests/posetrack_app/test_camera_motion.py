"""How the camera moved: drawn pictures that are shifted, turned and zoomed by known maps."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from posetrack_app.camera_motion import CameraMotion

NOBODY = np.zeros((0, 4))


def ground(size: tuple[int, int] = (900, 1200)) -> np.ndarray:
    """A large picture with something to see at every scale."""
    rng = np.random.default_rng(0)
    noise = sum(cv2.resize(rng.uniform(0, 1, (n, n, 3)), size[::-1], interpolation=cv2.INTER_CUBIC) for n in (12, 60))
    return np.asarray((60 * noise + 60).clip(0, 255), dtype=np.uint8)


def seen(camera: np.ndarray, shape: tuple[int, int] = (480, 640)) -> np.ndarray:
    """What is seen where places of the ground go through a map."""
    return np.asarray(cv2.warpAffine(ground(), camera, shape[::-1], flags=cv2.INTER_AREA), dtype=np.uint8)


@pytest.mark.parametrize(("angle", "zoom", "shift"), [(0, 1, (7, -4)), (0, 1, (0, 0)), (2, 1.02, (5, 3))])
def test_the_map_is_found(angle: float, zoom: float, shift: tuple[float, float]) -> None:
    first = np.array([[1.0, 0, -200], [0, 1, -150]])
    turn = zoom * np.array([[np.cos(a := np.radians(angle)), -np.sin(a)], [np.sin(a), np.cos(a)]])
    camera = np.column_stack([turn, shift])
    second = np.column_stack([turn, turn @ first[:, 2] + shift])
    motion = CameraMotion()
    assert (motion.update(seen(first), NOBODY) == np.eye(2, 3)).all()
    found = motion.update(seen(second), NOBODY)
    corners = np.array([[0, 0], [639, 0], [0, 479], [639, 479], [320, 240]])
    apart = corners @ (found - camera)[:, :2].T + (found - camera)[:, 2]
    assert np.abs(apart).max() < 0.6


@pytest.mark.parametrize("shape", [(480, 640), (900, 1200), (1500, 1100)])
def test_corners_of_small_pictures_count_from_the_centre_of_their_first_pixel(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]
) -> None:
    """Where all corners are followed exactly, the map is exact, also in a picture that is shrunk by much."""
    camera = np.array([[1.2, -0.3, -40.0], [0.3, 1.2, 25.0]])
    shrunk = max(shape) / 320

    def followed(_before: Any, _now: Any, corners: Any, *_: Any, **__: Any) -> tuple[np.ndarray, np.ndarray, None]:
        large = (corners.astype(np.float64) + 0.5) * shrunk - 0.5
        moved = (large @ camera[:, :2].T + camera[:, 2] + 0.5) / shrunk - 0.5
        return moved.astype(np.float32), np.ones((len(corners), 1), dtype=np.uint8), None

    monkeypatch.setattr(cv2, "calcOpticalFlowPyrLK", followed)
    motion = CameraMotion()
    for _ in range(2):
        found = motion.update(ground(shape), NOBODY)
    np.testing.assert_allclose(found, camera, atol=2e-3)


def test_people_are_not_the_background() -> None:
    """A large person walks; the background stands still."""
    still = np.array([[1.0, 0, -200], [0, 1, -150]])
    motion = CameraMotion()
    for x in (100, 112):
        image = seen(still)
        image[:, x : x + 400] = seen(still + [[0, 0, x - 400], [0, 0, 90]])[:, x : x + 400]
        found = motion.update(image, np.array([[x, 0, x + 400, 479]]))
    assert np.abs(found - np.eye(2, 3)).max() < 0.1


@pytest.mark.parametrize("shape", [(1, 1), (20, 30), (480, 640)])
def test_nothing_to_see_is_a_camera_that_stands_still(shape: tuple[int, int]) -> None:
    motion = CameraMotion()
    for grey in (0, 90, 90):
        found = motion.update(np.full((*shape, 3), grey, dtype=np.uint8), NOBODY)
        assert (found == np.eye(2, 3)).all()
