"""Work that an interrupt ends at a good place: what was done is kept."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stop", "stopping"]


class Stop:
    """Whether the work is to stop: somebody asked, or the time is over."""

    def __init__(self, minutes: float | None) -> None:
        self.asked = False
        self._end = None if minutes is None else time.monotonic() + 60 * minutes

    def __call__(self) -> bool:
        return self.asked or (self._end is not None and time.monotonic() >= self._end)


@contextmanager
def stopping(minutes: float | None = None) -> Iterator[Stop]:
    """The first interrupt asks the work to stop where that does no harm; a second one of its kind ends it at once.

    Of its kind, because torchrun sends its processes another signal beside the one that the terminal sends them.
    """
    stop = Stop(minutes)
    seen: set[int] = set()

    def ask(number: int, frame: FrameType | None) -> None:
        if number in seen:
            raise KeyboardInterrupt
        seen.add(number)
        stop.asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
