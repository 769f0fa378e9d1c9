"""Opening files and streams with FFmpeg: what is in them, and which of it is the film."""

from __future__ import annotations

import difflib
import glob
import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container.input import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from posetrack_app.errors import InputError
from posetrack_app.video.source import Source

__all__ = ["Length", "choose_stream", "is_live", "length", "may_break", "open_container", "rate_of", "reason"]

_ANSWER_SECONDS = 10.0
"""How long a stream may be silent, at the start and between packets."""

_OF_FILES = ("http", "https", "ftp", "sftp", "smb", "file")
"""Protocols that give files as well as streams; the former have a length."""

# Flags of formats, from libavformat/avformat.h: AVFMT_TS_DISCONT, AVFMT_NOTIMESTAMPS.
_BREAKING_CLOCK = 0x0200
_NO_TIMES = 0x0080

_NOT_A_FILM = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def open_container(source: Source) -> InputContainer:
    """The opened file or stream.

    Raises:
        InputError: It is missing, empty, forbidden, silent, or no format that FFmpeg knows.
    """
    location = source.location
    if source.kind == "stream":
        try:
            return av.open(location, timeout=(_ANSWER_SECONDS, _ANSWER_SECONDS), options=_options(location))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise InputError(f"cannot open the stream {source.shown}: {reason(error)}") from None
    _check_file(location)
    try:
        # `file:` and `pattern_type` keep FFmpeg from reading colons and percent signs of a name as more than that.
        return av.open(f"file:{location}", options={"pattern_type": "none"}, metadata_errors="replace")
    except av.error.InvalidDataError:
        raise InputError(f"{location} is not a video, or its header is missing or damaged (cut off?)") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"cannot read {location}: {reason(error)}") from None


def _options(address: str) -> dict[str, str]:
    """What FFmpeg is told beside the address.

    - Half a second of a stream tells what is in it: MPEG-TS, which may begin a new stream at any time, would be watched
      for seven.
    - RTSP over TCP: over UDP, packets that are lost on the way become grey smears.
    - UDP that comes too quickly loses packets, and does not end.
    """
    options = {"analyzeduration": "500000"}
    scheme = address.partition(":")[0].lower()
    if scheme.startswith("rtsp"):
        options["rtsp_transport"] = "tcp"
    if scheme == "udp":
        options["overrun_nonfatal"] = "1"
    return options


def is_live(container: InputContainer, source: Source) -> bool:
    """Whether frames come when they are made: any stream, but for files that are read over the network."""
    if source.kind != "stream":
        return False
    return source.location.partition(":")[0].lower() not in _OF_FILES or not container.duration


def _check_file(location: str) -> None:
    """Refuse what cannot be read, in words that say more than FFmpeg's."""
    path = Path(location)
    if not os.path.exists(location):
        if glob.has_magic(location):
            raise InputError(f"no file matches the pattern '{location}'")
        raise InputError(f"{location} does not exist{_neighbour(path)}")
    if path.is_dir():
        raise InputError(f"{location} is a folder, not a video")
    if not os.access(path, os.R_OK):
        raise InputError(f"cannot read {location}: permission denied")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{location} is empty (0 bytes)")


def _neighbour(path: Path) -> str:
    """A hint with the file of the same folder that has the most similar name."""
    try:
        names = [other.name for other in path.parent.iterdir()]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.8)
    return f"; did you mean '{path.parent / close[0]}'?" if close else ""


def reason(error: Exception) -> str:
    """Why FFmpeg failed, in its own words and without its number."""
    if isinstance(error, av.error.ExitError):
        return f"no data within {_ANSWER_SECONDS:.0f} s"
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def choose_stream(container: InputContainer, location: str) -> VideoStream:
    """The film of a file: see `VideoInfo.stream` for the rule.

    Raises:
        InputError: There is none, or nothing here can decode it.
    """
    films = [stream for stream in container.streams.video if not stream.disposition & _NOT_A_FILM]
    if not films:
        films = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    known = [stream for stream in films if stream.codec_context is not None]
    if not known:
        what = ", ".join(sorted({str(stream.type) for stream in container.streams})) or "nothing"
        if films:
            raise InputError(f"{location} holds a video stream of a kind that FFmpeg cannot decode")
        cover = ", and a cover picture," if container.streams.video else ""
        raise InputError(f"{location} holds no film: only {what.replace(', video', '')}{cover} was found in it")
    flagged = [stream for stream in known if stream.disposition & Disposition.default]
    if len(flagged) == 1:
        return flagged[0]
    best = container.streams.best("video")
    return next((stream for stream in known if best is not None and stream.index == best.index), known[0])


def may_break(container: InputContainer, source: Source) -> bool:
    """Whether the clock of this format may start anew in the middle."""
    return source.kind == "stream" or _has(container, _BREAKING_CLOCK)


def _has(container: InputContainer, flag: int) -> bool:
    return bool(container.format.flags & flag)


def rate_of(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Frames a second on average; where the format has no times, those that the stream's own header tells."""
    if _has(container, _NO_TIMES) or not stream.average_rate:
        return stream.guessed_rate or stream.average_rate or None
    return stream.average_rate


@dataclass(frozen=True, slots=True)
class Length:
    """How long a film claims to be."""

    seconds: float | None
    """From its first frame to the end of its last; None where unknown."""

    end: float | None
    """Time of the end of its last frame on the clock of the stream; None where the header does not say."""

    frames: int | None
    """Number of frames: as the header says, or an estimate; None where unknown."""


def length(container: InputContainer, stream: VideoStream) -> Length:
    """What header and rate tell of the length; estimates that the size of the file contradicts count as unknown."""
    tick = stream.time_base or Fraction(1, av.time_base)
    start = float((stream.start_time or 0) * tick)
    seconds = end = None
    if stream.duration:
        seconds = float(stream.duration * tick)
        end = start + seconds
    elif tag := stream.metadata.get("DURATION"):  # Matroska: time of the end
        end = _clock_seconds(tag)
    elif container.duration and len(container.streams) == 1:
        end = container.duration / av.time_base + (0.0 if "matroska" in container.format.name else start)
    if seconds is None and end is not None:
        seconds = end - start
    if seconds is not None and seconds <= 0:
        seconds = end = None
    rate = rate_of(container, stream)
    frames = stream.frames or (round(seconds * rate) if seconds and rate else None)
    if frames and not stream.frames and 0 < container.size < frames * _least_bytes(container):
        return Length(None, None, None)
    return Length(seconds, None if _has(container, _BREAKING_CLOCK) else end, frames)


def _least_bytes(container: InputContainer) -> int:
    """Fewer bytes than that no frame takes, with its packet header."""
    return 188 if container.format.name == "mpegts" else 24


def _clock_seconds(text: str) -> float | None:
    """Seconds of `HH:MM:SS.fraction`."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", text.strip())
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else None
