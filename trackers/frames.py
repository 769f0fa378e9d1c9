"""The poses of a frame: as they come in, and as they go out.

Letters: N persons, K joints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["COASTED", "OBSERVED", "FramePoses", "TrackedFrame"]

OBSERVED, COASTED = 0, 1
"""Values of `TrackedFrame.origin`."""

FAR_PIXELS = 1e7
"""No picture is so large: a joint out there is not found. Far beyond, predictions overflow."""


class FramePoses(NamedTuple):
    """The poses of one frame, clean: what is no finite number, or in no picture, is not found."""

    xy: npt.NDArray[np.float32]
    """float32 (N, K, 2), pixels; 0 where not found."""
    joint_score: npt.NDArray[np.float32]
    """float32 (N, K); 0 where not found."""
    score: npt.NDArray[np.float32]
    """float32 (N,)."""

    @classmethod
    def clean(
        cls,
        xy: npt.NDArray[np.floating],
        joint_score: npt.NDArray[np.floating],
        score: npt.NDArray[np.floating],
        *,
        joints: int,
    ) -> FramePoses:
        """Copies of the right shapes and types.

        Raises:
            ValueError: shapes that do not belong together, or to that number of joints.
        """
        N = len(score)
        if xy.shape != (N, joints, 2) or joint_score.shape != (N, joints) or score.shape != (N,):
            raise ValueError(
                f"{N} poses of {joints} joints must be xy ({N}, {joints}, 2), joint_score ({N}, {joints}) and "
                f"score ({N},), got {xy.shape}, {joint_score.shape} and {score.shape}"
            )
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and not found
            xy, joint_score, score = (part.astype(np.float32) for part in (xy, joint_score, score))
        found = (np.abs(xy) < FAR_PIXELS).all(axis=2) & np.isfinite(joint_score) & (joint_score > 0)
        xy[~found] = 0
        joint_score[~found] = 0
        score[~np.isfinite(score)] = 0
        return cls(xy, joint_score, score)

    def strongest_first(self) -> npt.NDArray[np.intp]:
        """Rows from the strongest to the weakest; among equals by their values: the order of the input has no say."""
        order = np.argsort(-self.score, kind="stable")
        if (np.diff(self.score[order]) < 0).all():
            return order
        keys = np.concatenate([self.joint_score, self.xy.reshape(len(order), -1)], axis=1)
        return np.lexsort((*keys.T, -self.score))


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """The people of one frame: all poses that went in but duplicates, in their order, then coasted ones."""

    index: int
    """As it went in."""

    seconds: float
    """As it went in."""

    xy: npt.NDArray[np.float32]
    """float32 (N, K, 2), pixels; 0 where `joint_score` is 0."""

    joint_score: npt.NDArray[np.float32]
    """float32 (N, K); 0 means not found, which is also what values that are no finite numbers become."""

    score: npt.NDArray[np.float32]
    """float32 (N,)."""

    track_id: npt.NDArray[np.int64]
    """int64 (N,): identity from 0, unique in a frame, never used twice; -1 where no track was confirmed."""

    origin: npt.NDArray[np.uint8]
    """uint8 (N,): 0 observed, 1 coasted."""

    appearance: npt.NDArray[Any] | None = None
    """(N, D), as it went in, 0 for coasted poses; None where there was none."""
