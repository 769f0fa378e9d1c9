"""What all kinds of sources have in common: frames, one after the other, taken by one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from posetrack_app.types import Frame
from posetrack_app.video.camera import Camera
from posetrack_app.video.film import Film
from posetrack_app.video.info import VideoInfo
from posetrack_app.video.pictures import Pictures
from posetrack_app.video.source import Source
from posetrack_app.video.stretch import WHOLE, Stretch

__all__ = ["Decoder", "open_decoder"]


class Decoder(Protocol):
    """A source that is open, its first frame decoded."""

    info: VideoInfo
    """What is known of it."""

    warnings: list[str]
    """What is wrong with it; complete when the last frame was taken."""

    live: bool
    """Whether frames come when they are made, and not when they are asked for: cameras, streams without an end."""

    in_bursts: bool
    """Whether frames of a live source come many at once, as segments of HLS do."""

    def frames(self, stretch: Stretch = WHOLE, stopped: Callable[[], bool] = lambda: False) -> Iterator[Frame]:
        """The frames of a stretch, once, until they are stopped; numbered from the first frame of the source."""

    def close(self) -> None:
        """Free the source; not while another thread takes frames."""


def open_decoder(source: Source, *, image_rate: float = 25.0, mends_breaks: bool = False) -> Decoder:
    """Open a source of any kind.

    Args:
        source: What to open.
        image_rate: Pictures a second that a sequence of pictures is taken to have.
        mends_breaks: The reader takes up a live source again where it breaks, scales frames that change their size,
            and tells of both.

    Raises:
        InputError: It cannot be read, or holds no frame.
    """
    if source.kind == "images":
        return Pictures(source, rate=image_rate)
    if source.kind == "camera":
        return Camera(source)
    return Film(source, mends_breaks=mends_breaks)
