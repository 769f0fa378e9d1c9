"""Frames to a file: H.264 in MP4, with the times and the sound of the input, encoded in a thread of its own."""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import cast

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from posetrack_app.errors import OutputError
from posetrack_app.video.audio import AudioError, AudioTrack, reason
from posetrack_app.video.encoders import EncoderName, chosen_encoder, encoder_options
from posetrack_app.video.timeline import TICKS_PER_SECOND, Timeline

__all__ = ["VideoWriter", "fit"]

_QUEUE_FRAMES = 4
"""Frames that may wait for the encoder."""

_BT709 = 1
"""Primaries, transfer and matrix of BT.709 have the same number in ITU-T H.273."""


class VideoWriter:
    """Writes a video that plays in browsers, under its final name only when it is complete.

    - H.264, yuv420p, BT.709 in limited range, no B-frames, a key frame every two seconds, index in front.
    - Times are those of the input to within 1 ms, see `Timeline`; gaps stay gaps.
    - Pictures of another size than the video's, and odd sizes, see `fit`.
    - Sound comes along where there is any. What is wrong with it is a warning, never an error.

    As a context manager it is completed on success and aborted on an exception.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        rate: Fraction | None,
        audio_from: Path | None = None,
        is_stretch: bool = False,
        quality: int = 21,
        encoder: EncoderName = "libx264",
    ) -> None:
        """Open the file as `<stem>.partial<suffix>`.

        Args:
            path: Final name. Its folder must exist; a file of that name is replaced at the end.
            width: Pixels; pictures should be as wide.
            height: Pixels.
            rate: Frames a second as far as known. It guides the encoder and the duration of the last frame; the
                times of the frames are what `write` is told.
            audio_from: File whose best sound is taken along, on the same clock as the frames.
            is_stretch: The frames are those of a part of the input: they begin at 0, and only their sound is taken.
            quality: Constant rate factor of H.264: 0 is lossless and huge, 18 near the source, 28 small, 51 mush.
            encoder: What encodes; `auto` takes a graphics card's where one works, else libx264.

        Raises:
            OutputError: The file cannot be written, H.264 has no pictures of that size, or the encoder that was asked
                for does not work here.
        """
        self.encode_seconds = 0.0
        """Seconds that the encoder worked, conversion of colours and sound included, without waiting."""
        self.wait_seconds = 0.0
        """Seconds that `write` waited for the encoder."""
        self.frames = 0
        """Frames that went into the encoder."""
        self.warnings: list[str] = []
        """One line each: what a viewer should know."""
        self._path = path
        self._partial = path.with_name(f"{path.stem}.partial{path.suffix}")
        self._size = (width, height)
        self._mixed = False  # whether a picture of another size has been told of
        rate = rate.limit_denominator(100_000) if rate is not None and 0 < rate <= 1000 else None
        self._timeline = Timeline(rate)
        self._is_stretch = is_stretch
        self._audio: AudioTrack | None = None
        self.encoder = chosen_encoder(encoder, *self._size)
        """What encodes."""
        self._open(rate or Fraction(25), quality, audio_from)
        self._reformatter = VideoReformatter()
        self._queue: queue.Queue[tuple[av.VideoFrame, float] | None] = queue.Queue(maxsize=_QUEUE_FRAMES)
        self._error: OutputError | None = None
        self._aborted = False
        self._playable = False  # whether the file was closed as it should
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="encoder", daemon=True)
        self._thread.start()

    @property
    def shift_seconds(self) -> float:
        """What was added to the times of the input, picture and sound alike."""
        return self._timeline.shift_seconds

    def write(self, image: npt.NDArray[np.uint8], pts: float) -> None:
        """Hand over a picture; waits while four are under way.

        Args:
            image: uint8 (H, W, 3), RGB. It is copied: the caller may draw into it again.
            pts: Presentation time in seconds on the clock of the input.

        Raises:
            OutputError: This or an earlier frame could not be written.
        """
        if self._closed:
            raise ValueError(f"{self._path} is closed")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"image must be uint8 (H, W, 3), got {image.dtype} {image.shape}")
        if not math.isfinite(pts):
            raise ValueError(f"pts must be finite, got {pts}")
        if self._error is not None:
            raise self._error
        height, width = image.shape[:2]
        if (width, height) != self._size and not self._mixed:
            self._mixed = True
            self.warnings.append(
                f"pictures of another size, the first of {width}x{height}, in a video of "
                f"{self._size[0]}x{self._size[1]}: put top left, made smaller where too large"
            )
        frame = av.VideoFrame.from_ndarray(fit(image, *self._size), format="rgb24")
        self._put((frame, pts))

    def close(self) -> None:
        """Write what waits and complete the file under its final name.

        Raises:
            OutputError: Something could not be written.
        """
        if self._closed:
            return
        self._join()
        if self._error is not None or not self._playable:
            raise self._error or self._thread_is_gone()
        if not self.frames:
            self._remove()
            self.warnings.append(f"no frame came, so there is no {self._path.name}")
            return
        try:
            self._partial.replace(self._path)
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {reason(error)}") from None

    def abort(self) -> None:
        """Write what waits and close the file so that it plays, under its partial name; never raises.

        Where not even that is possible (the disk is full), or no frame came, no file stays.
        """
        self._aborted = True
        if not self._closed:
            self._join()
            if not self.frames:
                self._remove()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _open(self, rate: Fraction, quality: int, audio_from: Path | None) -> None:
        """Open file and encoder and write the header: what cannot work shows here."""
        try:
            self._partial.open("wb").close()
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {reason(error)}") from None
        try:
            try:
                self._open_streams(rate, quality, audio_from)
            except (av.FFmpegError, ValueError) as error:
                if self._audio is None:
                    raise
                self._audio.close()
                self._audio = None
                self._open_streams(rate, quality, None)
                self.warnings.append(f"no sound: {reason(error)}")
        except OSError as error:
            self._remove()
            raise OutputError(f"cannot write {self._path}: {reason(error)}") from None
        except (av.FFmpegError, ValueError, OverflowError) as error:
            self._remove()
            what = f"pictures of {self._size[0]}x{self._size[1]}"
            raise OutputError(f"cannot write {self._path}: H.264 refuses {what} ({reason(error)})") from None
        except BaseException:
            self._remove()
            raise

    def _open_streams(self, rate: Fraction, quality: int, audio_from: Path | None) -> None:
        # An absolute path, since FFmpeg takes `name:` at the start for a protocol.
        self._output = av.open(
            str(self._partial.absolute()),
            mode="w",
            format="mp4",
            container_options={"movflags": "+faststart", "movie_timescale": str(TICKS_PER_SECOND)},
        )
        stream = self._output.add_stream(self.encoder, rate=rate, options=encoder_options(self.encoder, quality))
        self._stream = cast(VideoStream, stream)
        self._stream.width, self._stream.height = (length + length % 2 for length in self._size)
        self._stream.pix_fmt = "yuv420p"
        codec = self._stream.codec_context
        codec.time_base = Fraction(1, TICKS_PER_SECOND)
        codec.gop_size = min(250, max(10, round(2 * rate)))
        codec.thread_count = _threads()
        codec.color_range = ColorRange.MPEG
        codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
        if audio_from is not None:
            try:
                self._audio = AudioTrack(audio_from, self._output)
            except AudioError as error:
                self.warnings.append(f"no sound: {error}")
        self._output.start_encoding()

    def _put(self, item: tuple[av.VideoFrame, float] | None) -> None:
        """Into the queue; never waits for a thread that is gone."""
        started = time.perf_counter()
        while self._thread.is_alive():
            with suppress(queue.Full):
                self._queue.put(item, timeout=1.0)
                self.wait_seconds += time.perf_counter() - started
                return
        if item is not None:
            raise self._error or self._thread_is_gone()

    def _thread_is_gone(self) -> OutputError:
        return OutputError(f"cannot write {self._path}: the encoder's thread has ended")

    def _join(self) -> None:
        self._put(None)
        self._thread.join()
        self._closed = True

    def _remove(self) -> None:
        with suppress(OSError):
            self._partial.unlink()

    # What follows runs in the encoder's thread.

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is None:  # else only keep the queue moving, so that `write` never waits for nobody
                self._guarded(self._encode, *item)
        self._guarded(self._flush)
        if self._audio is not None:
            self._guarded(self._audio.close)
            self.warnings += self._audio.warnings
        self.warnings += self._timeline.warnings
        self._playable = self._guarded(self._output.close)
        if not self._playable:
            self._remove()  # without its index nobody can play it

    def _guarded(self, work: Callable[..., None], *arguments: object) -> bool:
        """Do a piece of work and measure it; the first error is kept for whoever calls next."""
        started = time.perf_counter()
        try:
            work(*arguments)
        except BaseException as error:
            if self._error is None:
                self._error = OutputError(f"cannot write {self._path}: {reason(error)}")
                self._error.__cause__ = error
            return False
        finally:
            self.encode_seconds += time.perf_counter() - started
        return True

    def _encode(self, frame: av.VideoFrame, pts: float) -> None:
        if not self.frames:
            if self._is_stretch:
                self._timeline.start_at_zero(pts)
                if self._audio is not None:
                    self._audio.skip(pts)
            else:
                self._timeline.start(pts, self._audio.first_seconds if self._audio else None)
        tick = self._timeline.tick(pts)
        converted = self._reformatter.reformat(
            frame,
            format="yuv420p",
            src_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,  # swscale's own pool costs more than it brings
        )
        converted.pts = tick
        converted.time_base = Fraction(1, TICKS_PER_SECOND)
        self._mux(self._stream.encode(converted))
        self.frames += 1
        if self._audio is not None:
            self._audio.advance(tick / TICKS_PER_SECOND, shift=self.shift_seconds)

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            packet.duration = self._timeline.duration  # counts for the last one; the others end where the next begins
            self._output.mux(packet)

    def _flush(self) -> None:
        self._mux(self._stream.encode(None))
        if self._audio is not None and self.frames:
            if not (self._aborted or self._is_stretch or self._error):
                self._audio.finish(self._timeline.end_seconds, shift=self.shift_seconds)
            self._audio.flush()


def fit(image: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    """A picture as H.264 takes it: of the video's size, made even. Pixels keep their coordinates.

    The last row and column are repeated where the size is odd. A picture of another size is put top left on black,
    made smaller (with its proportions) only where it is larger.

    >>> fit(np.full((3, 5, 3), 7, dtype=np.uint8), 5, 3).shape
    (4, 6, 3)
    """
    if image.shape[:2] != (height, width):
        scale = min(1.0, width / image.shape[1], height / image.shape[0])
        if scale < 1:
            size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        canvas = np.zeros((height, width, 3), dtype=np.uint8)
        canvas[: image.shape[0], : image.shape[1]] = image
        image = canvas
    if height % 2 or width % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(image)


def _threads() -> int:
    """Threads of the encoder: most of the machine is the network's."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, max(1, cores // 4))
