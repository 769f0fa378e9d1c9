"""A stretch of an input, where not all of it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from posetrack_app.video.info import VideoInfo

__all__ = ["WHOLE", "Stretch"]

_SLACK_SECONDS = 5e-4
"""What begins so little before a limit counts as beginning there: times of files are rounded."""


class _Timed(Protocol):
    @property
    def pts(self) -> float:
        """Presentation time in seconds."""


Item = TypeVar("Item", bound=_Timed)


@dataclass(frozen=True, slots=True)
class Stretch:
    """From when to when, in seconds after the first frame of the input: as players count, whatever its clock says."""

    start: float = 0.0
    """When the first frame is shown at the earliest."""

    end: float = math.inf
    """What is shown from then on does not belong to it any more."""

    def __str__(self) -> str:
        """In words.

        >>> print(Stretch(90, 95.5), "|", Stretch(end=8))
        from 90 s to 95.5 s | to 8 s
        """
        parts = [f"from {self.start:g} s"] if self.start else []
        return " ".join([*parts, *([f"to {self.end:g} s"] if self.end < math.inf else [])])

    def cut(self, items: Iterable[Item], stopped: Callable[[], bool] = lambda: False) -> Iterator[Item]:
        """Those of the items that belong to it; they are all there are from the first on, in order.

        Ends early where `stopped` says so: what is left out may be long.
        """
        first: float | None = None
        for item in items:
            if stopped():
                return
            first = item.pts if first is None else first
            seconds = item.pts - first + _SLACK_SECONDS
            if seconds >= self.end:
                return
            if seconds >= self.start:
                yield item

    def of(self, info: VideoInfo) -> VideoInfo:
        """What is known of an input, with the length of the stretch."""
        if self == WHOLE:
            return info
        if info.duration_seconds is None:
            return replace(info, frames_expected=None)
        seconds = max(min(self.end, info.duration_seconds) - self.start, 0.0)
        frames = round(seconds * info.average_rate) if info.average_rate else None
        return replace(info, duration_seconds=seconds, frames_expected=frames)


WHOLE = Stretch()
"""All of it."""
