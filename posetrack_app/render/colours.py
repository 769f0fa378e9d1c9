"""Which colour means what: identities, sides of the body, and nobody in particular."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from models.skeleton import Skeleton

__all__ = ["INK", "LEFT", "MIDDLE", "RIGHT", "UNTRACKED", "Colour", "side_colours", "tint", "track_colour"]

Colour = tuple[int, int, int]
"""Red, green, blue, 0..255."""

INK: Colour = (0, 0, 0)
"""Outlines, and text on a colour."""

UNTRACKED: Colour = (150, 150, 150)
"""People without an identity."""

LEFT: Colour = (64, 176, 255)
RIGHT: Colour = (255, 140, 48)
MIDDLE: Colour = (244, 240, 222)
"""The person's own left and right, and what belongs to neither."""

_FIRST: tuple[Colour, ...] = (
    (47, 168, 255), (255, 138, 31), (61, 220, 104), (255, 79, 163), (255, 224, 58), (155, 107, 255),
    (37, 224, 230), (255, 75, 69), (182, 242, 60), (240, 155, 255), (20, 168, 138), (255, 184, 153),
)  # fmt: skip
"""The first twelve identities: bright enough for a dark picture, outlined for a bright one, neighbours far apart."""


@lru_cache(maxsize=4096)
def track_colour(track_id: int) -> Colour:
    """The colour of an identity: always the same, and far from those of the ids beside it.

    >>> track_colour(0), track_colour(-1)
    ((47, 168, 255), (150, 150, 150))
    """
    if track_id < 0:
        return UNTRACKED
    if track_id < len(_FIRST):
        return _FIRST[track_id]
    # Turns of the golden angle never close, and neighbours lie 137.5 degrees apart; three levels of lightness
    # part the ids whose hues come near each other (8, 13 and 34 apart).
    return _oklch((0.74, 0.84, 0.66)[track_id % 3], 0.19, np.deg2rad(20 + 137.50776 * track_id))


def _oklch(lightness: float, chroma: float, hue: float) -> Colour:
    """A colour of OKLCH in sRGB, with as much of the chroma as sRGB can show.

    Matrices: Björn Ottosson, "A perceptual color space for image processing" (2020).
    """
    while True:
        a, b = chroma * np.cos(hue), chroma * np.sin(hue)
        lms = np.array([
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]) ** 3  # fmt: skip
        linear = np.array([
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]) @ lms  # fmt: skip
        if (linear.min() >= 0 and linear.max() <= 1) or chroma < 0.01:
            break
        chroma *= 0.98
    linear = linear.clip(0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (int(value) for value in np.rint(srgb * 255))
    return red, green, blue


def side_colours(skeleton: Skeleton) -> npt.NDArray[np.uint8]:
    """(K, 3): left, right or middle, for each joint."""
    colours = np.full((len(skeleton.joints), 3), MIDDLE, dtype=np.uint8)
    for left, right in skeleton.mirror_pairs:
        colours[left], colours[right] = LEFT, RIGHT
    return colours


def tint(colours: npt.NDArray[np.uint8], white: float) -> npt.NDArray[np.uint8]:
    """(..., 3): colours mixed with a share of white, 0..1."""
    return np.rint(colours + (255.0 - colours) * white).astype(np.uint8)
