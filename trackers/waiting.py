"""Frames that wait for what is decided later: whether a track becomes a person, and whether who is away comes back.

Frames leave in order, each as soon as nothing in it is open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from trackers.frames import TrackedFrame

__all__ = ["Queue", "Unnamed", "Waiting"]


class Away(Protocol):
    """A track, as far as frames wait for it."""

    last_seconds: float
    """When it was seen last, on the tracker's own clock."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A frame on its way out."""

    frame: TrackedFrame
    coasted: Sequence[Away] = ()
    """Tracks of its last rows, which are predicted: a row goes where its track does not come back."""
    returned: list[bool] = field(init=False)
    """Which of those were seen again."""
    undecided: int = 0
    """Poses in it whose track may still become a person."""
    gone: bool = False
    """Handed over: it is not changed any more."""

    def __post_init__(self) -> None:
        self.returned = [False] * len(self.coasted)


class Unnamed:
    """Where a track was seen before it has an identity: rows of frames that wait."""

    def __init__(self) -> None:
        self._rows: list[tuple[Waiting, int]] = []

    def add(self, waiting: Waiting, row: int, *, limit: int) -> None:
        """One more; frames wait for `limit` others at most, so that no more of them need be kept."""
        if len(self._rows) > limit:
            self._rows = [(earlier, at) for earlier, at in self._rows if not earlier.gone]
        self._rows.append((waiting, row))
        waiting.undecided += 1

    def name(self, number: int) -> None:
        """The track is a person, and has been all the time."""
        for waiting, row in self._rows:
            if not waiting.gone:
                waiting.frame.track_id[row] = number
        self.drop()

    def drop(self) -> None:
        """Nothing waits for this track any more."""
        for waiting, _ in self._rows:
            waiting.undecided -= 1
        self._rows.clear()


class Queue:
    """The frames of one video that wait, in order."""

    def __init__(self, *, birth_frames: int, coast_seconds: float) -> None:
        """Begin empty; `birth_frames` and `coast_seconds` are the tracker's."""
        self._birth_frames = birth_frames
        self._coast_seconds = coast_seconds
        self._waiting: deque[Waiting] = deque()

    def append(self, waiting: Waiting) -> None:
        """The next frame."""
        self._waiting.append(waiting)

    def mark_returned(self, seen: Collection[int]) -> None:
        """Tell the frames that these tracks, each by its `id`, were seen now."""
        for waiting in self._waiting:
            for number, track in enumerate(waiting.coasted):
                waiting.returned[number] |= id(track) in seen

    def finished(self, clock: float) -> list[TrackedFrame]:
        """Take out the frames at the head that wait for nobody, or have waited long enough."""
        done = []
        while self._waiting and not self._must_wait(self._waiting[0], clock):
            waiting = self._waiting.popleft()
            waiting.gone = True
            done.append(waiting.frame if all(waiting.returned) else _without(waiting.frame, waiting.returned))
        return done

    def _must_wait(self, waiting: Waiting, clock: float) -> bool:
        if waiting.undecided and len(self._waiting) <= self._birth_frames:
            return True
        return any(
            not back and 0 < clock - track.last_seconds <= self._coast_seconds
            for track, back in zip(waiting.coasted, waiting.returned, strict=True)
        )


def _without(frame: TrackedFrame, returned: list[bool]) -> TrackedFrame:
    """The frame without those of its coasted rows, its last ones, whose people did not come back."""
    keep = np.append(np.ones(len(frame.score) - len(returned), dtype=bool), returned)
    return replace(
        frame,
        xy=frame.xy[keep],
        joint_score=frame.joint_score[keep],
        score=frame.score[keep],
        track_id=frame.track_id[keep],
        origin=frame.origin[keep],
        appearance=None if frame.appearance is None else frame.appearance[keep],
    )
