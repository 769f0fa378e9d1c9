"""Who walks where and when.

The five people of the clip, in a picture of 16:9, with times in seconds:

    A (0)  comes in from the left at 0.7, passes in front of B at 3.0, leaves on the right at 5.4
    B (1)  walks to the left, behind A at 3.0, in front of C at 3.9, leaves on the left at 6.0
    C (2)  comes straight at the camera from far away, hides D at 9.0, turns off to the right at 8.5
    D (3)  walks to the right in front of E at 2.8, leaves at 3.9, is back at 6.1 and walks to the left
    E (4)  comes in from the right at 1.4, walks to the left and is behind the pillar at 7.0

Numbers in brackets are track ids. After 20 s everybody is where they were, so a clip may have any length.
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

PERIOD_SECONDS = 20.0
"""After this time everything repeats."""

MOST_PEOPLE = 10
"""More would only hide one another."""

_GRID = 100
"""Steps a second at which a walk is worked out."""

# Rows of (second, x, z); the last row leads back to the first at 20 s. Behind the camera nobody is seen.
_STORY: tuple[tuple[tuple[float, float, float], ...], ...] = (
    (
        (0.0, -3.4, 5.5), (3.0, 0.0, 5.5), (6.0, 3.4, 5.5), (8.5, 5.8, 7.6), (11.5, 5.0, 11.0),
        (14.0, 2.0, 12.5), (16.5, -3.0, 11.5), (18.6, -4.9, 8.0),
    ),
    (
        (0.0, 3.15, 6.7), (3.0, 0.0, 6.7), (6.0, -3.15, 6.7), (8.5, -5.0, 4.5), (11.0, -3.5, 1.0),
        (14.0, 0.0, -1.5), (17.0, 3.5, 1.0), (18.8, 4.1, 4.6),
    ),
    (
        (0.0, -1.2, 11.6), (4.0, -0.9, 7.9), (8.0, -0.35, 4.3), (9.0, 0.35, 3.95), (10.0, 1.4, 4.2),
        (12.0, 3.2, 5.6), (14.0, 3.9, 8.5), (17.0, 1.6, 12.0), (18.7, -0.2, 12.5),
    ),
    (
        (0.0, -0.75, 7.6), (2.0, 1.5, 7.6), (4.0, 3.8, 7.5), (5.0, 4.6, 7.0), (6.0, 3.85, 6.5),
        (8.0, 1.6, 6.6), (10.0, -0.6, 6.8), (13.0, -3.8, 7.0), (15.0, -4.8, 8.3), (17.5, -3.2, 9.6),
        (19.0, -1.8, 8.6),
    ),
    (
        (0.0, 6.1, 8.8), (3.0, 2.3, 8.8), (7.0, -2.1, 8.8), (10.0, -5.4, 8.8), (12.5, -6.5, 10.6),
        (15.0, -2.0, 13.0), (17.5, 4.0, 12.5), (19.0, 6.6, 10.5),
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
