"""Labelled photos, whatever file they were described in.

Letters: N persons, K joints, R regions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["LabelledPhoto"]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPhoto:
    """A photo, its people, and the parts of it of which nothing is known."""

    path: Path
    """The picture."""

    width: int
    """Pixels."""

    height: int
    """Pixels."""

    source: str
    """Where it comes from, for shares and reports; empty where the file does not say."""

    xy: npt.NDArray[np.float32]
    """float32 (N, K, 2): pixels of the photo; (0, 0) is the centre of the top left pixel."""

    labelled: npt.NDArray[np.bool_]
    """bool (N, K): the place is known."""

    area: npt.NDArray[np.float32]
    """float32 (N,): the person's area, pixels squared; 0 where it is not known."""

    boxes: npt.NDArray[np.float32]
    """float32 (R, 4): left, top, right, bottom, pixels; nothing is known inside."""

    box_joints: npt.NDArray[np.bool_]
    """bool (R, K): the joints of which nothing is known inside the box; a crowd has all of them."""

    discs: npt.NDArray[np.float32]
    """float32 (R', 3): x, y and radius, pixels, around labels that are not trusted."""

    disc_joints: npt.NDArray[np.bool_]
    """bool (R', K): the joints that the disc is about."""

    beyond: int = 0
    """Joints that the file labels at places outside of the photo; they are not among `labelled`."""
