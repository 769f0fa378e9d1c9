"""What people are made of and wear: the cones of a body, and the colours of skin, hair and clothes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal

import numpy as np

from posetrack_app.sample.body import FOREARM, SHANK, SOLE_HEIGHT, THIGH, UPPER_ARM, Build, Part
from posetrack_app.sample.raycast import Cone

__all__ = ["Clothing", "Colour", "Material", "choose_person", "dress"]

Colour = tuple[float, float, float]
"""Red, green, blue as on a screen, 0..1."""

_Point = tuple[float, float, float]


class Material(IntEnum):
    """What a cone is made of; the shader knows how each looks."""

    FACE = 0
    SKIN = 1
    HAIR = 2
    SHIRT = 3
    TROUSERS = 4
    SHOE = 5
    SOLE = 6


@dataclass(frozen=True, slots=True)
class Clothing:
    """The colours of one person."""

    skin: Colour
    """Skin in full light."""
    hair: Colour
    """Hair and brows."""
    shirt: Colour
    """Main colour above the waist."""
    shirt_pattern: Colour
    """Second colour above the waist."""
    pattern: Literal["plain", "stripes", "check"]
    """How the two are combined."""
    trousers: Colour
    """Below the waist."""
    shoes: Colour
    """Shoes; the soles are light."""
    beard: bool
    """Whether the lower face is shaded by a beard."""


_SKINS: tuple[Colour, ...] = (
    (0.93, 0.76, 0.66), (0.87, 0.67, 0.55), (0.78, 0.57, 0.43), (0.62, 0.42, 0.30), (0.45, 0.30, 0.22),
)  # fmt: skip
_HAIRS: tuple[Colour, ...] = (
    (0.10, 0.08, 0.07), (0.24, 0.15, 0.09), (0.42, 0.27, 0.14), (0.70, 0.54, 0.30), (0.50, 0.49, 0.48),
)  # fmt: skip
_SHIRTS: tuple[Colour, ...] = (
    (0.75, 0.16, 0.15), (0.20, 0.36, 0.66), (0.92, 0.91, 0.88), (0.23, 0.48, 0.30), (0.89, 0.68, 0.20),
    (0.45, 0.25, 0.50), (0.16, 0.17, 0.20), (0.55, 0.72, 0.85),
)  # fmt: skip
_TROUSERS: tuple[Colour, ...] = (
    (0.17, 0.22, 0.36), (0.13, 0.13, 0.14), (0.62, 0.54, 0.40), (0.36, 0.39, 0.42), (0.40, 0.27, 0.20),
)  # fmt: skip
_SHOES: tuple[Colour, ...] = ((0.12, 0.11, 0.11), (0.85, 0.85, 0.85), (0.36, 0.20, 0.12))


def choose_person(rng: np.random.Generator, index: int) -> tuple[Build, Clothing]:
    """A person of the crowd. Neighbours in `index` differ in build, skin, hair and clothes."""
    woman = index % 2 == 1
    spread = float(rng.uniform(-0.06, 0.06))
    build = Build(
        height=(1.66 if woman else 1.78) + spread,
        girth=float(rng.uniform(0.92, 1.06)) * (0.93 if woman else 1.0),
        shoulders=0.158 if woman else 0.178,
        hips=0.098 if woman else 0.093,
        bust=1.0 if woman else 0.0,
        hair=("long", "tail")[index // 2 % 2] if woman else "short",
        sleeves="short" if index % 3 == 1 else "long",
        legs="shorts" if index % 5 == 3 else "skirt" if index % 6 == 1 else "trousers",
    )
    shirt = (index * 3 + int(rng.integers(3))) % len(_SHIRTS)
    clothing = Clothing(
        skin=_SKINS[(index * 2 + int(rng.integers(2))) % len(_SKINS)],
        hair=_HAIRS[(index + int(rng.integers(2))) % len(_HAIRS)],
        shirt=_SHIRTS[shirt],
        shirt_pattern=_SHIRTS[(shirt + 2) % len(_SHIRTS)],
        pattern=("plain", "stripes", "plain", "check")[(index + int(rng.integers(2))) % 4],
        trousers=_TROUSERS[(index + int(rng.integers(2))) % len(_TROUSERS)],
        shoes=_SHOES[index % len(_SHOES)],
        beard=not woman and index % 4 == 2,
    )
    return build, clothing


def dress(build: Build) -> tuple[Cone, ...]:
    """The cones of a clothed person, in the frames of the bones that `pose_body` gives."""
    thick = build.girth
    body = [*_trunk(build)]
    for arm in (Part.RIGHT_ARM, Part.LEFT_ARM):
        body += _arm(arm, short=build.sleeves == "short")
    for thigh in (Part.RIGHT_THIGH, Part.LEFT_THIGH):
        body += _leg(thigh, build)
    widened = [
        replace(cone, start_radius=cone.start_radius * thick, end_radius=cone.end_radius * thick) for cone in body
    ]
    bare = [*_head(build)]
    for side, hand, foot in ((1, Part.RIGHT_HAND, Part.RIGHT_FOOT), (-1, Part.LEFT_HAND, Part.LEFT_FOOT)):
        bare += [*_hand(hand, side), *_foot(foot)]
    return tuple(_scaled(cone, build.scale) for cone in (*widened, *bare))


def _scaled(cone: Cone, scale: float) -> Cone:
    start, end = (tuple(float(value * scale) for value in point) for point in (cone.start, cone.end))
    return replace(
        cone,
        start=(start[0], start[1], start[2]),
        end=(end[0], end[1], end[2]),
        start_radius=cone.start_radius * scale,
        end_radius=cone.end_radius * scale,
    )


def _ball(part: Part, centre: _Point, axes: _Point, material: Material) -> Cone:
    """An ellipsoid with half axes along right, up and forward."""
    return Cone(part, centre, centre, 1.0, 1.0, material, axes)


def _trunk(build: Build) -> list[Cone]:
    # Squashed along "up" the ends of the cones are flat, as a chest and the hem of a shirt are.
    flat = (1.0, 0.35, 0.70)
    wide = build.shoulders - 0.012
    shirt = [
        Cone(Part.CHEST, (0, 0.28, 0.0), (0, 0.10, 0.0), 0.158, 0.138, Material.SHIRT, (1.0, 0.7, 0.70)),
        Cone(Part.CHEST, (-wide, 0.350, -0.008), (wide, 0.350, -0.008), 0.066, 0.066, Material.SHIRT),
        Cone(Part.CHEST, (0, 0.432, -0.018), (-wide, 0.392, -0.008), 0.056, 0.046, Material.SHIRT),
        Cone(Part.CHEST, (0, 0.432, -0.018), (wide, 0.392, -0.008), 0.056, 0.046, Material.SHIRT),
        Cone(Part.CHEST, (0, 0.14, 0.0), (0, -0.06, 0.0), 0.136, 0.148, Material.SHIRT, flat),
        Cone(
            Part.PELVIS,
            (0, 0.06, -0.005),
            (0, -0.05, -0.012),
            0.150,
            0.166,
            Material.SHIRT,
            (1.0, 0.25, 0.84),
        ),
    ]
    if build.bust > 0:
        shirt += [
            _ball(Part.CHEST, (side * 0.066, 0.235, 0.070), (0.066, 0.066, 0.05 * build.bust), Material.SHIRT)
            for side in (-1, 1)
        ]
    below = [
        Cone(Part.PELVIS, (-0.06, -0.05, -0.005), (0.06, -0.05, -0.005), 0.098, 0.098, Material.TROUSERS),
        _ball(Part.PELVIS, (0, -0.04, -0.05), (0.14, 0.10, 0.082), Material.TROUSERS),
    ]
    if build.legs == "skirt":
        below.append(
            Cone(Part.PELVIS, (0, 0.0, 0.0), (0, -0.36, 0.02), 0.15, 0.205, Material.TROUSERS, (1.0, 0.25, 0.9))
        )
    neck = [Cone(Part.CHEST, (0, 0.38, -0.012), (0, 0.50, 0.012), 0.056, 0.052, Material.SKIN)]
    return [*shirt, *below, *neck]


def _arm(arm: Part, *, short: bool) -> list[Cone]:
    forearm = Part(arm + 1)
    shoulder = Cone(arm, (0, -0.018, 0), (0, -0.10, 0), 0.054, 0.057, Material.SHIRT)
    wrist = Cone(forearm, (0, -0.09, 0), (0, -FOREARM, 0), 0.041, 0.028, Material.SKIN, (1.0, 1.0, 0.9))
    if short:
        return [
            shoulder,
            Cone(arm, (0, -0.08, 0), (0, -0.57 * UPPER_ARM, 0), 0.056, 0.056, Material.SHIRT),
            Cone(arm, (0, -0.10, 0), (0, -UPPER_ARM, 0), 0.044, 0.039, Material.SKIN),
            Cone(forearm, (0, 0, 0), (0, -0.09, 0), 0.039, 0.041, Material.SKIN),
            wrist,
        ]
    return [
        shoulder,
        Cone(arm, (0, -0.10, 0), (0, -UPPER_ARM, 0), 0.056, 0.048, Material.SHIRT),
        Cone(forearm, (0, 0, 0), (0, -FOREARM + 0.03, 0), 0.047, 0.038, Material.SHIRT),
        wrist,
    ]


def _leg(thigh: Part, build: Build) -> list[Cone]:
    shank = Part(thigh + 1)
    ankle = Cone(shank, (0, -0.13, -0.018), (0, -SHANK + 0.02, 0), 0.058, 0.036, Material.SKIN)
    if build.legs == "trousers":
        return [
            Cone(thigh, (0, -0.08, 0), (0, -THIGH, 0), 0.084, 0.066, Material.TROUSERS),
            Cone(shank, (0, 0, 0.004), (0, -0.15, -0.014), 0.065, 0.065, Material.TROUSERS),
            Cone(shank, (0, -0.15, -0.014), (0, -SHANK + 0.03, 0), 0.065, 0.056, Material.TROUSERS),
        ]
    bare = [
        Cone(thigh, (0, -0.08, 0), (0, -THIGH, 0), 0.076, 0.054, Material.SKIN),
        Cone(shank, (0, 0, 0.004), (0, -0.13, -0.018), 0.054, 0.058, Material.SKIN),
        ankle,
    ]
    if build.legs == "shorts":
        leg = Cone(thigh, (0, -0.06, 0), (0, -0.84 * THIGH, 0), 0.090, 0.088, Material.TROUSERS, (1, 0.6, 1))
        return [leg, *bare]
    return bare


def _hand(hand: Part, side: int) -> list[Cone]:
    flat = (0.55, 1.0, 1.0)
    return [
        Cone(hand, (0, -0.01, 0), (0, -0.075, 0.002), 0.034, 0.040, Material.SKIN, flat),
        Cone(hand, (0, -0.085, 0.012), (-side * 0.012, -0.155, 0.016), 0.018, 0.012, Material.SKIN),
        Cone(hand, (0, -0.085, -0.012), (-side * 0.014, -0.150, -0.012), 0.018, 0.012, Material.SKIN),
        Cone(hand, (0, -0.04, 0.026), (-side * 0.012, -0.095, 0.05), 0.015, 0.011, Material.SKIN),
    ]


def _foot(foot: Part) -> list[Cone]:
    ground = -SOLE_HEIGHT
    return [
        Cone(foot, (0, 0.0, -0.005), (0, -0.02, -0.01), 0.040, 0.046, Material.SHOE),
        Cone(
            foot,
            (0, ground + 0.038, -0.022),
            (0, ground + 0.034, 0.13),
            0.044,
            0.050,
            Material.SHOE,
            (1, 0.8, 1),
        ),
        Cone(foot, (0, -0.02, 0.02), (0, ground + 0.035, 0.12), 0.040, 0.036, Material.SHOE),
        Cone(
            foot,
            (0, ground + 0.014, -0.022),
            (0, ground + 0.014, 0.138),
            0.048,
            0.053,
            Material.SOLE,
            (1, 0.26, 1),
        ),
    ]


def _head(build: Build) -> list[Cone]:
    cones = [
        _ball(Part.HEAD, (0, 0.024, -0.012), (0.075, 0.087, 0.094), Material.FACE),
        _ball(Part.HEAD, (0, -0.034, 0.018), (0.064, 0.080, 0.072), Material.FACE),
        Cone(Part.HEAD, (0, -0.075, 0.025), (0, -0.092, 0.056), 0.040, 0.024, Material.FACE, (1.15, 1, 1)),
        Cone(Part.HEAD, (0, 0.004, 0.082), (0, -0.036, 0.102), 0.008, 0.013, Material.FACE),
    ]
    for side in (-1, 1):
        cones += [
            _ball(Part.HEAD, (side * 0.075, -0.012, -0.014), (0.011, 0.032, 0.020), Material.FACE),
            _ball(Part.HEAD, (side * 0.009, -0.040, 0.095), (0.010, 0.008, 0.010), Material.FACE),
        ]
    cones.append(_ball(Part.HEAD, (0, 0.040, -0.028), (0.085, 0.085, 0.100), Material.HAIR))
    if build.hair == "long":
        cones.append(
            Cone(Part.HEAD, (0, 0.0, -0.045), (0, -0.20, -0.06), 0.082, 0.075, Material.HAIR, (1.0, 1.0, 0.68))
        )
    else:
        cones.append(_ball(Part.HEAD, (0, -0.02, -0.045), (0.074, 0.075, 0.066), Material.HAIR))
    if build.hair == "tail":
        cones.append(Cone(Part.HEAD, (0, 0.05, -0.115), (0, -0.14, -0.14), 0.03, 0.018, Material.HAIR))
    return cones
