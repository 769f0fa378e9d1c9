"""Tracked people against exact truth, as the drawn sample has it: joints, people, identities.

Joints are judged by PCKh as in PoseTrack: right within half a head size, which is 0.6 times the diagonal of the head's
box. People are paired frame by frame as in CLEAR MOT (Bernardin and Stiefelhagen 2008): a pair of the frame before
stays while it is near enough, the rest are paired at the least total distance.

Letters: N true persons, M tracked persons, K joints, T frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from posetrack_app.evaluation.annotated import head_sizes
from posetrack_app.formats.annotations import JOINTS
from posetrack_app.formats.posetrack2018 import LabelledFrame

__all__ = ["TruthReport", "compare", "distances", "match"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

RIGHT = 0.5
"""Head sizes within which a joint is right."""

NEAR = 1.0
"""Head sizes, in the mean over joints, within which a tracked person may be a true one."""

FEWEST_JOINTS = 3
"""So many joints must be visible for a person to be demanded, and shared for two people to be paired."""


@dataclass(frozen=True)
class TruthReport:
    """What came out of a comparison; counts of all frames together."""

    frames: int
    """T."""

    people: int
    """True persons to be found: those with three visible joints, counted in every frame."""

    found: int
    """How many of them were paired with a tracked person."""

    false_people: int
    """Tracked persons that are nobody, not even somebody hidden, counted in every frame."""

    switches: int
    """How often a true person's identity changed."""

    joints: dict[str, int]
    """By joint: visible ones of the people who were found."""

    right: dict[str, int]
    """By joint: how many of those are right."""

    @property
    def recall(self) -> float:
        """Share of people who were found, 0..1; NaN without people."""
        return self.found / self.people if self.people else float("nan")

    @property
    def pck(self) -> float:
        """Share of visible joints of found people that are right, 0..1; NaN without joints."""
        joints = sum(self.joints.values())
        return sum(self.right.values()) / joints if joints else float("nan")

    def pck_of(self, joint: str) -> float:
        """The same of one joint."""
        return self.right[joint] / self.joints[joint] if self.joints[joint] else float("nan")


def distances(true_xy: Floats, xy: Floats, sizes: Floats) -> Floats:
    """(N, M, K): how far each joint of each tracked person (M, K, 2) is from that of each true one (N, K, 2).

    In head sizes (N,).
    """
    between = true_xy[:, None] - xy[None]
    away: Floats = np.hypot(between[..., 0], between[..., 1]) / sizes[:, None, None]
    return away


def match(
    distance: Floats, shared: Bools, true_id: Iterable[int], track_id: Iterable[int], before: dict[int, int]
) -> dict[int, int]:
    """Which tracked person is which true one, in one frame.

    Args:
        distance: (N, M, K), in head sizes.
        shared: bool (N, M, K): joints that both have.
        true_id: (N,) identities.
        track_id: (M,) identities.
        before: True to tracked identity, as last seen; such a pair stays while it is near enough.

    Returns:
        True to tracked identity, of those who are paired in this frame.
    """
    true, tracked = list(true_id), list(track_id)
    if not true or not tracked:
        return {}
    count = shared.sum(axis=2)
    mean = np.where(shared, distance, 0).sum(axis=2) / np.maximum(count, 1)  # (N, M)
    allowed = (count >= FEWEST_JOINTS) & (mean <= NEAR)
    pairs: dict[int, int] = {}
    for n, person in enumerate(true):
        if before.get(person) in tracked:
            m = tracked.index(before[person])
            if allowed[n, m]:
                pairs[person] = tracked[m]
                allowed[n, :] = allowed[:, m] = False
    # A pair that is not allowed costs more than all that are.
    rows, columns = linear_sum_assignment(np.where(allowed, mean, NEAR * (len(true) + 1)))
    pairs |= {true[n]: tracked[m] for n, m in zip(rows, columns, strict=True) if allowed[n, m]}
    return pairs


def compare(truth: Iterable[LabelledFrame], tracked: Iterable[LabelledFrame]) -> TruthReport:
    """Tracked frames against the truth of the same frames; frames are paired by their order.

    Only visible joints of found people are judged, and a joint that the tracked person lacks is wrong. Hidden people
    may be tracked or not.

    Raises:
        ValueError: not equally many frames.
    """
    frames = people = found = false_people = switches = 0
    joints, right = np.zeros(len(JOINTS), dtype=np.int64), np.zeros(len(JOINTS), dtype=np.int64)
    last: dict[int, int] = {}
    for true, ours in zip(truth, tracked, strict=True):
        distance = distances(true.xy, ours.xy, head_sizes(true.head_box))
        shared = true.found[:, None] & ours.found[None]
        pairs = match(distance, shared, true.track_id.tolist(), ours.track_id.tolist(), last)
        switches += sum(last.get(person, track) != track for person, track in pairs.items())
        last |= pairs
        frames += 1
        false_people += len(ours) - len(pairs)
        for n, person in enumerate(true.track_id.tolist()):
            if true.visible[n].sum() < FEWEST_JOINTS:
                continue
            people += 1
            if person in pairs:
                m = ours.track_id.tolist().index(pairs[person])
                found += 1
                joints += true.visible[n]
                right += true.visible[n] & ours.found[m] & (distance[n, m] <= RIGHT)
    return TruthReport(
        frames=frames,
        people=people,
        found=found,
        false_people=false_people,
        switches=switches,
        joints=dict(zip(JOINTS, joints.tolist(), strict=True)),
        right=dict(zip(JOINTS, right.tolist(), strict=True)),
    )
