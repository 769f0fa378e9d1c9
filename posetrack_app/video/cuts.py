"""Where a film cuts to another shot: a picture that has nothing in common with the one before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from posetrack_app.errors import UserError
from posetrack_app.types import Frame

__all__ = ["marked"]

Thumbnail = npt.NDArray[np.float32]

SIDE = 32
"""Pictures are compared at so many pixels a side."""

LIKENESS = 0.6
"""Pictures whose brightness correlates better than this show the same place."""

DIFFERENCE = 0.1
"""Mean difference of values, 0..1, below which nothing much has changed."""

OTHER_COLOURS, SOME_OTHER_COLOURS = 0.25, 0.1
"""Share of the pixels that changed their colour class: so many tell of another place; fewer do where the picture was
calm before."""

SUDDEN, SUDDEN_IN_CALM = 1.5, 3.0
"""A cut differs by so many times what the last pictures differed by: a camera that is swept round goes on to do so."""

MEMORY = 5
"""Differences that are remembered."""

CLASSES = 16
"""Of each colour channel."""

CONTRAST = 4.0
"""Standard deviation of the brightness, 0..255, below which a picture shows nothing: black, a flash, a lost frame."""

BLACK = 2.0
"""The same, below which what comes next may be anything, though both are too dark to differ by much: films fade out and
in. Dark films stay above it."""

GLIMPSE = 3
"""A picture that is back within so many frames was not gone: a flash, a broken frame."""


def marked(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The frames, with `cut` where one begins a new shot; no more than `GLIMPSE` wait for that, and only at a cut.

    The thresholds were chosen on 39 clips of people, one with a cut, at their own rate, half and a third of it, and on
    1,200 cuts between and within those, and on 240 fades through black between them.
    """
    shot = _Shot()
    waiting: list[Frame] = []  # the first may begin a new shot
    try:
        for frame in frames:
            now = thumbnail(frame.image)
            if waiting:
                waiting.append(frame)
                if shot.goes_on(now):
                    shot.take(now)
                elif len(waiting) > GLIMPSE:
                    waiting, shot = _new_shots(waiting)
                else:
                    continue
                yield from waiting
                waiting = []
            elif shot.ends_before(now):
                waiting.append(frame)
            else:
                yield frame
                shot.take(now)
    except UserError:  # what came before is not lost
        yield from _new_shots(waiting)[0]
        raise
    yield from _new_shots(waiting)[0]


def _new_shots(frames: list[Frame]) -> tuple[list[Frame], _Shot]:
    """Frames of which the first begins a new shot, and others may as well, marked; and the last one's shot."""
    shot, found = _Shot(), []
    for place, frame in enumerate(frames):
        now = thumbnail(frame.image)
        cut = place == 0 or shot.ends_before(now)
        shot.take(now, new=cut)
        found.append(replace(frame, cut=cut))
    return found, shot


class _Shot:
    """What a shot looked like last. Pictures that show nothing say nothing."""

    def __init__(self) -> None:
        self._last: Thumbnail | None = None
        self._gone = False  # there was nothing at all since then
        self._differences: deque[float] = deque(maxlen=MEMORY)

    def take(self, now: Thumbnail, *, new: bool = False) -> None:
        """Another picture of this shot, or the first that is known of the next."""
        if _shows_nothing(now):
            self._gone |= _contrast(now) < BLACK
            return
        self._gone = False
        if new or self._last is None:
            self._differences.clear()
        else:
            self._differences.append(_difference(now, self._last))
        self._last = now

    def goes_on(self, now: Thumbnail) -> bool:
        """Whether a picture shows the same place."""
        if self._last is None or _shows_nothing(now):
            return False
        # Into black and out of it pictures are too dark to differ by much.
        alike = not self._gone and _difference(now, self._last) < DIFFERENCE
        return alike or _correlation(now, self._last) > LIKENESS

    def ends_before(self, now: Thumbnail) -> bool:
        """Whether a picture seems to be of another shot."""
        if self._last is None or _shows_nothing(now) or self.goes_on(now):
            return False
        if self._gone:
            return True
        difference = _difference(now, self._last)
        usual = max(self._differences, default=None)
        colours = 0.5 * float(np.abs(_colours(now) - _colours(self._last)).sum())
        if colours >= OTHER_COLOURS:
            return usual is None or difference >= SUDDEN * usual
        return colours >= SOME_OTHER_COLOURS and usual is not None and difference >= SUDDEN_IN_CALM * usual


def thumbnail(image: npt.NDArray[np.uint8]) -> Thumbnail:
    """float32 (SIDE, SIDE, 3) of a picture of any size: the means of 4 x 4 of its pixels each, which takes 0.04 ms."""
    some = cv2.resize(image, (4 * SIDE, 4 * SIDE), interpolation=cv2.INTER_NEAREST)
    return cv2.resize(some, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)


def _contrast(image: Thumbnail) -> float:
    return float(image.mean(axis=2).std())


def _shows_nothing(image: Thumbnail) -> bool:
    return _contrast(image) < CONTRAST


def _difference(one: Thumbnail, other: Thumbnail) -> float:
    """Mean difference of values, 0..1."""
    return float(np.abs(one - other).mean()) / 255


def _correlation(one: Thumbnail, other: Thumbnail) -> float:
    """Of the brightness of two pictures, -1..1."""
    a, b = (image.mean(axis=2).ravel() for image in (one, other))
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b) / (float(np.linalg.norm(a) * np.linalg.norm(b)) + 1e-6)


def _colours(image: Thumbnail) -> npt.NDArray[np.float64]:
    """Share of the pixels in each class of each channel: float64 (3 * CLASSES,), its sum is 1."""
    classes = (image.reshape(-1, 3) * (CLASSES / 256)).astype(np.int64) + np.arange(3) * CLASSES
    return np.bincount(classes.ravel(), minlength=3 * CLASSES) / classes.size
