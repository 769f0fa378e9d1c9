"""An articulated human body: its proportions, its bones in a walking pose, and where its joints are.

Lengths are fractions of the body's height after Drillis and Contini (1966), as printed in D. A. Winter,
"Biomechanics and Motor Control of Human Movement", 4th ed., figure 4.1, written here for a person of 1.75 m.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np

from posetrack_app.sample.gait import arm_angles, leg_angles
from posetrack_app.sample.space import Array, Bone

__all__ = [
    "FOREARM", "REFERENCE_HEIGHT", "SHANK", "SOLE_HEIGHT", "THIGH", "UPPER_ARM",
    "Build", "Part", "joint_points", "pose_body", "stride_length",
]  # fmt: skip

REFERENCE_HEIGHT = 1.75
"""Metres; the body for which all lengths of this package are written."""

THIGH = 0.245 * REFERENCE_HEIGHT
"""Hip to knee, metres."""
SHANK = 0.246 * REFERENCE_HEIGHT
"""Knee to ankle, metres."""
UPPER_ARM = 0.186 * REFERENCE_HEIGHT
"""Shoulder to elbow, metres."""
FOREARM = 0.146 * REFERENCE_HEIGHT
"""Elbow to wrist, metres."""
SOLE_HEIGHT = 0.039 * REFERENCE_HEIGHT
"""Ankle above the ground, metres."""

_HIP_TO_WAIST = 0.10
_WAIST_TO_SHOULDERS = (0.818 - 0.530) * REFERENCE_HEIGHT - _HIP_TO_WAIST
_WAIST_TO_EYES = (0.936 - 0.530) * REFERENCE_HEIGHT - _HIP_TO_WAIST
_EYES_TO_TOP = 0.064 * REFERENCE_HEIGHT
_SOLE = (
    (0.0, -SOLE_HEIGHT, -0.055),
    (0.0, -SOLE_HEIGHT, 0.12),
    (0.0, 0.012 - SOLE_HEIGHT, 0.185),
)  # heel, ball, toe


class Part(IntEnum):
    """The bones, parents before children; right and left are the person's own."""

    PELVIS = 0
    CHEST = 1
    HEAD = 2
    RIGHT_ARM = 3
    RIGHT_FOREARM = 4
    RIGHT_HAND = 5
    LEFT_ARM = 6
    LEFT_FOREARM = 7
    LEFT_HAND = 8
    RIGHT_THIGH = 9
    RIGHT_SHANK = 10
    RIGHT_FOOT = 11
    LEFT_THIGH = 12
    LEFT_SHANK = 13
    LEFT_FOOT = 14


@dataclass(frozen=True, slots=True)
class Build:
    """The lasting shape of one person and the cut of hair and clothes. Lengths are those at 1.75 m."""

    height: float = REFERENCE_HEIGHT
    """Metres, from the sole to the top of the head."""

    girth: float = 1.0
    """Factor on all thicknesses but those of head, hands and feet."""

    shoulders: float = 0.172
    """Half the distance of the shoulder joints, metres."""

    hips: float = 0.095
    """Half the distance of the hip joints, metres."""

    bust: float = 0.0
    """Fullness of the chest, 0..1."""

    hair: Literal["short", "long", "tail"] = "short"
    """How the hair is worn."""

    sleeves: Literal["short", "long"] = "long"
    """Length of the sleeves."""

    legs: Literal["trousers", "shorts", "skirt"] = "trousers"
    """What is worn below the waist."""

    @property
    def scale(self) -> float:
        """Factor from the lengths written here to this person's."""
        return self.height / REFERENCE_HEIGHT


_JOINTS: tuple[tuple[Part, tuple[float, float, float]], ...] = (
    (Part.HEAD, (0.0, -0.036, 0.112)),
    (Part.HEAD, (-0.032, 0.0, 0.082)),
    (Part.HEAD, (0.032, 0.0, 0.082)),
    (Part.HEAD, (-0.078, -0.014, -0.012)),
    (Part.HEAD, (0.078, -0.014, -0.012)),
    *((part, (0.0, 0.0, 0.0)) for part in (
        Part.LEFT_ARM, Part.RIGHT_ARM, Part.LEFT_FOREARM, Part.RIGHT_FOREARM, Part.LEFT_HAND, Part.RIGHT_HAND,
        Part.LEFT_THIGH, Part.RIGHT_THIGH, Part.LEFT_SHANK, Part.RIGHT_SHANK, Part.LEFT_FOOT, Part.RIGHT_FOOT,
    )),
    (Part.HEAD, (0.0, _EYES_TO_TOP, -0.01)),
    (Part.HEAD, (0.0, -0.138, -0.012)),
)  # fmt: skip


def _rotation(axis: Literal["right", "up", "forward"], angle: float) -> Array:
    cos, sin = np.cos(angle), np.sin(angle)
    i, j = {"right": (1, 2), "up": (2, 0), "forward": (0, 1)}[axis]
    rotation = np.eye(3)
    rotation[i, i] = rotation[j, j] = cos
    rotation[i, j], rotation[j, i] = -sin, sin
    return rotation


def _swing(angle: float) -> Array:
    """Brings what hangs down forward."""
    return _rotation("right", -angle)


def _offsets(build: Build) -> tuple[tuple[Part, tuple[float, float, float]], ...]:
    """For each bone after the pelvis: its parent, and where in the parent's frame it begins."""
    limbs = []
    for side, (arm, thigh) in (
        (1, (Part.RIGHT_ARM, Part.RIGHT_THIGH)),
        (-1, (Part.LEFT_ARM, Part.LEFT_THIGH)),
    ):
        arms = (
            (Part.CHEST, (side * build.shoulders, _WAIST_TO_SHOULDERS, 0.0)),
            (arm, (0.0, -UPPER_ARM, 0.0)),
            (Part(arm + 1), (0.0, -FOREARM, 0.0)),
        )
        legs = (
            (Part.PELVIS, (side * build.hips, 0.0, 0.0)),
            (thigh, (0.0, -THIGH, 0.0)),
            (Part(thigh + 1), (0.0, -SHANK, 0.0)),
        )
        limbs.append((arms, legs))
    (right_arm, right_leg), (left_arm, left_leg) = limbs
    trunk = ((Part.PELVIS, (0.0, _HIP_TO_WAIST, 0.0)), (Part.CHEST, (0.0, _WAIST_TO_EYES, 0.025)))
    return (*trunk, *right_arm, *left_arm, *right_leg, *left_leg)


def pose_body(
    build: Build,
    *,
    place: tuple[float, float],
    heading: float,
    phase: float,
    vigour: float,
    gaze: float = 0.0,
) -> tuple[Bone, ...]:
    """The bones of a person who walks on level ground, one for each `Part`.

    Args:
        build: the person.
        place: x and z of the middle of the pelvis, metres, world.
        heading: direction of walking, radians from +z towards +x.
        phase: strides since the right heel struck the ground.
        vigour: how far the joints swing: 1 in natural walking, 0 when standing.
        gaze: turn of the head against the direction of walking, radians to the right.
    """
    cycle, wave = np.cos(2 * np.pi * phase), np.sin(2 * np.pi * phase)
    base = _rotation("up", heading)
    # The pelvis turns towards the leg in front and the shoulders against it.
    twist = np.radians(5) * vigour * cycle
    rotations = [
        base @ _rotation("up", -twist) @ _rotation("forward", np.radians(2.5) * vigour * wave),
        base @ _rotation("up", 1.2 * twist) @ _rotation("right", np.radians(3.0)),
        base @ _rotation("up", gaze) @ _rotation("right", np.radians(4.0)),
    ]
    chest = rotations[Part.CHEST]
    legs: list[Array] = []
    for side, late in ((1, 0.0), (-1, 0.5)):
        shoulder, elbow = arm_angles(phase + late, vigour)
        arm = chest @ _rotation("forward", side * np.radians(8)) @ _swing(shoulder)
        # The forearm comes a little inward and the palm looks at the thigh.
        forearm = arm @ _rotation("up", -side * np.radians(20)) @ _swing(elbow)
        hand = forearm @ _rotation("forward", -side * np.radians(4)) @ _swing(np.radians(6))
        rotations += [arm, forearm, hand]
        leg = leg_angles(phase + late, vigour)
        thigh = base @ _rotation("forward", -side * np.radians(1.0)) @ _swing(leg.hip)
        shank = thigh @ _swing(-leg.knee)
        foot = shank @ _rotation("up", side * np.radians(7)) @ _swing(leg.ankle)
        legs += [thigh, shank, foot]
    rotations += legs

    sway = base[:, 0] * (0.015 * vigour * wave)
    origins = [np.array([place[0], 0.0, place[1]]) + sway]
    for parent, offset in _offsets(build):
        origins.append(origins[parent] + rotations[parent] @ np.array(offset) * build.scale)
    soles = [origins[foot] + rotations[foot] @ np.array(_SOLE).T[:, i] * build.scale
             for foot in (Part.RIGHT_FOOT, Part.LEFT_FOOT) for i in range(len(_SOLE))]  # fmt: skip
    # The lowest sole stands on the ground: the body's rise and fall comes of the legs alone.
    lift = np.array([0.0, -min(sole[1] for sole in soles), 0.0])
    return tuple(Bone(rotation, origin + lift) for rotation, origin in zip(rotations, origins, strict=True))


def joint_points(build: Build, bones: Sequence[Bone]) -> Array:
    """(19, 3): world positions of the joints of COCO17, of the top of the head and of the neck, metres."""
    return np.stack([bones[part].at(np.array(offset) * build.scale) for part, offset in _JOINTS])


def stride_length(build: Build, vigour: float) -> float:
    """Metres from one strike of a heel to its next, such that the foot on the ground does not slide.

    While a foot carries the body, for 60 % of the stride, the body moves as far as the foot falls back.
    """
    feet = []
    for phase in (0.02, 0.58):
        bones = pose_body(build, place=(0.0, 0.0), heading=0.0, phase=phase, vigour=vigour)
        feet.append(bones[Part.RIGHT_FOOT].at((0.0, -SOLE_HEIGHT * build.scale, 0.04))[2])
    return max(float(feet[0] - feet[1]) / 0.56, 1e-3)
