"""Who is who: similarity of tracks and poses, gates, assignment, and who is shown twice within a frame.

Letters: M tracks, N poses, K joints, P pairs of a track and a pose, or of two poses.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from trackers.oks import Array, Mask, body_boxes, box_iou, joint_variance, oks

__all__ = ["Array", "Bodies", "Mask", "Rows", "assign", "duplicates", "overlaid", "similarity"]

Rows = npt.NDArray[np.intp]

MIN_SHARED = 3
"""Joints that two poses must share for OKS to be trusted; below, their boxes are compared."""

BOX_MARGIN = 0.15
"""Part of the body's size by which a box lies outside of the joints."""


class Bodies(NamedTuple):
    """Some people as the mathematics want them."""

    xy: Array
    """(N, K, 2), pixels."""
    found: Mask
    """(N, K): joints that have a position."""
    size: Array
    """(N,): root of the area, pixels, above 0."""
    box: Array
    """(N, 4): left, top, right and bottom of the box around the joints and a margin."""

    @classmethod
    def of(cls, xy: Array, found: Mask, size: Array) -> Bodies:
        """With their boxes."""
        return cls(xy, found, size, body_boxes(xy, found, BOX_MARGIN * size))

    def take(self, rows: Rows | Mask) -> Bodies:
        """Some of them."""
        return Bodies(self.xy[rows], self.found[rows], self.size[rows], self.box[rows])


def similarity(tracks: Bodies, poses: Bodies, sigmas: Array, *, variance: Array, reach: Array) -> Array:
    """How well each pose fits each track, (M, N) in 0..1; 0 where a gate is shut.

    OKS over the joints that both have, with the uncertainty of the prediction added to the variance of the labels: the
    vaguer the prediction, the farther the pose may lie. The area is that of the larger of the two bodies, since
    the other may be seen in part only. The root of the share of joints that are shared is a factor: of a person and a
    fragment of them at the same place, the person fits better. Where few joints are shared, IoU of the boxes.

    Args:
        tracks: M people where they are predicted.
        poses: N people as they are seen.
        sigmas: (K,).
        variance: (M, K), of the predictions, square pixels.
        reach: (M,), how far the mean of the shared joints may lie from where it was predicted, pixels.
    """
    result = np.zeros((len(tracks.xy), len(poses.xy)))
    m, n = _near(tracks.box, poses.box, reach).nonzero()
    if not len(m):
        return result
    shared = tracks.found[m] & poses.found[n]
    size = np.maximum(tracks.size[m], poses.size[n])
    a, b = tracks.xy[m], poses.xy[n]
    value, count = oks(a, b, shared, joint_variance(size, sigmas) + variance[m])
    value *= np.sqrt(count / np.maximum(tracks.found[m].sum(axis=1), poses.found[n].sum(axis=1)))
    moved = np.einsum("pkc,pk->pc", b - a, shared / np.maximum(count, 1)[:, None])
    value[np.hypot(moved[:, 0], moved[:, 1]) > reach[m]] = 0
    few = (count < min(MIN_SHARED, len(sigmas))).nonzero()[0]
    if len(few):
        value[few] = box_iou(tracks.box[m[few]], poses.box[n[few]])
    result[m, n] = value
    return result


def _near(a: Array, b: Array, reach: Array) -> Mask:
    """(M, N): boxes that touch once those of `a` are enlarged by `reach` (M,)."""
    low, high = a[:, :2] - reach[:, None], a[:, 2:] + reach[:, None]
    touch: Mask = (low[:, None] <= b[None, :, 2:]) & (high[:, None] >= b[None, :, :2])
    return touch[..., 0] & touch[..., 1]


def _touching(poses: Bodies) -> tuple[Rows, Rows]:
    """All pairs (stronger, weaker) of N poses, strongest first, whose boxes touch."""
    strong, weak = np.triu(_near(poses.box, poses.box, np.zeros(len(poses.box))), k=1).nonzero()
    return strong, weak


def assign(value: Array, *, minimum: float) -> tuple[Rows, Rows]:
    """Pairs (rows, columns) of the greatest total similarity; none below `minimum` (Hungarian).

    >>> rows, columns = assign(np.array([[0.9, 0.8], [0.7, 0.1]]), minimum=0.3)
    >>> rows.tolist(), columns.tolist()
    ([0, 1], [1, 0])
    """
    value = np.where(value >= minimum, value, 0)
    rows, columns = linear_sum_assignment(value, maximize=True)
    good = value[rows, columns] > 0
    return rows[good], columns[good]


def duplicates(poses: Bodies, sigmas: Array, *, minimum: float) -> Mask:
    """Which of N poses, strongest first, show a person that a stronger one shows already, (N,).

    A pose goes where the OKS of the joints that both have, counted over all joints that the weaker one has, reaches
    `minimum`: a fragment upon a whole person goes, somebody who touches another with one hand stays.
    """
    gone = np.zeros(len(poses.xy), dtype=bool)
    strong, weak = _touching(poses)
    if not len(strong):
        return gone
    shared = poses.found[strong] & poses.found[weak]
    variance = joint_variance(np.maximum(poses.size[strong], poses.size[weak]), sigmas)
    value, count = oks(poses.xy[strong], poses.xy[weak], shared, variance)
    value *= count / np.maximum(poses.found[weak].sum(axis=1), 1)
    for number in np.flatnonzero(value >= minimum):
        gone[weak[number]] |= not gone[strong[number]]
    return gone


def overlaid(poses: Bodies, mirror: Rows, *, width: float) -> Array:
    """How much of each of N poses, strongest first, lies upon stronger ones, (N,) in 0..1.

    What the network sees of somebody a second time is put together from second peaks of their joints, often with left
    and right exchanged. So each joint counts by how near it lies to that joint of a stronger pose, or to the mirrored
    one, whichever is nearer: exp(-d^2 / (2 w^2)) with w = `width` times the body size. The mean over its joints.

    Args:
        poses: N people.
        mirror: (K,), for each joint the one that takes its place in a mirrored picture.
        width: In body sizes.
    """
    covered = np.zeros(poses.found.shape)
    strong, weak = _touching(poses)
    if len(strong) and width > 0:
        tolerance = 2 * (width * np.maximum(poses.size[strong], poses.size[weak])[:, None]) ** 2
        for joints in (np.arange(len(mirror)), mirror):
            there, here = poses.xy[strong][:, joints], poses.xy[weak]
            near = np.exp(-((there - here) ** 2).sum(axis=2) / tolerance)
            np.maximum.at(covered, weak, np.where(poses.found[strong][:, joints], near, 0))
    share: Array = np.where(poses.found, covered, 0).sum(axis=1) / np.maximum(poses.found.sum(axis=1), 1)
    return share
