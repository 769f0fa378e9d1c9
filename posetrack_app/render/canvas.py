"""Round-ended strokes and discs with smooth edges, opaque or sheer, wherever their ends may lie.

Letters: S strokes, P corners of a polygon.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from posetrack_app.render.colours import INK

__all__ = ["Strokes", "blend", "capsules", "clip"]

Floats = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]
Dab = npt.NDArray[np.int32] | tuple[int, int, int]
"""What one stroke fills, in 1/16 pixel: a convex polygon (P, 2), or x, y, radius of a disc."""

_SHIFT = 4
_UNIT = 1 << _SHIFT
"""OpenCV draws at coordinates of 1/16 pixel."""

_TILE = 64
"""Pixels of the side of what is blended at a time."""


@dataclass(frozen=True)
class Strokes:
    """S strokes in the order in which they are drawn; one whose ends meet is a disc."""

    start: Floats
    """(S, 2): x, y in pixels."""

    end: Floats
    """(S, 2): x, y in pixels."""

    radius: Floats
    """(S, 2): half of the width at start and end, in pixels."""

    colour: Picture
    """uint8 (S, 3)."""

    opacity: Floats
    """(S,): 0..1."""

    rim: Floats
    """(S,): pixels of the dark outline."""

    figure: npt.NDArray[np.intp]
    """(S,): what belongs together, ascending: the outlines of a figure lie below all its colours."""

    def paint(self, image: Picture) -> None:
        """Draw onto the picture, in place: figure after figure, in each first what is sheer."""
        height, width = image.shape[:2]
        margin = float(self.radius.max(initial=0.0) + self.rim.max(initial=0.0)) + 2
        start, end, inside = clip(self.start, self.end, width=width, height=height, margin=margin)
        kept = np.flatnonzero(inside & (self.opacity > 0))
        if not len(kept):
            return
        start, end, radius, opacity = start[kept], end[kept], self.radius[kept], self.opacity[kept]
        reach = radius + self.rim[kept, None]
        dabs = list(zip(_dabs(start, end, radius), _dabs(start, end, reach), self.colour[kept].tolist(), strict=True))
        low, high = np.minimum(start, end) - reach.max(), np.maximum(start, end) + reach.max()
        bounds = np.flatnonzero(np.diff(self.figure[kept])) + 1
        for figure in np.split(np.arange(len(kept)), bounds):
            sheer = figure[opacity[figure] < 1]
            if len(sheer):
                corners = low[sheer].min(axis=0), high[sheer].max(axis=0)
                _paint_sheer(image, [dabs[index] for index in sheer], opacity[sheer], *corners)
            opaque = [dabs[index] for index in figure[opacity[figure] >= 1]]
            for _, outer, _ in opaque:
                _fill(image, outer, INK)
            for inner, _, colour in opaque:
                _fill(image, inner, colour)


def _paint_sheer(
    image: Picture, dabs: list[tuple[Dab, Dab, list[int]]], opacity: Floats, low: Floats, high: Floats
) -> None:
    """Draw on a sheet of its own and lay it over the picture, so that overlaps are not denser.

    Args:
        image: Drawn onto.
        dabs: What to fill, with and without outline, and the colour.
        opacity: (S,) below 1.
        low: (2,) smallest coordinates of all strokes.
        high: (2,) largest coordinates of all strokes.
    """
    height, width = image.shape[:2]
    x, y = np.clip(np.floor(low) - 1, 0, [width, height]).astype(int).tolist()
    right, below = np.clip(np.ceil(high) + 2, 0, [width, height]).astype(int).tolist()
    if x >= right or y >= below:
        return
    ink = np.zeros((below - y, right - x, 3), dtype=np.uint8)
    alpha = np.zeros((below - y, right - x), dtype=np.uint8)
    for index in np.argsort(opacity, kind="stable"):
        _fill(alpha, _moved(dabs[index][1], -x, -y), (round(255 * opacity[index]),))
    for inner, _, colour in dabs:
        _fill(ink, _moved(inner, -x, -y), colour)
    blend(image, ink, alpha, x=x, y=y)


def clip(
    start: Floats, end: Floats, *, width: int, height: int, margin: float
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Segments (S, 2) cut to the picture and a margin around it, and which of them have anything there.

    Liang and Barsky 1984. Coordinates may be as large as float32 holds.
    """
    low, high = np.full(2, -margin), np.array([width, height]) + margin
    within = (start >= low) & (start <= high) & (end >= low) & (end <= high)
    if within.all():
        return start, end, np.ones(len(start), dtype=np.bool_)
    along = end - start
    still = along == 0
    step = np.where(still, 1.0, along)
    one, other = (low - start) / step, (high - start) / step
    enter = np.where(still, 0.0, np.minimum(one, other)).max(axis=1, initial=0.0)[:, None]
    leave = np.where(still, 1.0, np.maximum(one, other)).min(axis=1, initial=1.0)[:, None]
    outside = still & ~within
    # Clipped once more, since what is left of huge numbers is rounded.
    first = np.clip(np.where(enter > 0, start + enter * along, start), low, high)
    last = np.clip(np.where(leave < 1, start + leave * along, end), low, high)
    return first, last, (enter <= leave)[:, 0] & ~outside.any(axis=1)


def capsules(start: Floats, end: Floats, radius: Floats, *, corners: int) -> Floats:
    """(S, corners, 2): outlines of segments (S, 2) with half circles around both ends, of radii (S, 2)."""
    along = end - start
    length = np.hypot(along[:, 0], along[:, 1])[:, None]
    ahead = np.where(length > 0, along / np.where(length > 0, length, 1.0), [1.0, 0.0])
    left = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    angles = np.linspace(-np.pi / 2, np.pi / 2, corners // 2)[:, None]
    cap = np.cos(angles) * ahead[:, None] + np.sin(angles) * left[:, None]  # (S, corners / 2, 2)
    at_end = end[:, None] + radius[:, None, 1:] * cap
    at_start = start[:, None] - radius[:, None, :1] * cap
    return np.concatenate([at_end, at_start], axis=1)


def _dabs(start: Floats, end: Floats, radius: Floats) -> list[Dab]:
    """What S strokes fill."""
    dabs: list[Dab] = [(0, 0, 0)] * len(start)
    # OpenCV's circles are fast, and crosses where they are small.
    disc = (start == end).all(axis=1) & (radius[:, 0] >= 2.25)
    circles = np.rint(np.concatenate([start, radius[:, :1]], axis=1)[disc] * _UNIT).astype(int).tolist()
    for index, circle in zip(np.flatnonzero(disc).tolist(), circles, strict=True):
        dabs[index] = tuple(circle)
    if disc.all():
        return dabs
    largest = radius.max()
    corners = 8 if largest < 2 else 12 if largest < 5 else 16 if largest < 12 else 32  # as round as can be told
    polygons = np.rint(capsules(start[~disc], end[~disc], radius[~disc], corners=corners) * _UNIT).astype(np.int32)
    for index, polygon in zip(np.flatnonzero(~disc).tolist(), polygons, strict=True):
        dabs[index] = polygon
    return dabs


def _fill(image: Picture, dab: Dab, colour: tuple[int, ...] | list[int]) -> None:
    """Fill with smooth edges."""
    if isinstance(dab, tuple):
        cv2.circle(image, dab[:2], dab[2], colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)
    else:
        cv2.fillConvexPoly(image, dab, colour, cv2.LINE_AA, _SHIFT)


def _moved(dab: Dab, x: int, y: int) -> Dab:
    """A dab at another place, x and y pixels away."""
    if isinstance(dab, tuple):
        return dab[0] + x * _UNIT, dab[1] + y * _UNIT, dab[2]
    return dab + np.array([x * _UNIT, y * _UNIT], dtype=np.int32)


def blend(image: Picture, ink: Picture, alpha: Picture, *, x: int, y: int) -> None:
    """Lay `ink` (h, w, 3) over the picture at (x, y), as dense as `alpha` (h, w) says, 0..255.

    Tile by tile, and only where there is something: strokes cover little of the rectangle around them.
    """
    for top in range(0, alpha.shape[0], _TILE):
        for left in range(0, alpha.shape[1], _TILE):
            part = slice(top, top + _TILE), slice(left, left + _TILE)
            if not cv2.countNonZero(alpha[part]):
                continue
            share = cv2.merge([alpha[part]] * 3)
            rows, columns = share.shape[:2]
            below = image[y + top : y + top + rows, x + left : x + left + columns]
            rest = cv2.multiply(below, cv2.bitwise_not(share), scale=1 / 255)
            below[:] = cv2.add(rest, cv2.multiply(ink[part], share, scale=1 / 255))
