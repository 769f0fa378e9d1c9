"""From files to pixels that lie one after another in one tensor, in several sizes.

Letters: P photos, L levels: the photo, half its size, a quarter, ...
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor

from posetrack_app.errors import InputError
from posetrack_app.formats.photos import stored_pixels
from posetrack_app.training.photos import LabelledPhoto

__all__ = ["Pixels", "decode_photo", "layout", "level_sizes"]


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """The pixels of some photos, on the device."""

    flat: Tensor
    """int32 (total,): red + 256 green + 65536 blue; one number is gathered in less time than three."""

    start: npt.NDArray[np.int64]
    """int64 (P, L): where a level of a photo begins in `flat`."""

    size: npt.NDArray[np.int64]
    """int64 (P, L, 2): its width and height."""


def level_sizes(photo_size: npt.NDArray[np.int64], *, max_side: int, levels: int) -> npt.NDArray[np.int64]:
    """int64 (P, L, 2): width and height of the levels of photos, of which the first has sides of at most `max_side`.

    >>> level_sizes(np.array([[640, 427], [100, 75]]), max_side=320, levels=2).tolist()
    [[[320, 214], [160, 107]], [[100, 75], [50, 38]]]
    """
    scale = np.minimum(1, max_side / photo_size.max(axis=1, keepdims=True, initial=1))
    first = np.maximum(1, np.round(photo_size * scale)).astype(np.int64)
    return np.stack([-(-first // 2**level) for level in range(levels)], axis=1)


def layout(size: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """Where the levels of sizes (P, L, 2) begin when they lie one after another (P, L), and where the last ends."""
    pixels = size.prod(axis=2)
    ends = pixels.cumsum().reshape(pixels.shape)
    return ends - pixels, int(pixels.sum())


def decode_photo(photo: LabelledPhoto, sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """int32 (total,): the levels of a photo of `sizes` (L, 2), one after another.

    Pixels are taken as they are stored, which is what annotations count in, whatever EXIF says of up.

    Raises:
        InputError: no such file, no picture, or of another size than the annotations say.
    """
    image = _decode(photo)
    height, width = image.shape[:2]
    if (width, height) != (photo.width, photo.height):
        said = f"{photo.width} x {photo.height}"
        raise InputError(f"photo {photo.path} is {width} x {height} pixels, its annotations say {said}")
    parts = []
    for w, h in sizes.tolist():
        if (w, h) != (image.shape[1], image.shape[0]):
            image = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        packed = image.astype(np.int32)
        parts.append((packed[..., 2] | packed[..., 1] << 8 | packed[..., 0] << 16).ravel())
    return np.concatenate(parts)


def _decode(photo: LabelledPhoto) -> npt.NDArray[np.uint8]:
    """(H, W, 3), BGR."""
    try:
        image = stored_pixels(photo.path)
    except OSError as error:
        raise InputError(f"photo {photo.path} cannot be read: {error.strerror or error}") from None
    if image is None:
        raise InputError(f"photo {photo.path} cannot be read as a picture")
    return image
