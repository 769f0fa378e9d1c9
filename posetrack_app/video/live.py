"""Reading a live input: everything is decoded, the newest frame is worked on, and what breaks is taken up again."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from posetrack_app.config import InputSettings, LiveSettings
from posetrack_app.errors import InputError, UsageError
from posetrack_app.types import Frame
from posetrack_app.video.decoder import Decoder, open_decoder
from posetrack_app.video.info import VideoInfo
from posetrack_app.video.live_clock import LiveClock
from posetrack_app.video.reader import VideoReader
from posetrack_app.video.source import Source
from posetrack_app.video.stretch import Stretch

__all__ = ["LiveReader", "Pace", "open_reader"]

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 10.0
_JOIN_SECONDS = 1.0
"""How long leaving waits for a source that may be silent; its thread ends by itself when the source answers."""

_LATE_SECONDS = 1.0
"""A frame that comes so late on its own times sets the pace anew, else a burst would follow to catch up."""


def open_reader(
    source: Source, *, input_: InputSettings, live: LiveSettings, tell: Callable[[str], None] = lambda line: None
) -> VideoReader | LiveReader:
    """Open a source for reading all of it, or live.

    Args:
        source: One of what `expand_inputs` gives.
        input_: How inputs are read.
        live: Which inputs are live, and how those are read.
        tell: Called with a line when a live source breaks and when it is back, from another thread.

    Raises:
        InputError: It cannot be read, or holds no frame.
        UsageError: A limit of time for an input that is not live, or a stretch of a live one.
    """
    decoder = open_decoder(source, image_rate=input_.image_rate, mends_breaks=live.mode != "never")
    if live.mode == "always" or (live.mode == "auto" and decoder.live):
        if input_.is_stretch:
            decoder.close()
            raise UsageError(f"{source.shown} is live: --from and --to are for files; --seconds ends it")
        return LiveReader(source, decoder, settings=live, tell=tell)
    if live.seconds:
        decoder.close()
        raise UsageError(f"{source.shown} is read to its end: --seconds needs a live input, or --live")
    stretch = Stretch(input_.start, input_.end or math.inf)
    return VideoReader(
        source, queue_frames=input_.queue_frames, image_rate=input_.image_rate, stretch=stretch, decoder=decoder
    )


class _Arrival(NamedTuple):
    """A decoded frame."""

    frame: Frame
    seconds: float
    """When it came, on the monotonic clock."""


class LiveReader:
    """Frames of a live source, the newest each time that one is asked for; a context manager.

    A thread decodes every frame. One waits at most; where a newer one comes, it is dropped. So neither memory nor
    delay grows, however slow the consumer is. Frames that are given are numbered without gaps.

    A camera or stream that breaks is opened again, after pauses of 1, 2, 4, 8, 10, 10 ... seconds; its times rise from
    0, see `LiveClock`. A file is read at the pace of its times, and keeps them.
    """

    def __init__(
        self,
        source: Source,
        decoder: Decoder,
        *,
        settings: LiveSettings,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Take over a source that is open.

        Args:
            source: What it was opened from, to open it again.
            decoder: The open source.
            settings: How long to read, and how long to wait for a source that broke.
            tell: Called with a line when the source breaks and when it is back, from another thread.
        """
        self.info: VideoInfo = replace(decoder.info, frames_expected=None, has_audio=False)
        """What is known of the source; all frames come in this size."""
        self.warnings: list[str] = []
        """What is wrong with the source, a line each; complete when the reader is closed."""
        self.frames_decoded = 0
        """Frames that were decoded so far."""
        self.frames_given = 0
        """Frames that were taken; the others were dropped."""
        self.reconnects = 0
        """How often the source was taken up again."""
        self.seconds_away = 0.0
        """How long it gave nothing, from the last frame before each break to the first one after it."""
        self.decode_seconds = 0.0
        """Seconds of work of the decoding thread, without waiting for the source."""
        self._source = source
        self._decoder: Decoder | None = decoder
        self._live = decoder.live
        self._settings = settings
        self._tell = tell
        self._waiting: queue.SimpleQueue[_Arrival | BaseException | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._broke_at: float | None = None  # on the clock of the frames, the first time
        self._scaled_at: tuple[float, int, int] | None = None
        self._arrivals: dict[int, float] = {}

    @property
    def frames_dropped(self) -> int:
        """Frames that were decoded and that nobody took, the one that waits included."""
        return max(0, self.frames_decoded - self.frames_given)

    def __enter__(self) -> LiveReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        """The newest frame, again and again, until the source ends, time is up or `stop` is called. Once.

        Raises:
            RuntimeError: Frames were asked for before, or the reader is closed.
            UserError: The source fails in a way that cannot be mended.
        """
        if self._thread is not None or self._over.is_set():
            raise RuntimeError("the frames of a LiveReader can be read only once, and not after it is closed")
        self._thread = threading.Thread(target=self._work, name="live", daemon=True)
        self._thread.start()
        return self._taken()

    def stop(self) -> None:
        """End the frames; may be called from a signal handler, at any time."""
        self._stopped = True
        self._waiting.put(None)

    def close(self) -> None:
        """End the decoding and free the source; may be called twice."""
        if self._over.is_set():
            return
        self._over.set()
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)
        elif self._decoder is not None:
            self._decoder.close()
        self._waiting.put(None)  # whoever still takes frames finds the end
        self._tell_of_breaks()

    def age(self, frame: Frame) -> float:
        """Seconds since a frame that was given came; may be asked once for each."""
        return time.monotonic() - self._arrivals.pop(frame.index)

    def _taken(self) -> Iterator[Frame]:
        deadline = time.monotonic() + self._settings.seconds if self._settings.seconds else None
        while not self._stopped:
            try:
                item = self._waiting.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return
            if item is None or self._stopped:
                return
            if isinstance(item, BaseException):
                raise item
            if deadline is not None and time.monotonic() >= deadline:
                return
            index = self.frames_given
            self.frames_given += 1
            self._arrivals[index] = item.seconds
            yield replace(item.frame, index=index, image=self._sized(item.frame))

    def _sized(self, frame: Frame) -> npt.NDArray[np.uint8]:
        """The picture in the size of the first one: scaled, with its proportions, top left on black."""
        image, (width, height) = frame.image, (self.info.width, self.info.height)
        if image.shape[:2] == (height, width):
            return image
        if self._scaled_at is None:
            self._scaled_at = frame.pts, image.shape[1], image.shape[0]
        scale = min(width / image.shape[1], height / image.shape[0])
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        canvas = np.zeros((height, width, 3), dtype=np.uint8)
        canvas[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return canvas

    def _tell_of_breaks(self) -> None:
        if self.reconnects and self._broke_at is not None:
            times = "once" if self.reconnects == 1 else f"{self.reconnects} times, the first"
            self.warnings.append(
                f"the input broke off {times} at {self._broke_at:.1f} s and was taken up again: "
                f"{self.seconds_away:.1f} s are missing"
            )
        if self._scaled_at is not None:
            seconds, width, height = self._scaled_at
            self.warnings.append(
                f"the picture changes size from {self.info.width}x{self.info.height} to {width}x{height} "
                f"at {seconds:.1f} s: frames are scaled to the first size"
            )

    # What follows runs in the thread.

    def _work(self) -> None:
        """Decode until the source is gone for good, an error, or the end."""
        end: BaseException | None = None
        try:
            self._read_on()
        except BaseException as error:  # raised again where the frames are taken
            end = error
        self._release()
        if end is not None and not self._over.is_set():
            self._waiting.put(end)
        self._waiting.put(None)

    def _read_on(self) -> None:
        """Frames of the source, and of the same source opened again, as often as it breaks."""
        clock = LiveClock()
        last = 0.0
        while self._decoder is not None:
            pace = Pace() if self._decoder.in_bursts or not self._live else None
            for number, frame in enumerate(self._counted(self._decoder.frames())):
                if pace is not None and self._over.wait(pace.early(frame.pts, now=time.monotonic())):
                    return
                arrival = time.monotonic()
                if not number and self.frames_decoded > 1:
                    self.seconds_away += arrival - last
                if self._live:
                    frame = replace(frame, pts=clock.next(frame.pts, arrival=arrival))
                self._offer(_Arrival(frame, arrival))
                last = arrival
            if not self._live or self._over.is_set():
                return
            if self._broke_at is None:
                self._broke_at = clock.now
            self._release()
            self._decoder = self._again(last)
            if self._decoder is None and not self._over.is_set():
                self.warnings.append(f"the input ended at {clock.now:.1f} s and did not come back")
            clock.connected()

    def _release(self) -> None:
        """Free the source, and keep what it has to say."""
        if self._decoder is not None:
            with suppress(Exception):
                self._decoder.close()
            self.warnings += [line for line in self._decoder.warnings if line not in self.warnings]
        self._decoder = None

    def _counted(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames, counted; ends when reading is over."""
        while not self._over.is_set():
            # Of a live source only the work of this thread counts: the rest is waiting for it.
            started = time.thread_time()
            frame = next(frames, None)
            self.decode_seconds += time.thread_time() - started
            if frame is None or self._over.is_set():
                return
            self.frames_decoded += 1
            yield frame

    def _offer(self, arrival: _Arrival) -> None:
        """Put a frame in the place of the one that waits."""
        with suppress(queue.Empty):
            self._waiting.get_nowait()
        self._waiting.put(arrival)

    def _again(self, last: float) -> Decoder | None:
        """The source opened again; None where it does not come back, or came back as one that is not live."""
        limit = self._settings.give_up_seconds
        self._tell(f"{self._source.shown} broke off; trying again" + (f" for {limit:g} s" if limit else ""))
        pause = _FIRST_PAUSE_SECONDS
        while True:
            left = last + limit - time.monotonic() if limit else pause
            if left <= 0:
                return None
            if self._over.wait(min(pause, left)):
                return None
            try:
                decoder = open_decoder(self._source, mends_breaks=True)
            except InputError:
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            if self._over.is_set() or not decoder.live:  # the latter: a stream that is over, and is a recording now
                decoder.close()
                return None
            self.reconnects += 1
            self._tell(f"{self._source.shown} is back")
            return decoder


@dataclass
class Pace:
    """When frames are due by their own times, of files and of streams that come in bursts."""

    ahead: float | None = None
    """From times of frames to the wall clock; None before the first frame."""

    def early(self, seconds: float, *, now: float) -> float:
        """How long to wait before a frame is due; 0 where it is late."""
        if self.ahead is None or now - (seconds + self.ahead) > _LATE_SECONDS:
            self.ahead = now - seconds
        return max(0.0, seconds + self.ahead - now)
