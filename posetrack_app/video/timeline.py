"""Times of an input as times of the video that is written."""

from __future__ import annotations

from fractions import Fraction

__all__ = ["TICKS_PER_SECOND", "Timeline"]

TICKS_PER_SECOND = 90_000
"""Ticks of the written times: 0.01 ms, and exact for 24, 25, 30, 50, 60 and 120 frames a second."""


class Timeline:
    """Times of the input, in seconds, as rising ticks of the written video.

    - A start from 0 to 10 s is kept. A negative one is moved to 0. One after 10 s is the arbitrary clock of a
      stream, and is moved to 0 with a warning. Sound that begins earlier than the picture counts.
    - Steps are kept to within a tick, however long. A time that does not rise is put one tick after its predecessor.
    - A fall of more than a second, or a step of more than six hours (which MP4 cannot hold), is a clock that was
      set anew: the video goes on one frame later, and the shift changes from there on.
    """

    LATEST_START = 10.0
    LARGEST_FALL = 1.0
    LARGEST_STEP = 6 * 3600.0
    PRIMING = 0.2  # s of sound before the picture that are no sound yet: an encoder's run-up

    def __init__(self, rate: Fraction | None) -> None:
        """Without a rate, the last frame lasts as long as the step before it, at most a second."""
        self.shift_seconds = 0.0
        self._warnings: list[str] = []
        self._nominal = None if rate is None else max(1, round(TICKS_PER_SECOND / rate))
        self._step = self._nominal or TICKS_PER_SECOND // 25
        self._last: int | None = None
        self._repaired = 0

    @property
    def warnings(self) -> list[str]:
        """One line each: what was changed."""
        if not self._repaired:
            return self._warnings
        return [
            *self._warnings,
            f"{self._repaired} frames had times that did not rise: moved to just after the one before",
        ]

    @property
    def duration(self) -> int:
        """Ticks that the latest frame is shown if no other follows."""
        return self._step

    @property
    def end_seconds(self) -> float:
        """When the latest frame ends, on the written clock."""
        return 0.0 if self._last is None else (self._last + self._step) / TICKS_PER_SECOND

    def start(self, first: float, audio_first: float | None) -> None:
        """Choose the shift from the first times, in seconds on the clock of the input."""
        if audio_first is not None:
            if -self.PRIMING <= audio_first < 0:
                audio_first = 0.0
            if audio_first < first - self.PRIMING:
                first = audio_first
        if first < 0 or first > self.LATEST_START:
            self.shift_seconds = -first
        if first > self.LATEST_START:
            self._warnings.append(f"the input's times start at {first:.3f} s: the video starts at 0 instead")

    def start_at_zero(self, first: float) -> None:
        """Put the first time at 0, whatever it is."""
        self.shift_seconds = -first

    def tick(self, seconds: float) -> int:
        """The written time of the next frame."""
        last = self._last
        if last is None:
            self._last = round((seconds + self.shift_seconds) * TICKS_PER_SECOND)
            return self._last
        step = seconds + self.shift_seconds - last / TICKS_PER_SECOND
        if not -self.LARGEST_FALL <= step <= self.LARGEST_STEP:
            self._warnings.append(f"times jump by {step:.1f} s: the video goes on without the jump")
            self.shift_seconds += self._step / TICKS_PER_SECOND - step
        tick = round((seconds + self.shift_seconds) * TICKS_PER_SECOND)
        if tick <= last:
            self._repaired += 1
            tick = last + 1
        self._step = self._nominal or min(tick - last, TICKS_PER_SECOND)
        self._last = tick
        return tick
