"""The sound of an input in the written video: copied where browsers play it, else encoded anew as AAC.

Packets are read just ahead of the picture, one at a time, so memory does not grow with the length of the sound.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

__all__ = ["AudioError", "AudioTrack"]

_COPIED = ("aac", "mp3", "mp3float", "opus", "libopus", "flac")
"""Names of decoders whose codec both MP4 and browsers take as it is."""

_LARGEST_FALL = 0.5
"""Seconds by which a time may lie before its predecessor's end; more is another clock."""

_LARGEST_GAP = 10.0
"""Seconds of silence that are believed after the end of the picture; more is another clock."""


class AudioError(Exception):
    """The input has no sound that can be read."""


class AudioTrack:
    """The best audio stream of a file, as a stream of `output`.

    Times that are handed in are seconds on the clock of the written video; `shift` is what leads there from the
    clock of the input. Trouble ends the sound with a line in `warnings`; only the constructor raises for it.
    Errors of writing are passed on.
    """

    def __init__(self, path: Path, output: OutputContainer) -> None:
        """Open the file and add a stream to `output`.

        Raises:
            AudioError: There is no sound, or it cannot be read or encoded.
        """
        self.warnings: list[str] = []
        self._name = path.name
        self._broken = 0
        self._end: float | None = None  # of what was written, on the written clock
        try:
            self._input = av.open(str(path.absolute()), metadata_errors="replace")
        except (OSError, ValueError, av.FFmpegError) as error:
            raise AudioError(f"{path.name} cannot be opened: {reason(error)}") from None
        try:
            stream = self._input.streams.best("audio")
            if not isinstance(stream, AudioStream):
                raise AudioError(f"{path.name} holds no sound")
            for other in self._input.streams:
                if other is not stream:
                    other.discard = av.stream.Discard.all
            self._packets = self._input.demux(stream)
            self._seconds = 0.0  # of the packet that waits, on the clock of the input
            self._packet = self._read()
            if self._packet is None:
                raise AudioError(f"{path.name} holds no sound that can be read")
            self.first_seconds = self._seconds
            self._sink: _Sink = _Copy(stream, output) if _can_be_copied(stream) else _Encode(stream, output)
        except (av.FFmpegError, ValueError) as error:
            self.close()
            raise AudioError(f"{path.name} holds sound that cannot be used: {reason(error)}") from None
        except BaseException:
            self.close()
            raise

    def skip(self, until: float) -> None:
        """Leave out what begins before a time, on the clock of the input."""
        while self._packet is not None and self._seconds < until:
            self._seconds += _length_of(self._packet)  # in case that the next packet has no time
            self._packet = self._read()

    def advance(self, until: float, *, shift: float) -> None:
        """Write what begins up to a time."""
        while self._packet is not None and self._seconds + shift <= until:
            self._write(self._packet, self._seconds + shift)

    def finish(self, video_end: float, *, shift: float) -> None:
        """Write all the rest: sound may be longer than the picture."""
        while self._packet is not None:
            gap = self._seconds + shift - max(video_end, self._end or 0.0)
            if gap > _LARGEST_GAP:
                self._stop(f"jumps by {gap:.1f} s, which the picture does not")
            else:
                self._write(self._packet, self._seconds + shift)

    def flush(self) -> None:
        """Write what an encoder still holds; nothing can be added afterwards."""
        self._packet = None
        self._tolerant(self._sink.flush)
        if self._broken:
            self.warnings.append(f"{self._broken} packets of the sound of {self._name} are broken and left out")

    def close(self) -> None:
        """Close the file that is read."""
        self._packet = None
        self._input.close()

    def _write(self, packet: Packet[AudioStream], at: float) -> None:
        if self._end is not None and at < self._end - _LARGEST_FALL:
            self._stop(f"falls back by {self._end - at:.1f} s")
            return
        seconds = _length_of(packet)
        self._tolerant(self._sink.put, packet, at)
        self._end = max(self._end or at, at + seconds)
        self._seconds += seconds  # in case that the next packet has no time
        self._packet = self._read()

    def _tolerant(self, work: Callable[..., None], *arguments: object) -> None:
        """Do a piece of work; a packet that is broken is counted, a file that cannot be written is not swallowed."""
        try:
            work(*arguments)
        except (av.FFmpegError, ValueError) as error:
            if isinstance(error, OSError):
                raise
            self._broken += 1

    def _stop(self, why: str) -> None:
        self.warnings.append(f"the sound ends at {self._end or 0.0:.3f} s: its time {why}")
        self._packet = None

    def _read(self) -> Packet[AudioStream] | None:
        """The next packet, its time in `_seconds`; None at the end."""
        try:
            packet = next((packet for packet in self._packets if packet.size), None)
        except (av.FFmpegError, ValueError) as error:
            self.warnings.append(f"the sound of {self._name} cannot be read to its end: {reason(error)}")
            return None
        if packet is not None:
            ticks = packet.pts if packet.pts is not None else packet.dts
            if ticks is not None:
                self._seconds = float(ticks * packet.time_base)
        return packet


def _length_of(packet: Packet[AudioStream]) -> float:
    """Seconds that a packet lasts; 0 where it does not tell."""
    return float((packet.duration or 0) * (packet.time_base or 0))


class _Sink(Protocol):
    """Where packets of the input go."""

    def put(self, packet: Packet[AudioStream], at: float) -> None:
        """Take a packet that begins `at` seconds."""

    def flush(self) -> None:
        """Write what is held back."""


def _can_be_copied(stream: AudioStream) -> bool:
    """Whether MP4 and browsers take the packets as they are."""
    codec = stream.codec_context
    # MP4 has no MP3 of less than 16 kHz (FFmpeg's muxer refuses it).
    return codec.name in _COPIED and not (codec.name.startswith("mp3") and codec.sample_rate < 16_000)


class _Copy:
    """Packets as they are, at times counted in samples."""

    def __init__(self, stream: AudioStream, output: OutputContainer) -> None:
        self._output = output
        self._stream = output.add_stream_from_template(stream)
        self._rate = stream.codec_context.sample_rate
        self._frame = stream.codec_context.frame_size
        self._last: int | None = None
        self._expected = 0

    def put(self, packet: Packet[AudioStream], at: float) -> None:
        tick = round(at * self._rate)
        near = self._rate // 500
        duration = round((packet.duration or 0) * (packet.time_base or 0) * self._rate)
        if self._frame and (not duration or abs(duration - self._frame) <= near):
            duration = self._frame
        if self._last is not None:
            # Containers that count milliseconds let times jitter; packets that touch are put back to back.
            tick = max(self._expected if abs(tick - self._expected) <= near else tick, self._last + 1)
        self._last, self._expected = tick, tick + duration
        packet.stream = self._stream
        packet.time_base = Fraction(1, self._rate)
        packet.pts = packet.dts = tick
        packet.duration = duration
        self._output.mux(packet)

    def flush(self) -> None:
        pass


class _Encode:
    """Decoded, resampled and encoded as AAC; gaps become silence, what overlaps is cut off."""

    def __init__(self, stream: AudioStream, output: OutputContainer) -> None:
        codec = stream.codec_context
        self._input = stream
        self._output = output
        self._rate = codec.sample_rate if codec.sample_rate in (44_100, 48_000) else 48_000
        self._layout = "mono" if codec.channels == 1 else "stereo"
        channels = 1 if codec.channels == 1 else 2
        self._stream = output.add_stream("aac", rate=self._rate)
        self._stream.codec_context.layout = self._layout
        self._stream.codec_context.bit_rate = 96_000 * channels
        self._resampler = av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate)
        self._waiting = np.zeros((channels, 0), dtype=np.float32)
        self._position: int | None = None  # sample at which `_waiting` begins

    def put(self, packet: Packet[AudioStream], at: float) -> None:
        assert packet.time_base
        packet.pts = packet.dts = round(at / packet.time_base)
        self._decode(packet)

    def flush(self) -> None:
        self._decode(None)
        for frame in self._resampler.resample(None):
            self._feed(frame)
        self._emit(self._waiting.shape[1])
        self._output.mux(self._stream.encode(None))

    def _decode(self, packet: Packet[AudioStream] | None) -> None:
        for frame in self._input.codec_context.decode(packet):
            for resampled in self._resampler.resample(frame):  # a ValueError where the sound changes its form midway
                self._feed(resampled)

    def _feed(self, frame: AudioFrame) -> None:
        samples = frame.to_ndarray().astype(np.float32, copy=False)  # (channels, samples)
        expected = None if self._position is None else self._position + self._waiting.shape[1]
        if frame.pts is not None and frame.time_base:
            start = round(frame.pts * frame.time_base * self._rate)
        else:
            start = expected or 0
        if expected is None:
            self._position = expected = start
        ahead = start - expected
        if abs(ahead) > self._rate // 25:  # 40 ms: below it nobody sees lips and sound apart
            self._silence(max(ahead, 0))
            samples = samples[:, max(-ahead, 0) :]
        self._append(samples)

    def _silence(self, count: int) -> None:
        """In pieces, so that an hour of it needs no memory."""
        while count > 0:
            piece = min(count, self._rate)
            self._append(np.zeros((len(self._waiting), piece), dtype=np.float32))
            count -= piece

    def _append(self, samples: npt.NDArray[np.float32]) -> None:
        self._waiting = np.concatenate([self._waiting, samples], axis=1)
        size = self._stream.codec_context.frame_size or 1024
        while self._waiting.shape[1] >= size:
            self._emit(size)

    def _emit(self, count: int) -> None:
        """Encode the first `count` samples that wait."""
        if not count:
            return
        assert self._position is not None
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(self._waiting[:, :count]), format="fltp", layout=self._layout
        )
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = self._position
        self._waiting = self._waiting[:, count:]
        self._position += count
        self._output.mux(self._stream.encode(frame))


def reason(error: BaseException) -> str:
    """What an error says, in one line, without number and file name.

    >>> reason(FileNotFoundError(2, "No such file or directory", "clip.mp4"))
    'No such file or directory'
    >>> reason(ValueError())
    'ValueError'
    """
    said = getattr(error, "strerror", None) or str(error)
    return " ".join(said.split()) or type(error).__name__
