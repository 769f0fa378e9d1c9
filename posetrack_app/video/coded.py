"""Decoding the bytes of one picture with OpenCV, quietly, and without taking damage for a picture."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["decode_picture", "quiet_opencv"]

_PNG = b"\x89PNG\r\n\x1a\n"


def decode_picture(data: bytes) -> npt.NDArray[np.uint8] | None:
    """uint8 (H, W, 3) RGB of a coded picture, upright as its EXIF data says; transparency is dropped.

    None where it is damaged or no picture: cut-off JPEGs, PNGs with a wrong checksum. A JPEG that is damaged in
    the middle has nothing to know it by and comes as any viewer shows it.
    """
    if not data or (data.startswith(_PNG) and not _png_is_whole(data)):
        return None
    try:
        with quiet_opencv():
            image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None  # more pixels than OpenCV allows, or worse
    return None if image is None else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _png_is_whole(data: bytes) -> bool:
    """Whether all chunks that matter are there with the right checksum (PNG specification, section 5)."""
    at = len(_PNG)
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        end = at + 8 + size
        matters = kind[:1].isupper()
        if matters and zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return False
        if kind == b"IEND":
            return True
        at = end + 4
    return False


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keeps what OpenCV says of damaged pictures and missing cameras from the screen."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
