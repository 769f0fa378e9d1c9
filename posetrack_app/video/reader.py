"""Reading any video, frame by frame, ahead of whoever takes the frames."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from posetrack_app.errors import InputError, UsageError
from posetrack_app.types import Frame
from posetrack_app.video.decoder import Decoder, open_decoder
from posetrack_app.video.info import VideoInfo
from posetrack_app.video.source import Source
from posetrack_app.video.stretch import WHOLE, Stretch

__all__ = ["VideoReader"]

_JOIN_SECONDS = 1.0
"""How long leaving waits for a stream that may be silent; its thread ends by itself when the stream answers."""

_PROMISED_SECONDS = 60.0
"""A film that ends by its header so much before a stretch begins is not read to see whether it goes on."""


class VideoReader:
    """The frames of a source, or of a stretch of it, in order, each exactly once; a context manager.

    Frames are decoded by a thread ahead of the consumer, never more than `queue_frames` of them. Leaving the
    context ends the thread, wherever it is.

        with VideoReader(source) as reader:
            for frame in reader:
                ...
    """

    def __init__(
        self,
        source: Source,
        *,
        queue_frames: int = 6,
        image_rate: float = 25.0,
        stretch: Stretch = WHOLE,
        decoder: Decoder | None = None,
    ) -> None:
        """Open a source and decode its first frame.

        Args:
            source: One of what `expand_inputs` gives.
            queue_frames: Decoded frames that may wait for the consumer.
            image_rate: Pictures a second that a sequence of pictures is taken to have.
            stretch: What of the source is given; its frames keep their indices and times.
            decoder: The source, where it is open already.

        Raises:
            InputError: It cannot be read, or holds no frame, or ends before the stretch begins.
            UsageError: `image_rate` or `queue_frames` is not above 0.
        """
        if not image_rate > 0:
            raise UsageError(f"input.image_rate is {image_rate}: it must be above 0, as in 25")
        if queue_frames < 1:
            raise UsageError(f"input.queue_frames is {queue_frames}: it must be at least 1")
        started = time.perf_counter()
        self._decoder = decoder or open_decoder(source, image_rate=image_rate)
        self._shown = source.shown
        self.stretch = stretch
        """What of the source is given."""
        self._promised = self._decoder.info.duration_seconds
        if self._promised is not None and stretch.start > self._promised + _PROMISED_SECONDS:
            self._decoder.close()
            raise self._nothing()
        self.info: VideoInfo = stretch.of(self._decoder.info)
        """What is known of the source, exact in size and orientation; its length is that of the stretch."""
        self.warnings: list[str] = self._decoder.warnings
        """What is wrong with the source, a line each; complete when the last frame was taken."""
        self.frames_decoded = 0
        """Frames that were decoded so far; at the end, all of them."""
        self.decode_seconds = 0.0 if self._decoder.live else time.perf_counter() - started
        """Seconds of work: reading, decoding and converting, without waiting for the consumer or a live source."""
        self._waits_for_others = source.kind in ("camera", "stream")
        self._queue: queue.Queue[Frame | BaseException | None] = queue.Queue(maxsize=queue_frames)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        """The frames, once.

        Raises:
            RuntimeError: They were asked for before, or the reader is closed.
            UserError: The source fails in a way that cannot be mended.
        """
        if self._thread is not None or self._stop.is_set():
            raise RuntimeError("the frames of a VideoReader can be read only once, and not after it is closed")
        self._thread = threading.Thread(target=self._work, name="decoder", daemon=True)
        self._thread.start()
        return self._taken()

    def check_stretch(self) -> None:
        """Refuse a stretch of which the header says that it is empty, without reading on to see whether that is so.

        Raises:
            InputError: By its header the source ends before the stretch begins.
        """
        if self._promised is not None and self.stretch.start >= self._promised:
            raise self._nothing()

    def close(self) -> None:
        """End the decoding and free the source; may be called twice."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._thread is None:
            self._decoder.close()
            return
        self._drain()
        self._thread.join(_JOIN_SECONDS if self._waits_for_others else None)
        self._drain()
        self._queue.put(None)  # whoever still takes frames finds the end

    def _nothing(self) -> InputError:
        lasts = f": it lasts {self._promised:.1f} s" if self._promised else ""
        return InputError(f"{self._shown} has no frame {self.stretch}{lasts}")

    def _taken(self) -> Iterator[Frame]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def _drain(self) -> None:
        """Make room, so that a thread that waits to hand over a frame sees that it is to stop."""
        with suppress(queue.Empty):
            while True:
                self._queue.get_nowait()

    def _work(self) -> None:
        """Decode until the end, an error, or `_stop`."""
        end: BaseException | None = None
        # Of a live source only the work of this thread counts: the rest is waiting for it.
        clock = time.thread_time if self._decoder.live else time.perf_counter
        try:
            frames = self._decoder.frames(self.stretch, self._stop.is_set)
            while not self._stop.is_set():
                started = clock()
                frame = next(frames, None)
                self.decode_seconds += clock() - started
                if frame is None:
                    if not self.frames_decoded and not self._stop.is_set():
                        raise self._nothing()
                    break
                self.frames_decoded += 1
                self._queue.put(frame)
        except BaseException as error:  # raised again where the frames are taken
            end = error
        with suppress(Exception):
            self._decoder.close()
        if end is not None and not self._stop.is_set():
            self._queue.put(end)
        if not self._stop.is_set():
            self._queue.put(None)
