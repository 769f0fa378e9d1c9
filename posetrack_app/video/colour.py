"""From a decoded frame to what a viewer sees: RGB, upright, square pixels."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from posetrack_app.video.orientation import Orientation, squared

__all__ = ["Viewer", "orientation_of"]

# Values of FFmpeg's AVColorSpace (libavutil/pixfmt.h) by the matrix that swscale is to use.
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_HD_LINES = 720
"""From this height on, a video that does not say so is taken to be BT.709, below it BT.601: the common habit."""


class Viewer:
    """Turns decoded frames into pictures, with one colour conversion each.

    One thread of swscale is the fastest: its pool costs more than it gains (0.3 ms against 0.8 ms at 720p).
    """

    def __init__(self, *, aspect: Fraction | None) -> None:
        """`aspect` is the width of a stored pixel over its height."""
        self._aspect = aspect
        self._reformatter = VideoReformatter()
        self._orientation: Orientation | None = None
        self._rotation: int = 0
        self._inter = False

    def look(self, frame: VideoFrame) -> npt.NDArray[np.uint8]:
        """uint8 (H, W, 3), RGB, contiguous. Matrix and range of colours are as tagged, or as is usual.

        Raises:
            av.error.FFmpegError, ValueError: swscale knows no way from this pixel format.
        """
        rgb = self._reformatter.reformat(
            frame,
            format="rgb24",
            src_colorspace=None if frame.format.is_rgb else _matrix(frame),
            src_color_range=_range(frame),
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        image = np.asarray(rgb.to_ndarray(), dtype=np.uint8)
        size = squared(frame.width, frame.height, self._aspect)
        if size != (frame.width, frame.height):
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        return np.ascontiguousarray(self._lies(frame).apply(image))

    def _lies(self, frame: VideoFrame) -> Orientation:
        """How the frame lies, looked up where it may change: at first, by another angle, and at the start of a group.

        Not for every frame: PyAV's `side_data` ties a frame to itself, so that its memory waits for the garbage
        collector. Dozens of frames do at a time.
        """
        begins = self._inter and bool(frame.key_frame)
        if self._orientation is None or begins or frame.rotation != self._rotation:
            self._orientation, self._rotation = orientation_of(frame), frame.rotation
        self._inter = not frame.key_frame
        return self._orientation


def orientation_of(frame: VideoFrame) -> Orientation:
    """How a frame lies, from the whole display matrix where it is to be had: `frame.rotation` knows no mirrors."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV does not know some kind of side data of this frame, and then shows none of it
        return Orientation.from_degrees(frame.rotation)
    if data is None:
        return Orientation()
    return Orientation.from_matrix(np.frombuffer(data, dtype=np.int32).tolist())  # type: ignore[call-overload]


def _matrix(frame: VideoFrame) -> Colorspace:
    usual = Colorspace.ITU709 if frame.height >= _HD_LINES else Colorspace.ITU601
    return _MATRICES.get(frame.colorspace, usual)


def _range(frame: VideoFrame) -> ColorRange:
    """Full or limited, as tagged; untagged is limited, except where the pixel format is full by its nature."""
    if frame.color_range in (ColorRange.MPEG, ColorRange.JPEG):
        return ColorRange(frame.color_range)
    name = frame.format.name
    full = frame.format.is_rgb or frame.format.has_palette or name.startswith(("yuvj", "gray", "ya", "mono"))
    return ColorRange.JPEG if full else ColorRange.MPEG
