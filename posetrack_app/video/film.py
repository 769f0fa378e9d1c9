"""Decoding the film of a file or stream: every frame, with its time, whatever is wrong with the file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from posetrack_app.errors import InputError
from posetrack_app.types import Frame
from posetrack_app.video.clock import Clock
from posetrack_app.video.colour import Viewer, orientation_of
from posetrack_app.video.container import (
    Length,
    choose_stream,
    is_live,
    length,
    may_break,
    open_container,
    rate_of,
    reason,
)
from posetrack_app.video.damage import Damage
from posetrack_app.video.info import VideoInfo
from posetrack_app.video.source import Source
from posetrack_app.video.stretch import WHOLE, Stretch

__all__ = ["Film"]

_SEGMENTED = ("hls", "dash")
"""FFmpeg's names of formats whose live streams come in segments of some seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    """A frame as the decoder gives it."""

    index: int
    """Position in the stream."""

    pts: float
    """When it is shown in seconds, on the mended clock."""

    frame: VideoFrame
    """Its picture, colours and turn still as they are stored."""


class Film:
    """The video stream of one file or address, decoded by FFmpeg on all cores.

    Each frame that FFmpeg gives is kept. What it mended or left out is counted and told in `warnings` at the end.
    """

    def __init__(self, source: Source, *, mends_breaks: bool = False) -> None:
        """Open the source and decode its first frame.

        Args:
            source: A file or an address.
            mends_breaks: The reader tells of breaks of a stream and of changed sizes; see `open_decoder`.

        Raises:
            InputError: It cannot be opened, or holds no film, or no frame of it can be decoded.
        """
        self.warnings: list[str] = []
        self._source = source
        self._shown = source.shown
        self._opened = time.monotonic()
        self._container = open_container(source)
        self.live = is_live(self._container, source)
        self.in_bursts = self._container.format.name in _SEGMENTED
        self._mends_breaks = mends_breaks and self.live
        try:
            self._stream = choose_stream(self._container, self._shown)
            # Frames that are decoded side by side come so many frames later.
            self._stream.thread_type = "SLICE" if self.live else "AUTO"
            rate = rate_of(self._container, self._stream)
            self._length = Length(None, None, None) if self.live else length(self._container, self._stream)
            step = 1 / float(self._stream.guessed_rate or rate or 25)
            breaks = may_break(self._container, source)
            self._clock = Clock(step_seconds=step, may_break=breaks)
            self._viewer = Viewer(aspect=self._stream.sample_aspect_ratio)
            self._damage = Damage(
                codec=self._codec(),
                expected=self._length.frames,
                end_seconds=self._length.end,
                step_seconds=step,
                steady=breaks,
            )
            self._last_pts: int | None = None
            self._count = 0
            self._size: tuple[int, int] | None = None
            self._orientation = ""
            self._told = False
            self._decoding = self._decode()
            first = next(self._decoding, None)
            if first is None:
                why = f" ({self._damage.last_error})" if self._damage.last_error else ""
                raise InputError(f"{self._shown} holds a film ({self._codec()}), but no frame that can be decoded{why}")
            self._first = first
            picture = self._look(first).image
        except BaseException:
            self._container.close()
            raise
        self.info = VideoInfo(
            width=picture.shape[1],
            height=picture.shape[0],
            frames_expected=self._length.frames,
            average_rate=rate,
            has_audio=source.kind == "video" and bool(self._container.streams.audio),
            duration_seconds=self._length.seconds,
            codec=self._codec(),
            pixel_format=self._stream.codec_context.pix_fmt or "unknown",
            orientation=self._orientation,
            stream=self._stream.index,
        )

    def frames(self, stretch: Stretch = WHOLE, stopped: Callable[[], bool] = lambda: False) -> Iterator[Frame]:
        """The frames of a stretch, once; those before it are decoded, but not made into pictures."""
        return map(self._look, stretch.cut(chain([self._first], self._decoding), stopped))

    def close(self) -> None:
        """Free the file; not while another thread takes frames."""
        self._container.close()
        if not self._told:
            self._tell(stopped=True)

    def _tell(self, *, stopped: bool) -> None:
        self._told = True
        self.warnings += self._damage.warnings(stopped=stopped)
        self.warnings += self._clock.warnings()

    def _codec(self) -> str:
        return self._stream.codec_context.codec.canonical_name

    def _decode(self) -> Iterator[_Decoded]:
        for decoded in chain(self._decoded(self._stream), self._rest()):
            if decoded.pts is not None:
                self._last_pts = decoded.pts if self._last_pts is None else max(self._last_pts, decoded.pts)
            yield self._timed(decoded)
        if not self._mends_breaks:
            self._tell(stopped=False)

    def _decoded(self, stream: VideoStream) -> Iterator[VideoFrame]:
        """All that the decoder gives, in order of presentation."""
        packets = self._container.demux(stream)
        packet: Packet[VideoStream] | None
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                if not self._mends_breaks:
                    self._damage.broke_off(reason(error))
                packet = None  # makes the decoder give what it holds back
            except IndexError:  # PyAV's way to end where streams were added in the middle
                packet = None
            if packet is not None:
                self._damage.saw(packet)
            try:
                yield from stream.decode(packet)
            except av.error.EOFError:
                return
            except av.error.FFmpegError as error:
                self._damage.failed(reason(error))
            if packet is None:
                return

    def _rest(self) -> Iterator[VideoFrame]:
        """Frames at the end of a file that were still inside the decoder when it failed.

        FFmpeg decodes several frames at once, and PyAV stops asking for them at the first error among the last
        ones. They are decoded again from the key frame before, one at a time.
        """
        again = not self.live and os.path.isfile(self._source.location)  # a pipe gives its bytes once
        if not again or self._last_pts is None or self._damage.lost <= 0:
            return
        last_pts = self._last_pts
        try:
            with open_container(self._source) as container:
                stream = container.streams.video[self._container.streams.video.index(self._stream)]
                stream.thread_type = "SLICE"
                container.seek(last_pts, stream=stream)
                for packet in container.demux(stream):
                    for frame in _lenient(stream, packet):
                        if frame.pts is not None and frame.pts > last_pts:
                            yield frame
        except (InputError, av.error.FFmpegError, IndexError):
            return  # what could be had was had

    def _timed(self, decoded: VideoFrame) -> _Decoded:
        seconds = _seconds(decoded)
        if seconds is None and self.live:
            seconds = time.monotonic() - self._opened
        shown = self._clock.next(seconds)
        self._damage.came(decoded, seconds=seconds)
        size = (decoded.width, decoded.height)
        if self._size is None:
            self._orientation = orientation_of(decoded).words()
        elif size != self._size and not self._mends_breaks and not any("changes size" in it for it in self.warnings):
            self.warnings.append(
                f"the picture changes size from {self._size[0]}x{self._size[1]} to {size[0]}x{size[1]} "
                f"at frame {self._count}; frames keep their own sizes"
            )
        self._size = self._size or size
        self._count += 1
        return _Decoded(self._count - 1, shown, decoded)

    def _look(self, decoded: _Decoded) -> Frame:
        try:
            image = self._viewer.look(decoded.frame)
        except (av.error.FFmpegError, ValueError) as error:
            pixels = decoded.frame.format.name
            raise InputError(f"{self._shown}: pixels in {pixels} cannot be shown: {error}") from None
        return Frame(index=decoded.index, pts=decoded.pts, image=image)


def _lenient(stream: VideoStream, packet: Packet[VideoStream]) -> list[VideoFrame]:
    try:
        return stream.decode(packet)
    except av.error.FFmpegError:
        return []


def _seconds(frame: VideoFrame) -> float | None:
    """Presentation time on the clock of the stream; None where the frame has none."""
    if frame.pts is None or not frame.time_base:
        return None
    return frame.pts * frame.time_base.numerator / frame.time_base.denominator
