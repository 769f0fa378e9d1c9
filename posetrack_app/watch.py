"""A live run as it goes: how old poses are when they are ready, what was dropped, and how it is stopped."""

from __future__ import annotations

import signal
import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from posetrack_app.types import Frame
from posetrack_app.video import LiveReader, VideoReader

__all__ = ["Watch", "until_signal"]


class Watch:
    """Keeps the ages of poses: from the arrival of a frame, decoded, to its people with their identities."""

    def __init__(self, reader: LiveReader) -> None:
        self._reader = reader
        self._ages = array("f")  # a day of them takes some megabytes

    def ready(self, frame: Frame) -> str:
        """The people of a frame are ready; gives what to show of it, as in `age 85 ms, 40 dropped`."""
        self._ages.append(self._reader.age(frame))
        return f"age {1000 * self._ages[-1]:.0f} ms, {self._reader.frames_dropped} dropped"

    def report(self) -> dict[str, Any]:
        """Figures of the whole run, for `run.json`; ages in milliseconds, null where no frame came."""
        reader = self._reader
        ages = 1000 * np.frombuffer(self._ages, dtype=np.float32) if self._ages else None
        return {
            "age_ms": ages
            if ages is None
            else {
                "median": round(float(np.median(ages)), 1),
                "percentile_95": round(float(np.percentile(ages, 95)), 1),
                "largest": round(float(ages.max()), 1),
            },
            "frames_dropped": reader.frames_dropped,
            "reconnects": reader.reconnects,
            "seconds_away": round(reader.seconds_away, 3),
        }


@contextmanager
def until_signal(reader: VideoReader | LiveReader) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop a live reader, the first time; the second time they do what they did before.

    With another reader nothing changes, and outside of the main thread, which alone may set what signals do.
    """
    if not isinstance(reader, LiveReader) or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            if handler is not None:  # None: not set by Python, and not to be set by it
                signal.signal(number, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        restore()
        reader.stop()

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
