"""Turning stored pictures upright: display matrices, the eight orientations, square pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Orientation", "squared"]

_WIDEST = 16
"""A pixel longer than this many times its width is taken for an error of the header."""

_ROUNDED = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight ways to lay a picture: first transposed, then mirrored."""

    transpose: bool = False
    """Whether rows become columns."""

    mirror_x: bool = False
    """Whether left and right change places (after the transposition)."""

    mirror_y: bool = False
    """Whether top and bottom change places (after the transposition)."""

    @classmethod
    def from_matrix(cls, matrix: Sequence[int]) -> Orientation:
        """The orientation that a display matrix asks for.

        Args:
            matrix: Nine numbers (a, b, u, c, d, v, x, y, w) as in FFmpeg's `libavutil/display.h`: a stored point
                (p, q) is shown at (a p + c q + x, b p + d q + y), up to scale. Of angles between quarter turns
                the nearest is taken; shifts mean nothing.

        >>> Orientation.from_matrix([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30]).words()
        'turned 90 clockwise'
        """
        a, b, _, c, d = matrix[:5]
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(transpose=True, mirror_x=c < 0, mirror_y=b < 0)
        return cls(mirror_x=a < 0, mirror_y=d < 0)

    @classmethod
    def from_degrees(cls, counter_clockwise: float) -> Orientation:
        """The quarter turn nearest to an angle.

        >>> Orientation.from_degrees(-90).words(), Orientation.from_degrees(180).words()
        ('turned 90 clockwise', 'turned 180')
        """
        quarters = round(counter_clockwise / 90) % 4
        return cls(transpose=quarters % 2 == 1, mirror_x=quarters in (2, 3), mirror_y=quarters in (1, 2))

    def apply(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The picture (H, W, 3) laid upright; the same array where nothing is to be done."""
        if self.transpose:
            image = np.asarray(cv2.transpose(image), dtype=np.uint8)
        if self.mirror_x or self.mirror_y:
            code = -1 if self.mirror_x and self.mirror_y else int(self.mirror_x)
            image = np.asarray(cv2.flip(image, code), dtype=np.uint8)
        return image

    def words(self) -> str:
        """What is done to the stored picture, in words."""
        return _WORDS[self.transpose, self.mirror_x, self.mirror_y]


_WORDS = {
    (False, False, False): "upright",
    (False, True, False): "mirrored left to right",
    (False, False, True): "mirrored top to bottom",
    (False, True, True): "turned 180",
    (True, False, False): "turned 90 clockwise, mirrored left to right",
    (True, True, False): "turned 90 clockwise",
    (True, False, True): "turned 90 counter-clockwise",
    (True, True, True): "turned 90 counter-clockwise, mirrored left to right",
}


def squared(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Size of a picture with square pixels, to the nearest pixel; it grows in one direction, never shrinks.

    A difference of less than one part in a thousand comes from rounding in an encoder and counts as none.

    Args:
        width: Stored pixels.
        height: Stored pixels.
        aspect: Width of a stored pixel over its height; None, and what cannot be true, count as square.

    >>> squared(240, 180, Fraction(4, 3)), squared(352, 288, Fraction(12, 11)), squared(100, 90, Fraction(1, 2))
    ((320, 180), (384, 288), (100, 180))
    """
    if not aspect or not Fraction(1, _WIDEST) <= aspect <= _WIDEST or abs(aspect - 1) < _ROUNDED:
        return width, height
    if aspect >= 1:
        return round(width * aspect), height
    return width, round(height / aspect)
