"""What drawing needs to know of the people in a frame: what is seen of them, how large they are, where the head is.

Letters: N persons, K joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.skeleton import Skeleton
from posetrack_app.render.heads import HeadModel
from posetrack_app.types import Origin, Poses

__all__ = ["People", "PeopleModel"]

_TOLD = 0.2
"""Share of the score of a person's surest joint from which another one tells of where they are."""

_SOME_LIMBS = 4
"""Of a person with so many limbs, the head has a radius of one thigh at most: that of a small child has 2/3 of it."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class People:
    """The people of one frame, from the farthest (smallest) to the nearest."""

    xy: Floats
    """float64 (N, K, 2): x, y in pixels; 0 where not found."""

    joint_score: Floats
    """float64 (N, K): 0 where not found or without a finite place."""

    seen: Bools
    """(N, K): joints that are drawn."""

    score: Floats
    """float64 (N,)."""

    track_id: npt.NDArray[np.int64]
    """(N,): -1 = none."""

    observed: Bools
    """(N,): seen in this very frame, not predicted or filled in."""

    scale: Floats
    """float64 (N,): about the length of a thigh in pixels."""

    head: Floats
    """float64 (N, 3): x, y, radius of a circle around the head, in pixels; radius 0 where nothing tells."""

    box: Floats
    """float64 (N, 4): x0, y0, x1, y1 around what is drawn and the head, in pixels; zeros where nothing is drawn."""

    def __len__(self) -> int:
        return len(self.score)


class PeopleModel:
    """Measures the people of a skeleton."""

    def __init__(self, skeleton: Skeleton, *, min_joint_score: float) -> None:
        self._heads = HeadModel(skeleton)
        self._min_joint_score = min_joint_score
        limbs = np.array(skeleton.limbs, dtype=np.intp).reshape(-1, 2)
        # A limb between two marks of the face tells little of the size of the body.
        sigmas = np.array(skeleton.sigmas)
        self._limbs = limbs[(sigmas[limbs] > 0.05).any(axis=1)]

    def measure(self, poses: Poses, *, width: int, height: int) -> People:
        """The people of a frame of this size, sorted."""
        xy = poses.xy.astype(np.float64)
        found = (poses.joint_score > 0) & np.isfinite(xy).all(axis=2)
        xy[~found] = 0
        joint_score = np.where(found, poses.joint_score, 0).astype(np.float64)
        seen = found & (joint_score >= self._min_joint_score)
        # Faces are hidden whatever is drawn. But joints that are weak beside the others of their person are guesses,
        # as those beyond the border are, and a joint far outside the picture is a mistake: heads and boxes stay as
        # they are without those.
        told = found & (joint_score >= _TOLD * joint_score.max(axis=1, keepdims=True, initial=0))
        near = told & (np.abs(xy - [width / 2, height / 2]) < [1.5 * width + 8, 1.5 * height + 8]).all(axis=2)
        scale, limbs = _scale(xy, told, self._limbs)
        limit = np.where(limbs >= _SOME_LIMBS, scale, np.inf).clip(max=max(width, height) / 2)
        head = self._heads.locate(xy, np.where(near, joint_score, 0), scale, limit=limit)
        order = np.lexsort((xy[:, :, 1].sum(axis=1), xy[:, :, 0].sum(axis=1), poses.track_id, scale))
        return People(
            xy=xy[order],
            joint_score=joint_score[order],
            seen=seen[order],
            score=np.nan_to_num(poses.score.astype(np.float64))[order],
            track_id=poses.track_id[order],
            observed=poses.origin[order] == Origin.OBSERVED,
            scale=scale[order],
            head=head[order],
            box=_boxes(xy, seen & told, head)[order],
        )


def _scale(xy: Floats, found: Bools, limbs: npt.NDArray[np.intp]) -> tuple[Floats, npt.NDArray[np.intp]]:
    """(N,): median length of the limbs, which a few misplaced joints do not move; without limbs, from the extent.

    And (N,), how many limbs there are.
    """
    scale, count = 0.4 * _extent(xy, found), np.zeros(len(xy), dtype=np.intp)
    if len(limbs) and len(xy):
        both = found[:, limbs].all(axis=2)
        along = xy[:, limbs[:, 0]] - xy[:, limbs[:, 1]]
        length = np.where(both, np.hypot(along[..., 0], along[..., 1]), np.inf)
        count = both.sum(axis=1)
        median = np.take_along_axis(np.sort(length, axis=1), (count // 2)[:, None], axis=1)[:, 0]
        scale = np.where(count > 0, median, scale)
    return scale, count


def _extent(xy: Floats, seen: Bools) -> Floats:
    """(N,): diagonal of the box around the joints."""
    low, high = _bounds(xy, seen)
    return np.where(seen.any(axis=1), np.hypot(*(high - low).T), 0.0)


def _bounds(xy: Floats, seen: Bools) -> tuple[Floats, Floats]:
    """(N, 2) twice: smallest and largest coordinates, 0 where nothing is seen."""
    nobody = ~seen.any(axis=1, keepdims=True)
    low = np.where(seen[..., None], xy, np.inf).min(axis=1, initial=np.inf)
    high = np.where(seen[..., None], xy, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(nobody, 0.0, low), np.where(nobody, 0.0, high)


def _boxes(xy: Floats, seen: Bools, head: Floats) -> Floats:
    """(N, 4): x0, y0, x1, y1 around the joints that are drawn, and the head."""
    low, high = _bounds(xy, seen)
    centre, radius = head[:, :2], 0.85 * head[:, 2:]
    with_head = seen.any(axis=1, keepdims=True) & (radius > 0)
    low = np.where(with_head, np.minimum(low, centre - radius), low)
    high = np.where(with_head, np.maximum(high, centre + radius), high)
    return np.concatenate([low, high], axis=1)
