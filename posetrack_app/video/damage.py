"""Counting what is wrong with a video, and saying it in a line each."""

from __future__ import annotations

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

__all__ = ["Damage"]

_SHORT_SECONDS = 0.5
"""Less than this at the end of a video is not called missing: headers round."""


class Damage:
    """Keeps the books of one decoding: packets in, frames out, and what failed between."""

    def __init__(
        self,
        *,
        codec: str,
        expected: int | None,
        end_seconds: float | None,
        step_seconds: float,
        steady: bool,
    ) -> None:
        """Nothing seen yet.

        Args:
            codec: FFmpeg's name of it.
            expected: Frames that header or length promise, if anything does.
            end_seconds: When the header says that the last frame ends, on the clock of the stream.
            step_seconds: Usual time between frames.
            steady: Whether frames of this format come at a steady rate, so that too few of them are a loss.
        """
        self._steady = steady
        self._codec = codec
        self._expected = expected
        self._end = end_seconds
        self._step = step_seconds
        self._packets = 0
        self._marked = 0
        self._frames = 0
        self._failed = 0
        self._mended = 0
        self._first_mended: float | None = None
        self._reached: float | None = None
        self._longest = 0.0
        self._broke: str | None = None
        self.last_error: str | None = None

    def saw(self, packet: Packet[VideoStream]) -> None:
        """A packet goes into the decoder."""
        if packet.size and not packet.is_discard:
            self._packets += 1
            self._marked += packet.is_corrupt

    def failed(self, why: str) -> None:
        """The decoder refused a packet."""
        self._failed += 1
        self.last_error = why

    def broke_off(self, why: str) -> None:
        """The file could not be read any further."""
        self._broke = self.last_error = why

    def came(self, frame: VideoFrame, *, seconds: float | None) -> None:
        """A frame came out, with its time on the clock of the stream."""
        self._frames += 1
        if frame.is_corrupt:
            self._mended += 1
            if self._first_mended is None:
                self._first_mended = seconds
        if seconds is None:
            return
        lasts = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else self._step
        if self._reached is not None:
            self._longest = max(self._longest, seconds - self._reached)
        self._reached = max(seconds if self._reached is None else self._reached, seconds + lasts)

    @property
    def lost(self) -> int:
        """Packets that gave no frame; not all of them were to give one (fields, hidden reference frames)."""
        return self._packets - self._frames

    @property
    def _undecoded(self) -> int:
        """Packets that should have given a frame and did not.

        Interlaced video may come as a packet for each field, and VP8 has packets that are not to be shown.
        """
        plausible = self._codec != "vp8" and self.lost <= self._packets // 3
        return max(self._failed, self.lost if plausible else 0)

    @property
    def _ended_early(self) -> bool:
        if self._end is None or self._reached is None:
            return False
        return self._end - self._reached > max(_SHORT_SECONDS, 2 * self._longest)

    @property
    def _too_few(self) -> bool:
        missing = (self._expected or 0) - self._frames
        if self._undecoded or self._mended:
            return missing > 0
        return self._steady and missing > max(1, self._frames // 200)  # rates of headers are rounded

    def warnings(self, *, stopped: bool = False) -> list[str]:
        """What was wrong, a line each; empty where all is well.

        Args:
            stopped: Reading was stopped in the middle: what did not come, or is still inside the decoder, is not
                missing.
        """
        lines = []
        undecoded = self._failed if stopped else self._undecoded
        of = f"{self._frames} frames came"
        promised = f"{of}, {self._expected} were expected" if self._expected else of
        if self._broke is not None:
            lines.append(f"reading broke off: {promised} ({self._broke})")
        elif self._ended_early and not stopped:
            lines.append(f"the video ends early: {promised}; the file may be cut off")
        elif self._too_few and not stopped:
            lines.append(f"frames are missing: {promised}")
        if undecoded:
            lines.append(f"{undecoded} of {self._packets} packets could not be decoded and gave no frame")
        if self._mended:
            at = "" if self._first_mended is None else f", the first at {self._first_mended:.2f} s"
            lines.append(f"{self._mended} of {self._frames} frames are damaged{at}; the decoder patched them")
        elif self._marked > undecoded:
            lines.append(f"{self._marked} of {self._packets} packets are damaged, or follow a break in the stream")
        return lines
