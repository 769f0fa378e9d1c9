"""Neck and head top: near the exact ones of drawn people, and bound to the body."""

from __future__ import annotations

import numpy as np
import pytest

from models.skeleton import COCO17
from posetrack_app.formats.head import neck_and_head_top
from posetrack_app.sample.body import Build, joint_points, pose_body
from posetrack_app.sample.space import Camera

CAMERA = Camera(width=640, height=360, focal=691, elevation=1.5, pitch=np.radians(6.0))
SHOULDERS = [COCO17.index("left_shoulder"), COCO17.index("right_shoulder")]


def _people() -> tuple[np.ndarray, np.ndarray]:
    """People who walk in all directions, (N, 17, 2), and their exact neck and head top, (N, 2, 2)."""
    build = Build()
    points = np.stack(
        [
            joint_points(build, pose_body(build, place=(0, 6), heading=heading, phase=phase, vigour=1))
            for heading in np.linspace(0, 2 * np.pi, 24, endpoint=False)
            for phase in (0.0, 0.3, 0.7)
        ]
    )
    xy, _ = CAMERA.project(points)
    return xy[:, :17], xy[:, [18, 17]]


def test_near_the_exact_ones() -> None:
    xy, exact = _people()
    estimate, score = neck_and_head_top(xy, np.ones((len(xy), 17)))
    assert (score == 1).all()
    head_pixels = np.hypot(*(exact[:, 0] - exact[:, 1]).T)
    error = np.hypot(*(estimate - exact).transpose(2, 0, 1)) / head_pixels[:, None]
    assert error.max() < 0.1


@pytest.mark.parametrize("missing", [(3,), (4,), (3, 4), (1, 2, 3, 4), (0, 1, 2, 3), (5,), (6,)])
def test_without_some_joints_it_still_lies_at_the_head(missing: tuple[int, ...]) -> None:
    xy, exact = _people()
    known = np.ones((len(xy), 17))
    known[:, missing] = 0
    estimate, score = neck_and_head_top(xy * known[..., None], known)
    assert (score == 1).all()
    head_pixels = np.hypot(*(exact[:, 0] - exact[:, 1]).T)
    error = np.hypot(*(estimate - exact).transpose(2, 0, 1)) / head_pixels[:, None]
    assert error.max() < 0.9
    assert np.median(error) < 0.6


def test_needs_a_shoulder_and_a_joint_of_the_head() -> None:
    xy, _ = _people()
    for missing in (SHOULDERS, list(range(5))):
        known = np.ones((len(xy), 17))
        known[:, missing] = 0
        estimate, score = neck_and_head_top(xy, known)
        assert not estimate.any()
        assert not score.any()
    estimate, score = neck_and_head_top(np.zeros((0, 17, 2)), np.zeros((0, 17)))
    assert estimate.shape == (0, 2, 2)
    assert score.shape == (0, 2)


def test_moves_turns_and_grows_with_the_body() -> None:
    xy, _ = _people()
    random = np.random.default_rng(0)
    joint_score = random.random((len(xy), 17)) * (random.random((len(xy), 17)) > 0.3)
    estimate, score = neck_and_head_top(xy, joint_score)
    turn = 3.0 * np.array([[0.6, -0.8], [0.8, 0.6]])
    moved, same = neck_and_head_top(xy @ turn + (40, -7), joint_score)
    known = score[:, 0] > 0
    np.testing.assert_allclose(moved[known], estimate[known] @ turn + (40, -7), atol=1e-6)
    np.testing.assert_array_equal(same, score)
    assert (score <= joint_score.max(axis=1, keepdims=True)).all()
