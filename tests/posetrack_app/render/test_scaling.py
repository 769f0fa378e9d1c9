"""Smaller pictures: what is drawn stays under the joints."""

from __future__ import annotations

import numpy as np
import pytest

from posetrack_app.render.scaling import scaled, scaled_size
from posetrack_app.types import Frame, Poses


@pytest.mark.parametrize("scale", [0.5, 0.31, 0.9])
@pytest.mark.parametrize("size", [(640, 480), (333, 211)])
def test_joints_stay_on_what_they_stand_on(size: tuple[int, int], scale: float) -> None:
    """A bright spot is found again, as a centre of mass, where the joint on it is put."""
    width, height = size
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[100:120, 200:240] = 255
    poses = Poses.untracked(xy=[[[219.5, 109.5], [0, 0]]], joint_score=[[0.9, 0]], score=[0.5])
    frame, smaller = scaled(Frame(index=0, pts=0.0, image=image), poses, scale)
    assert frame.image.shape[:2] == scaled_size(width, height, scale)[::-1]
    weight = frame.image[..., 0].astype(float)
    rows, columns = np.indices(weight.shape)
    centre = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
    np.testing.assert_allclose(smaller.xy[0, 0], centre, atol=0.05)
    assert (smaller.xy[0, 1] == 0).all()
    np.testing.assert_array_equal(poses.xy[0, 0], np.float32([219.5, 109.5]))


def test_at_full_size_nothing_is_touched() -> None:
    frame, poses = Frame(index=0, pts=0.0, image=np.zeros((5, 7, 3), dtype=np.uint8)), Poses.empty(17)
    assert scaled(frame, poses, 1.0) == (frame, poses)


def test_nobody_and_a_single_pixel() -> None:
    frame, poses = scaled(Frame(index=0, pts=0.0, image=np.zeros((1, 2, 3), dtype=np.uint8)), Poses.empty(17), 0.1)
    assert frame.image.shape == (1, 1, 3)
    assert len(poses) == 0
