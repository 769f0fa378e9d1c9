"""Which H.264 encoder: the processor's libx264, or one of a graphics card where it works."""

from __future__ import annotations

import io
from fractions import Fraction
from functools import cache
from typing import Literal, cast

import av
import numpy as np
from av.video.stream import VideoStream

from posetrack_app.errors import OutputError

__all__ = ["HARDWARE", "EncoderName", "chosen_encoder", "encoder_options"]

EncoderName = Literal["auto", "libx264", "h264_nvenc", "h264_qsv", "h264_amf", "h264_videotoolbox"]

HARDWARE: tuple[EncoderName, ...] = ("h264_nvenc", "h264_videotoolbox", "h264_qsv", "h264_amf")
"""Encoders of graphics cards that take pictures from memory, in the order in which `auto` tries them."""

_TRIED_SIZE = (256, 256)
"""Smaller pictures are refused by some cards."""
_TRIED_FRAMES = 4


def chosen_encoder(name: EncoderName, width: int, height: int) -> str:
    """The encoder itself; `auto` takes the first that encodes a few pictures here, and libx264 for tiny ones.

    Raises:
        OutputError: the encoder that was asked for does not work here.
    """
    if name == "auto":
        large = width >= _TRIED_SIZE[0] and height >= _TRIED_SIZE[1]
        return next((hardware for hardware in HARDWARE if large and works(hardware)), "libx264")
    if name != "libx264" and not works(name):
        raise OutputError(f"the encoder {name} does not work here; --encoder auto takes one that does")
    return name


@cache
def works(name: str) -> bool:
    """Whether an encoder writes a few pictures that can be read again: that a build has it says nothing of the card."""
    file = io.BytesIO()
    try:
        with av.open(file, mode="w", format="mp4") as output:
            stream = cast(VideoStream, output.add_stream(name, rate=Fraction(25), options=encoder_options(name, 21)))
            stream.width, stream.height = _TRIED_SIZE
            stream.pix_fmt = "yuv420p"
            image = np.full((*_TRIED_SIZE[::-1], 3), 90, dtype=np.uint8)
            for _ in range(_TRIED_FRAMES):
                output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            output.mux(stream.encode(None))
        with av.open(io.BytesIO(file.getvalue()), mode="r") as written:
            return len(list(written.decode(video=0))) == _TRIED_FRAMES
    except (av.FFmpegError, ValueError, OSError):
        return False


def encoder_options(name: str, quality: int) -> dict[str, str]:
    """FFmpeg's options for constant quality, as far as an encoder has it, and no B-frames.

    Without B-frames the file is a fifth larger and takes a fifth less time to make; a packet is shown when it is
    decoded, so times of any spacing need no delay and no edit list.
    """
    if name == "h264_nvenc":
        return {"preset": "p4", "rc": "vbr", "cq": str(quality), "b": "0", "bf": "0"}
    if name == "h264_qsv":
        return {"preset": "veryfast", "global_quality": str(max(1, quality)), "bf": "0"}
    if name == "h264_amf":
        return {"rc": "cqp", "qp_i": str(quality), "qp_p": str(quality), "bf": "0"}
    if name == "h264_videotoolbox":  # a quality from 1 to 100, in FFmpeg's units of 118
        return {"flags": "+qscale", "global_quality": str(118 * max(1, round(100 - 1.6 * quality))), "bf": "0"}
    return {"preset": "veryfast", "crf": str(quality), "bf": "0"}
