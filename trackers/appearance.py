"""What people look like: a gallery of unit vectors for each track, and how alike a pose is to what is in it.

Letters: N poses, M tracks, D numbers that tell what somebody looks like.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Gallery", "clearly", "directions", "likeness"]

Array = npt.NDArray[np.float64]

PICTURES = 10
"""Views of a person that are kept; the oldest goes."""

SECONDS_BETWEEN = 0.2
"""Views nearer in time than this are the same view."""

AHEAD = 0.05
"""By so much the best likeness must be above the second best."""


def directions(appearance: npt.NDArray[np.floating] | npt.NDArray[np.uint8], *, persons: int) -> Array:
    """(N, D), each row of length 1; rows of zeros, or with what is no finite number, are 0 and tell nothing.

    >>> directions(np.array([[3.0, 4.0], [0.0, 0.0]]), persons=2)
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    if appearance.ndim != 2 or len(appearance) != persons:
        raise ValueError(f"appearance of {persons} poses must be ({persons}, D), got {appearance.shape}")
    looks = np.where(np.isfinite(appearance).all(axis=1, keepdims=True), appearance, 0).astype(np.float64)
    length = np.linalg.norm(looks, axis=1, keepdims=True)
    result: Array = np.divide(looks, length, out=np.zeros_like(looks), where=length > 0)
    return result


@dataclass(slots=True, eq=False)
class Gallery:
    """Views of one person."""

    views: deque[Array] = field(default_factory=lambda: deque(maxlen=PICTURES))
    """(D,) each, of length 1."""
    last_seconds: float = -np.inf

    def __len__(self) -> int:
        return len(self.views)

    def add(self, look: Array, seconds: float) -> None:
        """Take in a view, if it tells anything and the last one is old enough."""
        if seconds - self.last_seconds >= SECONDS_BETWEEN and look.any():
            self.views.append(look)
            self.last_seconds = seconds


def likeness(galleries: Sequence[Gallery], looks: Array) -> Array:
    """Cosine of the angle between each pose and the nearest view of each track, (M, N); NaN where there is none."""
    result = np.full((len(galleries), len(looks)), np.nan)
    known = looks.any(axis=1)
    for row, gallery in enumerate(galleries):
        if len(gallery):
            result[row, known] = (np.array(gallery.views) @ looks[known].T).max(axis=0)
    return result


def clearly(like: Array) -> Array:
    """The same, (M, N), with 0 where it is unknown, or where another track or another pose comes near to it.

    >>> clearly(np.array([[0.9, 0.2], [0.3, 0.88], [0.1, 0.86]]))
    array([[0.9, 0. ],
           [0. , 0. ],
           [0. , 0. ]])
    """
    like = np.nan_to_num(like, nan=0.0)
    clear = like > 0
    for axis in range(2):
        if like.shape[axis] > 1:
            second, best = np.split(np.sort(like, axis=axis).take([-2, -1], axis=axis), 2, axis=axis)
            clear &= (like == best) & (best - second >= AHEAD)
    return np.where(clear, like, 0)
