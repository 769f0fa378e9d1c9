"""Who walks where and when.

The five people of the clip, in a picture of 16:9, with times in seconds:

    A (0)  comes in from the left at 0.8, hides C at 2.4, B at 3.0 and E at 3.7, leaves on the right at 5.3
    B (1)  walks to the left, hides D at 1.8 and C at 3.7, is behind the pillar from 4.2 to 4.9, leaves at 6.5
    C (2)  comes towards the camera from afar, hides E at 6.1, turns off to the right at 8.0, hides D at 8.6
    D (3)  walks to the right, hides E at 2.6, leaves at 3.9, comes back at 6.1 and walks to the left
    E (4)  comes in from the right at 1.4, is behind the pillar from 6.6 to 7.4, leaves on the left at 8.8

Numbers in brackets are track ids. After 24 s everybody is where they were, so a clip may have any length.
Further people, up to `MOST_PEOPLE`, stroll on ovals far behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from posetrack_app.sample.body import Build, stride_length
from posetrack_app.sample.gait import vigour
from posetrack_app.sample.space import Array

__all__ = ["MOST_PEOPLE", "PERIOD_SECONDS", "Step", "Walk", "path_of", "walk"]

PERIOD_SECONDS = 24.0
"""After this time everything repeats."""

MOST_PEOPLE = 10
"""More would only hide one another."""

_GRID = 100
"""Steps a second at which a walk is worked out."""

# Rows of (second, x, z); the last row leads back to the first at 24 s. Behind the camera nobody is seen.
_STORY: tuple[tuple[tuple[float, float, float], ...], ...] = (
    (
        (0.0, -3.4, 5.5), (1.5, -1.7, 5.5), (3.0, 0.0, 5.5), (6.0, 3.4, 5.5), (8.5, 5.8, 7.6),
        (12.1, 5.0, 11.0), (15.6, 2.0, 12.5), (19.1, -3.0, 11.5), (22.0, -4.9, 8.0),
    ),
    (
        (0.0, 3.3, 7.1), (1.5, 1.65, 7.1), (3.0, 0.0, 7.1), (6.0, -3.3, 7.1), (8.5, -5.0, 4.5),
        (11.4, -3.5, 1.0), (15.6, 0.0, -1.5), (19.1, 4.0, 1.0), (22.0, 4.8, 5.6),
    ),
    (
        (0.0, -1.2, 11.6), (4.0, -0.9, 7.9), (8.0, -0.35, 4.3), (9.0, 0.35, 3.95), (10.0, 1.4, 4.2),
        (12.8, 3.2, 5.6), (15.6, 3.9, 8.5), (19.8, 1.6, 12.0), (22.2, -0.2, 12.5),
    ),
    (
        (0.0, -0.75, 7.6), (2.0, 1.5, 7.6), (4.0, 3.8, 7.5), (5.0, 3.95, 7.0), (6.0, 2.95, 6.6),
        (8.0, 0.85, 6.7), (10.0, -1.35, 7.0), (14.2, -4.3, 7.3), (17.0, -4.8, 8.3), (20.5, -3.2, 9.6),
        (22.6, -1.8, 8.6),
    ),
    (
        (0.0, 6.1, 8.8), (3.0, 2.3, 8.8), (7.0, -2.1, 8.8), (10.0, -5.4, 8.8), (13.5, -6.5, 10.6),
        (17.0, -2.0, 13.0), (20.5, 4.0, 12.5), (22.6, 6.6, 10.5),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """Where a person is in the walk at one moment."""

    place: tuple[float, float]
    """x and z of the pelvis, metres, world."""

    heading: float
    """Direction of walking, radians from +z towards +x."""

    phase: float
    """Strides walked."""

    vigour: float
    """How far the joints swing, 1 in natural walking."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """The walk of one person through one period."""

    place: Array
    """(T + 1, 2): x and z, metres, on a grid of 100 steps a second."""

    heading: Array
    """(T + 1,): radians, unwrapped."""

    phase: Array
    """(T + 1,): strides walked since the start of the period."""

    vigour: Array
    """(T + 1,): swing of the joints."""

    def at(self, seconds: float) -> Step:
        """The step at any time from the start of the clip."""
        turns, inside = divmod(seconds, PERIOD_SECONDS)
        grid = np.arange(len(self.phase)) / _GRID
        x, z, heading, phase, swing = (
            float(np.interp(inside, grid, values)) for values in (*self.place.T, self.heading, self.phase, self.vigour)
        )
        # Whole strides a period, so that the legs go on without a jump.
        return Step((x, z), heading, phase + turns * float(self.phase[-1] - self.phase[0]), swing)


def path_of(person: int, rng: np.random.Generator) -> Array:
    """Rows of (second, x, z) that end where they began, at `PERIOD_SECONDS`; beyond the story, by chance."""
    if person < len(_STORY):
        rows = np.array(_STORY[person])
    else:
        turn = 2 * np.pi * (np.arange(8) / 8 + rng.uniform()) * (-1 if person % 2 else 1)
        x = rng.uniform(-2.0, 2.0) + 3.2 * np.cos(turn)
        z = rng.uniform(12.5, 14.5) + 1.8 * np.sin(turn)
        rows = np.stack([np.arange(8) * PERIOD_SECONDS / 8, x, z], axis=1)
    return np.vstack([rows, [PERIOD_SECONDS, *rows[0, 1:]]])


def walk(path: Array, build: Build, *, start_phase: float) -> Walk:
    """A person of this build on a closed path, rows of (second, x, z)."""
    curve = CubicSpline(path[:, 0], path[:, 1:], bc_type="periodic")
    seconds = np.arange(round(PERIOD_SECONDS * _GRID) + 1) / _GRID
    velocity = curve(seconds, 1)
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    swing = np.array([vigour(value) for value in speed])
    # The stride is nearly proportional to the swing; three lengths between which to interpolate are enough.
    knots = np.array([0.2, 0.7, 1.2, 1.7])
    strides = np.interp(swing, knots, [stride_length(build, knot) for knot in knots])
    phase = np.concatenate([[0.0], np.cumsum((speed / strides)[:-1] / _GRID)])
    phase *= max(round(float(phase[-1])), 1) / phase[-1]
    heading = np.unwrap(np.arctan2(velocity[:, 0], velocity[:, 1]))
    return Walk(place=curve(seconds), heading=heading, phase=phase + start_phase, vigour=swing)
