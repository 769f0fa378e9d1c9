"""The stacked filters against filterpy, joint by joint and axis by axis."""

from __future__ import annotations

import math

import numpy as np
import pytest
from filterpy.common import Q_continuous_white_noise
from filterpy.kalman import KalmanFilter

from trackers.motion import Motion

M, K = 3, 2
DENSITY = np.array([40.0, 300.0, 7.0])
START = np.array([900.0, 100.0, 2500.0])


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_equals_filterpy(damping: float) -> None:
    rng = np.random.default_rng(0)
    motion = Motion(K)
    motion.add(M)
    noise = rng.uniform(1, 9, (M, K))
    first = rng.uniform(0, 100, (M, K, 2))
    everything = np.arange(M)
    motion.correct(everything, first, np.ones((M, K), bool), noise, start=START)
    filters = np.empty((M, K, 2), dtype=object)
    for m, k, axis in np.ndindex(M, K, 2):
        kalman = KalmanFilter(dim_x=2, dim_z=1)
        kalman.x = np.array([[first[m, k, axis]], [0.0]])
        kalman.P = np.diag([noise[m, k], START[m]])
        kalman.H = np.array([[1.0, 0.0]])
        kalman.R = np.array([[noise[m, k]]])
        filters[m, k, axis] = kalman
    seen_before = np.ones((M, K), bool)
    for _ in range(40):
        step = rng.choice([0.001, 0.04, 0.5])
        motion.predict(step, acceleration=DENSITY, damping_seconds=damping)
        seen = rng.random((M, K)) < 0.6
        rows = np.flatnonzero(rng.random(M) < 0.7)
        seen[np.setdiff1d(everything, rows)] = False
        sighting = first + rng.normal(0, 5, first.shape)
        motion.correct(rows, sighting[rows], seen[rows], noise[rows], start=START[rows])
        for m, k, axis in np.ndindex(M, K, 2):
            keep = 1.0 if seen_before[m, k] else (math.exp(-step / damping) if damping else 0.0)
            reach = step if seen_before[m, k] else damping * (1 - keep)
            kalman = filters[m, k, axis]
            kalman.F = np.array([[1.0, reach], [0.0, keep]])
            kalman.Q = Q_continuous_white_noise(dim=2, dt=step, spectral_density=DENSITY[m])
            kalman.predict()
            if seen[m, k]:
                kalman.update(sighting[m, k, axis])
            assert motion.xy[m, k, axis] == pytest.approx(kalman.x[0, 0], rel=1e-9)
            assert motion.velocity[m, k, axis] == pytest.approx(kalman.x[1, 0], rel=1e-9, abs=1e-9)
            expected = kalman.P[0, 0], kalman.P[0, 1], kalman.P[1, 1]
            np.testing.assert_allclose(motion.covariance[:, m, k], expected, rtol=1e-8)
        seen_before = seen


def test_follows_constant_velocity_and_slows_down_unseen() -> None:
    motion = Motion(1)
    motion.add(1)
    row, one, seen = np.array([0]), np.ones((1, 1)), np.ones((1, 1), bool)
    for frame in range(50):
        if frame:
            motion.predict(0.1, acceleration=np.array([1.0]), damping_seconds=0.5)
        motion.correct(row, np.array([[[3.0 * frame, 7.0]]]), seen, one, start=np.array([100.0]))
    assert motion.velocity[0, 0] == pytest.approx([30, 0], abs=0.1)
    for _ in range(100):
        motion.predict(0.1, acceleration=np.array([1.0]), damping_seconds=0.5)
    # One step at full velocity, then the whole way of a velocity that dies out: v * tau.
    assert motion.xy[0, 0] == pytest.approx([3 * 49 + 3 + 30 * 0.5, 7], abs=0.2)
    assert motion.velocity[0, 0] == pytest.approx([0, 0], abs=0.01)


def test_a_joint_found_later_moves_with_its_body_and_a_forgotten_one_starts_anew() -> None:
    motion = Motion(2)
    motion.add(1)
    row, noise, start = np.array([0]), np.ones((1, 2)), np.array([100.0])
    only_first = np.array([[True, False]])
    for frame in range(50):
        if frame:
            motion.predict(0.1, acceleration=np.array([1.0]), damping_seconds=0.5)
        motion.correct(row, np.full((1, 2, 2), 2.0 * frame), only_first, noise, start=start)
    assert motion.known.tolist() == [[True, False]]
    motion.predict(0.1, acceleration=np.array([1.0]), damping_seconds=0.5)
    motion.correct(row, np.array([[[100.0, 100.0], [5.0, 6.0]]]), np.array([[True, True]]), noise, start=start)
    assert motion.xy[0, 1].tolist() == [5, 6]
    assert motion.velocity[0, 1] == pytest.approx([20, 20], rel=0.02)
    motion.predict(1.0, acceleration=np.array([1.0]), damping_seconds=0.5)
    motion.forget(row, seconds=2.0)
    assert motion.known.all()
    motion.correct(row, np.full((1, 2, 2), 120.0), only_first, noise, start=start)
    motion.forget(row, seconds=0.5)
    assert motion.known.tolist() == [[True, False]]


def test_a_camera_that_turns_and_zooms_takes_everything_with_it() -> None:
    """Places, velocities, and how sure both are: what is twice as large is known half as well in pixels."""
    rng = np.random.default_rng(1)
    motion = Motion(K)
    motion.add(M)
    motion.correct(
        np.arange(M), rng.uniform(0, 100, (M, K, 2)), np.ones((M, K), bool), rng.uniform(1, 9, (M, K)), start=START
    )
    motion.velocity = rng.normal(0, 30, (M, K, 2))
    motion.predict(0.1, acceleration=DENSITY, damping_seconds=0.3)
    before = motion.xy.copy(), motion.velocity.copy(), motion.covariance.copy()
    turn = 2.5 * np.array([[math.cos(0.7), -math.sin(0.7)], [math.sin(0.7), math.cos(0.7)]])
    motion.move(np.column_stack([turn, [30.0, -8.0]]))
    for m, k in np.ndindex(M, K):
        np.testing.assert_allclose(motion.xy[m, k], turn @ before[0][m, k] + [30, -8])
        np.testing.assert_allclose(motion.velocity[m, k], turn @ before[1][m, k])
        for now, then in zip(motion.covariance[:, m, k], before[2][:, m, k], strict=True):
            np.testing.assert_allclose(now * np.eye(2), turn @ (then * np.eye(2)) @ turn.T, atol=1e-9)


def test_nobody() -> None:
    motion = Motion(17)
    motion.add(0)
    motion.predict(1.0, acceleration=np.zeros(0), damping_seconds=0.5)
    motion.keep(np.zeros(0, bool))
    assert len(motion) == 0
