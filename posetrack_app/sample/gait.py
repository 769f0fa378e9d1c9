"""How a person walks: the angles of the joints over one stride, and what ground a stride covers.

The legs have the shape of the mean curves of natural walking in D. A. Winter, "Biomechanics and Motor Control
of Human Movement", 4th ed., 2009, and J. Perry and J. Burnfield, "Gait Analysis", 2nd ed., 2010, in whole
degrees; the arms swing as in M. P. Murray et al., "Patterns of sagittal rotation of the upper limbs in
walking", Physical Therapy 47, 1967. Phase 0 is the moment when the heel strikes the ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

__all__ = ["NATURAL_SPEED", "LegAngles", "arm_angles", "leg_angles", "vigour"]

NATURAL_SPEED = 1.3
"""Metres a second at which the curves hold as they are."""

# Degrees at every 5 % of the stride.
_HIP = (22, 21, 19, 15, 11, 6, 1, -3, -7, -10, -11, -9, -3, 5, 13, 19, 23, 25, 25, 23, 22)
_KNEE = (4, 10, 16, 19, 18, 15, 12, 9, 7, 8, 12, 21, 36, 51, 62, 64, 56, 41, 22, 7, 4)
_ANKLE = (0, -5, -3, 1, 3, 5, 6, 8, 9, 10, 7, -3, -14, -18, -11, -4, 0, 2, 2, 1, 0)
_CURVES = CubicSpline(np.linspace(0, 1, 21), np.radians([_HIP, _KNEE, _ANKLE]).T, bc_type="periodic")


@dataclass(frozen=True, slots=True)
class LegAngles:
    """Angles of one leg in radians, all 0 when it hangs straight."""

    hip: float
    """Thigh swung forward."""

    knee: float
    """Shank bent back."""

    ankle: float
    """Toes raised."""


def leg_angles(phase: float, vigour: float = 1.0) -> LegAngles:
    """The leg whose heel strikes at whole numbers of `phase`; `vigour` scales the swing, 0 stands still.

    >>> round(float(np.degrees(leg_angles(0.0).hip)))
    22
    >>> leg_angles(0.3, 0.0).knee
    0.0
    """
    hip, knee, ankle = _CURVES(phase % 1.0) * vigour
    return LegAngles(hip=float(hip), knee=float(knee), ankle=float(ankle))


def arm_angles(phase: float, vigour: float = 1.0) -> tuple[float, float]:
    """Shoulder swung forward and elbow bent, radians, of the arm on the side whose heel strikes at phase 0.

    The arm is farthest back at that moment: it swings with the other leg.
    """
    swing = np.cos(2 * np.pi * phase)
    shoulder = np.radians(-5 - 17 * swing) * vigour
    elbow = np.radians(12 + (14 - 11 * swing) * vigour)
    return float(shoulder), float(elbow)


def vigour(speed: float) -> float:
    """How far the joints swing at a speed in metres a second: stride and cadence share its rise alike.

    >>> vigour(NATURAL_SPEED)
    1.0
    """
    return float(np.sqrt(max(speed, 0.0) / NATURAL_SPEED))
