"""What a browser needs to know of a video file: whether it plays it, and when it shows which frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from posetrack_app.errors import InputError

__all__ = ["Media", "Shown", "look_at", "shown_times"]

Times = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_FILES = {".mp4", ".m4v", ".mov", ".webm"}
_CODECS = {"h264", "vp8", "vp9", "av1"}
_SAME_SECONDS = 2e-3
"""Times that differ by less are the same: some containers count milliseconds."""
_PIXELS = {"yuv420p", "yuvj420p", None}


@dataclass(frozen=True, slots=True, eq=False)
class Media:
    """One video file."""

    path: Path
    """Where it is."""

    times: Times
    """float64: presentation time of each frame in seconds on the clock of the file, ascending."""

    codec: str
    """Name of the codec."""

    plays: bool
    """Whether browsers play it: H.264, VP8, VP9 or AV1 with 4:2:0 colours in MP4, MOV or WebM."""

    size: tuple[int, int]
    """Width and height in pixels as they are stored, not turned; 0, 0 where the file does not tell."""

    aspect: float
    """Width of a stored pixel over its height."""


def look_at(path: Path) -> Media:
    """A file's frames, from its index and packets: nothing is decoded.

    Raises:
        InputError: it cannot be read, or holds no video.
    """
    try:
        with av.open(f"file:{path}", options={"pattern_type": "none"}, metadata_errors="replace") as container:
            stream = next(iter(container.streams.video), None)
            if stream is None:
                raise InputError(f"{path} holds no video")
            shown = [
                packet.pts
                for packet in container.demux(stream)
                if packet.pts is not None and packet.size and not packet.is_discard
            ]
            base = float(stream.time_base) if stream.time_base else 0.0
            codec, pixels = stream.codec_context.name, stream.codec_context.pix_fmt
            size = (stream.codec_context.width, stream.codec_context.height)
            aspect = float(stream.sample_aspect_ratio or 1)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read as a video: {reason}") from None
    codec = {"libdav1d": "av1", "libvpx-vp9": "vp9", "libvpx": "vp8"}.get(codec, codec)
    plays = path.suffix.casefold() in _FILES and codec in _CODECS and pixels in _PIXELS
    return Media(path, np.sort(np.array(shown, dtype=np.float64)) * base, codec, plays, size, aspect)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """When a browser shows the frames of the poses, on its clock of the file."""

    seconds: Times
    """float64 (T,), ascending."""

    around: tuple[float | None, float | None]
    """When the file's frames before the first and after the last of them are shown; None where it has none."""

    sure: bool
    """Whether they are the file's frames for certain."""


def shown_times(media: Media, seconds: Times, *, index: Indices | None = None) -> Shown:
    """When the browser's clock shows each frame of the poses.

    Frames are matched by their order, those of a stretch by their positions. Where the file has others (damaged ones
    give no picture, say), both clocks are taken to run alike from the first frame on; of a stretch, they are taken to
    be the same.

    Args:
        media: The file.
        seconds: (T,) when the table shows its frames.
        index: (T,) positions of its frames in the video, where they are those of a part of it.
    """
    times = media.times
    shown, sure = times, len(times) == len(seconds)
    if not sure and index is not None and index.max(initial=-1) < len(times):
        shown = times[index]
        sure = bool(np.abs(shown - seconds).max(initial=0.0) < _SAME_SECONDS)
    if not sure:
        start = times[0] - seconds[0] if index is None and len(times) and len(seconds) else 0.0
        shown = seconds + start
    moved = min(times.min(initial=0.0), 0.0)  # browsers move what is before zero
    slack = 0.0 if sure else _SAME_SECONDS
    before = times[times < shown.min(initial=np.inf) - slack] - moved
    after = times[times > shown.max(initial=-np.inf) + slack] - moved
    around = (float(before[-1]) if len(before) else None, float(after[0]) if len(after) else None)
    return Shown(shown - moved, around, sure)
