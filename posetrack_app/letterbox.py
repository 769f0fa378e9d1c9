"""How a frame is laid into the network's input, and the way back to the frame.

Letters: H W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["STRIDE", "Letterbox"]

STRIDE = 4
"""Pixels of the network's input for each cell of its maps."""

_PADDING = 127


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a frame is laid into the network's input: scaled, at the top left, padded at the right and the bottom."""

    frame: tuple[int, int]
    """Width and height of the frame, pixels."""

    scaled: tuple[int, int]
    """Width and height of the scaled frame, pixels."""

    canvas: tuple[int, int]
    """Width and height of the network's input, pixels."""

    @classmethod
    def fit(cls, width: int, height: int, *, short_side: int, max_long_side: int, multiple: int) -> Letterbox:
        """Scale the short side to `short_side`, or less where the long side would exceed `max_long_side`."""
        scale = min(short_side / min(width, height), max_long_side / max(width, height))
        scaled = (max(1, round(width * scale)), max(1, round(height * scale)))
        canvas = (-(-scaled[0] // multiple) * multiple, -(-scaled[1] // multiple) * multiple)
        return cls(frame=(width, height), scaled=scaled, canvas=canvas)

    @property
    def cells(self) -> tuple[int, int]:
        """Width and height in cells of the part of the maps that shows the frame."""
        return -(-self.scaled[0] // STRIDE), -(-self.scaled[1] // STRIDE)

    def draw(self, image: npt.NDArray[np.uint8], canvas: npt.NDArray[np.uint8]) -> None:
        """Lay an image (H, W, 3) into a canvas of this size."""
        width, height = self.scaled
        canvas[:height, :width] = _resized(image, self.scaled)
        canvas[height:] = _PADDING
        canvas[:height, width:] = _PADDING

    def to_frame(self, xy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """From cells of the maps (..., 2) to pixels of the frame; both count from the centre of the first."""
        scale = np.divide(self.frame, self.scaled, dtype=np.float64)
        pixels: npt.NDArray[np.float32] = ((xy + 0.5) * STRIDE * scale - 0.5).astype(np.float32)
        return pixels


def _resized(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """An image (H, W, 3) at another width and height.

    A smaller one is of means over what each pixel covers. Over whole blocks of pixels that is many times faster than
    over fractions of them; what is left of the way is interpolated, where blocks of some size fill the image.
    """
    height, width = image.shape[:2]
    ratio = min(width / size[0], height / size[1])
    blocks = [n for n in range(2, int(ratio) + 1) if 2 * n > ratio and width % n == 0 and height % n == 0]
    if blocks:
        # Between two pixels at any place, interpolation leaves 2/3 of the noise, as the mean over 1.5 of them does.
        n = min(blocks, key=lambda n: abs(1.5 * n - ratio))
        image = np.asarray(cv2.resize(image, (width // n, height // n), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    how = cv2.INTER_AREA if ratio > 1 and not blocks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), dtype=np.uint8)
