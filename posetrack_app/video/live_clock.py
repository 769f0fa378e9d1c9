"""Times of a live input: those that it gives, as long as they go with the wall clock."""

from __future__ import annotations

__all__ = ["LiveClock"]

_LARGEST_DISTANCE_SECONDS = 10.0
"""How far the times of a stream may be from those of arrival. Streams come late, and in bursts, by some seconds."""

_LARGEST_FALL_SECONDS = 1.0
"""A time that falls by more is a clock that was set anew."""

_NUDGE_SECONDS = 0.001


class LiveClock:
    """Strictly rising times from 0, across breaks of the stream."""

    def __init__(self) -> None:
        self._started: float | None = None
        self._last = 0.0
        self._offset: float | None = None  # from the stream's times to ours; None after a break

    @property
    def now(self) -> float:
        """Time of the latest frame."""
        return self._last

    def connected(self) -> None:
        """The stream was opened anew: its times may begin anywhere, and go on where the wall clock is."""
        self._offset = None

    def next(self, seconds: float, *, arrival: float) -> float:
        """Time of the next frame.

        Args:
            seconds: What the stream says.
            arrival: When the frame came, on the wall clock, in seconds.
        """
        if self._started is None:
            self._started = arrival
            self._offset = -seconds
            return self._last
        arrived = arrival - self._started
        time = arrived if self._offset is None else seconds + self._offset
        strays = abs(time - arrived) > _LARGEST_DISTANCE_SECONDS or time < self._last - _LARGEST_FALL_SECONDS
        if self._offset is None or strays:
            time = max(arrived, self._last + _NUDGE_SECONDS)
            self._offset = time - seconds
        self._last = max(time, self._last + _NUDGE_SECONDS)
        return self._last
