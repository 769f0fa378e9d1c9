"""What is known of an input once its first frame is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

__all__ = ["VideoInfo"]


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Size and nature of an input; of the first frame where frames differ."""

    width: int
    """Pixels of the first frame as it is shown: upright, with square pixels."""

    height: int
    """Pixels of the first frame as it is shown: upright, with square pixels."""

    frames_expected: int | None
    """Frames that the header promises, or an estimate from length and rate; None where nothing is known."""

    average_rate: Fraction | None
    """Frames a second, on average; None where nothing is known."""

    has_audio: bool
    """Whether the file has sound that can be copied. False for pictures, cameras and streams."""

    duration_seconds: float | None
    """Length that the header promises, in seconds; None where nothing is known."""

    codec: str
    """How the pictures are coded, as in `h264` or `png`."""

    pixel_format: str
    """How pixels are stored, in FFmpeg's words, as in `yuv420p10le`; `unknown` for pictures and cameras."""

    orientation: str
    """How stored pictures were turned to be upright, as in `upright` or `turned 90 clockwise`."""

    stream: int = 0
    """Index of the video stream that is read, among all streams of the file.

    Attached pictures (covers) are never read. Of several video streams the one that alone is flagged as
    default is taken, else the one that FFmpeg calls best, else the first."""
