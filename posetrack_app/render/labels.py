"""Labels with ids and scores: how they look, and where each finds a place.

Letters: h, w height and width of a label in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from posetrack_app.render.canvas import Strokes, blend
from posetrack_app.render.colours import INK, Colour, track_colour
from posetrack_app.render.people import People

__all__ = ["Labels"]

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""
Picture = npt.NDArray[np.uint8]

_PAPER: Colour = (24, 26, 32)
"""Ground of the label of somebody who is not seen in this frame."""


@dataclass(frozen=True)
class _Pill:
    """One label as a picture, to be laid over others."""

    ink: Picture
    """uint8 (h, w, 3)."""

    alpha: Picture
    """uint8 (h, w)."""


class Labels:
    """Places and draws labels. Remembers where each track had its label, so that it does not hop about."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def draw(self, image: Picture, people: People, *, corner: bool) -> None:
        """Label everybody who has an id and something to be seen in the picture; the nearest choose first.

        Args:
            image: Drawn onto.
            people: From the farthest to the nearest.
            corner: Whether labels sit on the top left corner of the box, rather than above the head.
        """
        height, width = image.shape[:2]
        digits = max(7, round(0.021 * min(height, width)))
        centre, radius = people.head[:, :2], 0.8 * people.head[:, 2:]
        faces = [tuple(face) for face in np.concatenate([centre - radius, centre + radius], axis=1).tolist()]
        inside = (people.box[:, 2:] >= 0).all(axis=1) & (people.box[:, :2] < [width, height]).all(axis=1)
        taken: list[Box] = []
        chosen: dict[int, int] = {}
        for index in np.flatnonzero(inside & people.seen.any(axis=1) & (people.track_id >= 0))[::-1].tolist():
            track = int(people.track_id[index])
            roomy = people.scale[index] > 2.2 * digits
            percent = round(100 * min(max(float(people.score[index]), 0.0), 1.0)) if roomy else None
            pill = _pill(track, percent, digits, observed=bool(people.observed[index]))
            h, w = pill.alpha.shape
            if h > height or w > width:
                continue
            places = _places(people.box[index].tolist(), people.head[index].tolist(), w, h, corner=corner)
            chosen[track], x, y = self._choose(places, w, h, (width, height), taken, faces, self._last.get(track))
            taken.append((x, y, x + w, y + h))
            blend(image, pill.ink, pill.alpha, x=x, y=y)
        self._last = chosen

    @staticmethod
    def _choose(
        places: list[tuple[float, float]],
        w: int,
        h: int,
        size: tuple[int, int],
        taken: list[Box],
        faces: list[Box],
        last: int | None,
    ) -> tuple[int, int, int]:
        """Which of the places is best for a label of w x h pixels, and its x and y within the picture."""
        least, best = math.inf, (0, 0, 0)
        for rank, (left, top) in enumerate(places):
            cost = 0.08 * rank - (0.25 if rank == last else 0.0)
            if cost >= least:
                continue
            x, y = round(min(max(left, 0), size[0] - w)), round(min(max(top, 0), size[1] - h))
            box = (x, y, x + w, y + h)
            cost += (abs(x - left) + abs(y - top)) / h
            cost += (4 * _overlap(box, taken) + 3 * _overlap(box, faces)) / (w * h)
            if cost < least:
                least, best = cost, (rank, x, y)
        return best


def _places(box: list[float], head: list[float], w: int, h: int, *, corner: bool) -> list[tuple[float, float]]:
    """Top left corners where a label of w x h pixels may lie, the best first."""
    x0, y0, x1, y1 = box
    x, y, radius = head if head[2] > 0 else ((x0 + x1) / 2, y0 + h, (x1 - x0) / 2)
    gap = 0.3 * h
    top, beside = y0 - gap - h, y - h / 2
    above = [(x - w / 2, top), (x, top), (x - w, top), (x - w / 2, top - 1.1 * h)]
    corners = [(x0, y0 - h), (x1 - w, y0 - h), (x0, y0), (x1 - w, y0), (x0, y1 - h), (x1 - w, y1 - h)]
    others = [
        (x + radius + gap, beside),
        (x - radius - gap - w, beside),
        (x - w / 2, y1 + gap),
        ((x0 + x1 - w) / 2, (y0 + y1 - h) / 2),
    ]
    return (corners if corner else above) + others


def _overlap(box: Box, others: list[Box]) -> float:
    """Pixels that a box shares with others, added up.

    >>> _overlap((0, 0, 4, 4), [(2, 2, 9, 9), (3, 0, 5, 1), (4, 0, 9, 9)])
    5.0
    """
    shared = 0.0
    for x0, y0, x1, y1 in others:
        w, h = min(box[2], x1) - max(box[0], x0), min(box[3], y1) - max(box[1], y0)
        if w > 0 and h > 0:
            shared += w * h
    return shared


@lru_cache(maxsize=512)
def _pill(track: int, percent: int | None, digits: int, *, observed: bool) -> _Pill:
    """The label of a track; the digits of its id are `digits` pixels high."""
    text = _text(str(track), "" if percent is None else f"{percent}%", digits)
    ground, letters = (track_colour(track), INK) if observed else (_PAPER, track_colour(track))
    height, width = text.shape
    rim = max(1.0, height / 16)
    middle, radius = (height - 1) / 2, (height - 2) / 2
    strokes = Strokes(
        start=np.array([[middle, middle]]),
        end=np.array([[width - 1 - middle, middle]]),
        radius=np.array([[radius - rim, radius - rim]]),
        colour=np.array([ground], dtype=np.uint8),
        opacity=np.ones(1),
        rim=np.array([rim]),
        figure=np.zeros(1, dtype=np.intp),
    )
    ink, alpha = np.zeros((height, width, 3), dtype=np.uint8), np.zeros((height, width, 3), dtype=np.uint8)
    strokes.paint(ink)
    replace(strokes, radius=strokes.radius + rim, colour=np.full((1, 3), 255, dtype=np.uint8)).paint(alpha)
    blend(ink, np.full_like(ink, letters), text, x=0, y=0)
    return _Pill(ink=ink, alpha=np.ascontiguousarray(alpha[..., 0]))


def _text(large: str, small: str, digits: int) -> Picture:
    """uint8 (h, w): how much of each pixel of a pill is text."""
    parts = [_word(large, digits)]
    if small:
        word = _word(small, round(0.76 * digits)) // 5 * 4
        parts += [np.zeros((1, max(2, digits // 3)), dtype=np.uint8), word]
    side, above = round(0.62 * digits), round(0.45 * digits)
    tall = max(part.shape[0] for part in parts)
    parts = [np.pad(part, ((tall - part.shape[0], 0), (0, 0))) for part in parts]
    return np.pad(np.concatenate(parts, axis=1), ((above, above), (side, side)))


def _word(text: str, height: int) -> Picture:
    """uint8 (h, w): coverage of text whose digits are `height` pixels high.

    Drawn large and reduced, which gives smooth text of any size.
    """
    sheet = _write(text)
    rows = np.flatnonzero(_write("0123456789").any(axis=1))
    columns = np.flatnonzero(sheet.any(axis=0))
    word = sheet[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    width = max(1, round(word.shape[1] * height / word.shape[0]))
    smaller = height <= word.shape[0]
    return np.asarray(
        cv2.resize(word, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC), dtype=np.uint8
    )


def _write(text: str) -> Picture:
    sheet = np.zeros((160, 120 * len(text) + 80), dtype=np.uint8)
    cv2.putText(sheet, text, (40, 120), cv2.FONT_HERSHEY_SIMPLEX, 4.0, 255, 7, cv2.LINE_AA)
    return sheet
