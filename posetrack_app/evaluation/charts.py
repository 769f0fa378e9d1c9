"""Shapes of a report's charts as SVG path data: strings of numbers and letters only, never a name.

Letters: E points of a curve.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posetrack_app.errors import some_of
from posetrack_app.evaluation.average_precision import Curve
from posetrack_app.evaluation.timeline import LEVELS, Line

__all__ = ["SIDE", "Bar", "CurveShape", "Stroke", "bar_length", "columns", "curve_shape", "line_strokes", "polyline"]

Array = npt.NDArray[np.float64]

SIDE = 200
"""Units of the side of a chart, y downwards."""

_BAR_LIMIT = 200.0  # percent at which a bar of losses is cut off
_LISTED = 6  # ranges of frames that a stroke's title names


@dataclass(frozen=True, slots=True)
class Bar:
    """What MOTA loses, in percent of the annotated joints; together with MOTA the three make 100."""

    misses: float
    """Joints that were not found."""

    false_positives: float
    """Predictions that are no joint."""

    switches: float
    """Joints found under another identity."""

    @property
    def parts(self) -> list[tuple[str, float, float]]:
        """Class, start and length of what is drawn, within what fits: the three, and what is left of 100."""
        if math.isnan(self.whole):
            return []
        drawn, at = [], 0.0
        for kind, share in (("miss", self.misses), ("false", self.false_positives), ("switch", self.switches)):
            length = min(share, _BAR_LIMIT - at)
            drawn.append((kind, round(at, 2), round(length, 2)))
            at += length
        drawn.append(("rest", round(at, 2), round(max(100 - at, 0.0), 2)))
        return [part for part in drawn if part[2] > 0]

    @property
    def whole(self) -> float:
        """The three together; NaN where there is nothing to lose."""
        return self.misses + self.false_positives + self.switches


@dataclass(frozen=True, slots=True)
class CurveShape:
    """Precision upwards over recall to the right, both from 0 to 1, in a square of `SIDE`."""

    line: str
    """The curve itself."""

    area: str
    """The area under the curve made falling, which is the average precision."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """Frames of one person under one identity."""

    predicted: int | None
    """The identity; None: not found."""

    level: int
    """How many of the joints are found, 0 to `LEVELS`."""

    path: str
    """Horizontal lines at y = 0, a unit a frame."""

    where: str
    """The frames in words."""


def bar_length(bars: Iterable[Bar]) -> int:
    """Percent that all bars of a table are long: room for the longest, as far as bars are drawn.

    >>> bar_length([Bar(20, 10, 5), Bar(60, 51, 0)]), bar_length([])
    (120, 105)
    """
    longest = max((bar.whole for bar in bars if math.isfinite(bar.whole)), default=0.0)
    return int(min(max(10 * math.ceil(longest / 10), 105), _BAR_LIMIT))


def polyline(x: Array, y: Array) -> str:
    """A line through points in units of 0..1, y upwards.

    >>> polyline(np.array([0.0, 1.0]), np.array([0.0, 0.5]))
    'M0 200L200 100'
    """
    points = np.rint(np.stack([x, 1 - y], axis=1) * SIDE).astype(int).tolist()
    return "M" + "L".join(f"{across} {down}" for across, down in points) if points else ""


def curve_shape(curve: Curve) -> CurveShape | None:
    """A curve that is as small as it may be without looking otherwise; None where there is nothing to draw."""
    recall, precision = curve.recall, curve.precision
    if not len(recall) or not np.isfinite(recall).all():
        return None
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    # In each column of the picture the first, the highest, the lowest and the last point tell everything.
    column = np.rint(recall * SIDE).astype(int)
    begins = np.append(0, np.flatnonzero(np.diff(column)) + 1)
    ends = np.append(begins[1:], len(column))
    kept: set[int] = set()
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        part = precision[begin:end]
        kept |= {begin, end - 1, begin + int(part.argmax()), begin + int(part.argmin())}
    some = np.array(sorted(kept))
    # A staircase: up to each recall stands the precision that the curve still reaches there or beyond.
    x = np.repeat(np.append(0.0, recall[begins]), 2)[1:]
    y = np.append(np.repeat(falling[begins], 2), 0.0)
    return CurveShape(line=polyline(recall[some], precision[some]), area=f"{polyline(x, y)}L0 {SIDE}Z")


def columns(heights: Sequence[int], *, highest: int) -> str:
    """Columns a unit wide that stand on y = 0, as high as their share of the highest, which is 1; y upwards is less."""
    scale = 1 / max(highest, 1)
    return "".join(f"M{at} 0v{-height * scale:.3g}h1V0z" for at, height in enumerate(heights) if height > 0)


def line_strokes(line: Line, frames: Sequence[str]) -> list[Stroke]:
    """What a person's line is drawn of: one stroke for each identity and share of joints."""
    by_kind: dict[tuple[int | None, int], list[tuple[int, int]]] = {}
    for piece in line.pieces:
        by_kind.setdefault((piece.predicted, min(piece.level, LEVELS)), []).append((piece.begin, piece.end))
    return [
        Stroke(
            predicted=predicted,
            level=level,
            path="".join(f"M{begin} 0h{end - begin}" for begin, end in ranges),
            where=_words(ranges, frames),
        )
        for (predicted, level), ranges in by_kind.items()
    ]


def _words(ranges: Iterable[tuple[int, int]], frames: Sequence[str]) -> str:
    """Frames by name, the first few ranges.

    >>> _words([(0, 2), (3, 4)], ["a", "b", "c", "d"])
    'a to b, d'
    """
    words = [frames[begin] if end - begin == 1 else f"{frames[begin]} to {frames[end - 1]}" for begin, end in ranges]
    return some_of(words, most=_LISTED)
