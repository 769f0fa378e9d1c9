"""Presentation times that always rise, whatever the container says."""

from __future__ import annotations

__all__ = ["Clock"]

_PAUSE_SECONDS = 10.0
"""A longer gap, in a format whose clock may break, is a break of the clock and not a pause."""

_NUDGE_SECONDS = 0.001
"""How much later a frame is shown whose time is taken: one tick of the coarsest usual time base."""


class Clock:
    """Turns the times of a stream into strictly rising ones; times that rise already stay exactly as they are."""

    def __init__(self, *, step_seconds: float, may_break: bool) -> None:
        """An unset clock.

        Args:
            step_seconds: Time between frames where the stream does not say.
            may_break: Whether the clock of this format may start anew (MPEG-TS and such): then a gap of more
                than 10 s is mended as well. Backward jumps are mended in every format.
        """
        self._step = step_seconds
        self._may_break = may_break
        self._offset = 0.0
        self._last: float | None = None
        self._reached = 0.0  # latest time of the stream itself, before a nudge
        self._frames = 0
        self._untimed = 0
        self._nudged = 0
        self._jumps: list[tuple[int, float]] = []  # frame, seconds

    def next(self, seconds: float | None) -> float:
        """Time of the next frame, in seconds; `seconds` is what the stream says, None where it says nothing."""
        time = self._rising(seconds)
        self._last = time
        self._frames += 1
        return time

    def _rising(self, seconds: float | None) -> float:
        if seconds is None:
            self._untimed += 1
            time = 0.0 if self._last is None else self._last + self._step
        elif self._last is None:
            time = seconds
        else:
            time = seconds + self._offset
            back = time < self._reached - 2 * self._step
            if back or (self._may_break and time - self._last > _PAUSE_SECONDS):
                self._jumps.append((self._frames, time - self._reached))
                time = self._last + self._step
                self._offset = time - seconds
            elif time <= self._last:
                self._nudged += 1
                self._reached = max(self._reached, time)
                return self._last + min(_NUDGE_SECONDS, self._step / 2)
        self._reached = time if self._last is None else max(self._reached, time)
        return time

    def warnings(self) -> list[str]:
        """What was mended so far, a line each."""
        lines = []
        if self._frames and self._untimed == self._frames:
            lines.append(f"the input carries no times: its frames are taken to be {1 / self._step:.6g} a second")
        elif self._untimed:
            lines.append(f"{self._untimed} of {self._frames} frames carry no time and follow the frame before")
        if self._nudged:
            lines.append(
                f"{self._nudged} of {self._frames} frames are not later than the frame before: "
                "each was moved to just after it"
            )
        if self._jumps:
            frame, seconds = self._jumps[0]
            more = f", and {len(self._jumps) - 1} more jumps" if len(self._jumps) > 1 else ""
            lines.append(f"the clock of the input jumps by {seconds:+.3f} s at frame {frame}{more}: it was mended")
        return lines
