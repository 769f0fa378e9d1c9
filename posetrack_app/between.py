"""People in frames that the network did not see, from the frames around them.

Letters: N persons, K joints.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np

from posetrack_app.types import Origin, Poses
from trackers.frames import TrackedFrame

__all__ = ["Between", "as_seen", "between", "part_of"]

Item = TypeVar("Item")


class Between(Generic[Item]):
    """All frames of a video in order, where the tracker saw only some and answers late."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, float, Item]] = deque()
        self._last: tuple[float, Poses] | None = None

    def wait(self, index: int, seconds: float, item: Item) -> None:
        """A frame, seen by the tracker or not; the tracker must see the first and the last of each shot."""
        self._waiting.append((index, seconds, item))

    def finished(self, done: Iterable[TrackedFrame]) -> Iterator[tuple[Item, Poses]]:
        """The frames up to those that the tracker has done, with their people: in between, on straight lines."""
        for tracked in done:
            unseen = []
            while (waiting := self._waiting.popleft())[0] != tracked.index:
                unseen.append(waiting)
            poses = _poses_of(tracked)
            for _, seconds, item in unseen:
                assert self._last is not None, "the tracker sees the first frame"
                part = part_of(seconds, before=self._last[0], after=tracked.seconds)
                yield item, between(self._last[1], poses, part)
            self._last = tracked.seconds, poses
            yield waiting[2], poses


def part_of(seconds: float, *, before: float, after: float) -> float:
    """Where a time lies between two others, 0 to 1.

    >>> part_of(2.5, before=2.0, after=4.0)
    0.25
    """
    step = after - before
    return min(max((seconds - before) / step, 0.0), 1.0) if step > 0 else 0.5


def between(before: Poses, after: Poses, part: float) -> Poses:
    """Who is in both of two frames, on the straight line from one to the other.

    Only people with an identity are there, only joints that both frames have, and scores are the lower ones: nobody
    is surer in between than where they were seen.

    Args:
        before: People of the earlier frame.
        after: People of the later frame.
        part: Where to look, 0 (before) to 1 (after).
    """
    both, a, b = np.intersect1d(before.track_id, after.track_id, assume_unique=False, return_indices=True)
    a, b = a[both >= 0], b[both >= 0]
    found = (before.joint_score[a] > 0) & (after.joint_score[b] > 0)  # (N, K)
    start, end = before.xy[a].astype(np.float64), after.xy[b].astype(np.float64)
    xy = np.where(found[..., None], start + part * (end - start), 0)
    return Poses(
        xy=xy.astype(np.float32),
        joint_score=np.where(found, np.minimum(before.joint_score[a], after.joint_score[b]), np.float32(0)),
        score=np.minimum(before.score[a], after.score[b]),
        track_id=before.track_id[a],
        origin=np.full(len(a), Origin.INTERPOLATED, dtype=np.uint8),
    )


def as_seen(poses: Poses) -> Poses:
    """Interpolated people as if they were seen: where every other frame has them, a fainter drawing would flicker."""
    seen = np.where(poses.origin == Origin.INTERPOLATED, Origin.OBSERVED, poses.origin).astype(np.uint8)
    return replace(poses, origin=seen)


def _poses_of(frame: TrackedFrame) -> Poses:
    """The people of a frame that the tracker saw."""
    return Poses(
        xy=frame.xy,
        joint_score=frame.joint_score,
        score=frame.score,
        track_id=frame.track_id,
        origin=frame.origin,
        appearance=frame.appearance,
    )
