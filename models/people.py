"""What grouping works on: its settings, peaks as joints, and people under construction.

Letters: N persons, K joints, C maps (one for each cluster of joints), P peaks of a map, D tags of a peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.body import asked_stature, bare, per_reach
from models.skeleton import SKELETONS, Skeleton

__all__ = ["Array", "Bodies", "Candidates", "GroupingConfig", "Indices", "read_candidates"]

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class GroupingConfig:
    """How peaks become people."""

    peak_threshold: float = 0.05
    """Peaks lower than this are not looked at. At 0 every ripple is a candidate, which costs time; too high, joints
    that are hard to see stay missing."""

    seed_threshold: float = 0.1
    """People are made of peaks from this height; lower ones only fill what a person lacks. At 0 noise makes people;
    too high, faint people are lost."""

    tag_limit: float = 2.0
    """A peak whose tag is this far from a person's is not theirs. At 0 nobody has more than one joint; too high,
    neighbours exchange joints."""

    tag_step: float = 0.03
    """Distance between the tags of neighbouring joints in a map that holds several (`delta` of the paper)."""

    stretch: float = 1.3
    """From this multiple of what a person can reach on, farther peaks fit worse and worse (perspective, errors of the
    size). Below 1 people lose their hands; too high, they take those of others."""

    nearness: float = 0.1
    """How much nearer peaks are preferred among those with like tags. At 0 only tags choose within reach; too high,
    arms that are stretched out are lost."""

    merge_tag: float = 0.4
    """Parts of which each joint is missing or found already in a person whose tag is nearer than this are that
    person's. At 0 a second echo of somebody stays a person of its own; too high, people behind others vanish."""

    min_joints: int = 3
    """People of fewer joints are dropped. At 0 every stray peak is a person."""

    min_score: float = 0.02
    """People below this score are dropped."""


class Candidates(NamedTuple):
    """Peaks as joints: Q of them; a peak of a map that holds c joints stands here c times, once as each."""

    xy: Array
    """(Q, 2), cells."""

    score: Array
    """(Q,)."""

    tags: Array
    """(Q, D): tag of the person, were the peak this joint."""

    joint: Indices
    """(Q,): the joint."""

    number: Indices
    """(Q,): place of the peak among all of the picture."""

    step: Indices
    """(Q,): rising; the map's place in the order of growth. Within a map joint after joint, each with all peaks."""

    def some(self, chosen: npt.NDArray[np.bool_] | Indices | slice) -> Candidates:
        """Some of them: a mask (Q,), indices or a slice."""
        xy, score, tags, joint, number, step = self
        return Candidates(xy[chosen], score[chosen], tags[chosen], joint[chosen], number[chosen], step[chosen])


def read_candidates(
    xy: npt.NDArray[np.floating],
    score: npt.NDArray[np.floating],
    tags: npt.NDArray[np.floating],
    *,
    skeleton: Skeleton,
    config: GroupingConfig,
) -> Candidates:
    """The peaks above the threshold as joints; arguments as of `models.grouping.group`."""
    layout = _layout(skeleton.name, len(score))
    seen = score[layout.map] >= max(config.peak_threshold, 1e-6)  # (K, P)
    row, place = np.nonzero(seen)
    number = layout.map[row]
    offsets = layout.offsets[:, : tags.shape[2]] * config.tag_step
    return Candidates(
        xy=xy[number, place].astype(np.float64),
        score=score[number, place].astype(np.float64),
        tags=tags[number, place] - offsets[row],
        joint=layout.joint[row],
        number=number * score.shape[1] + place,
        step=layout.step[row],
    )


class _Layout(NamedTuple):
    """Which joints the maps hold, in the order of growth."""

    map: Indices
    """(K,): number of the map."""

    joint: Indices
    """(K,): the joint."""

    step: Indices
    """(K,): rising: place of the map in the order of growth."""

    offsets: Array
    """(K, 2): steps from the tag of the person to that of the joint, in the picture and in the mirrored one."""


_ORDER = ("shoulder", "hip", "nose", "head_bottom", "head_top", "eye", "ear", "elbow", "knee", "wrist", "ankle")
"""From the torso outward."""


@lru_cache(maxsize=16)
def _layout(skeleton_name: str, maps: int) -> _Layout:
    skeleton = SKELETONS[skeleton_name]
    clusters = skeleton.clusters[maps]
    names = [bare(name) for name in skeleton.joints]
    rank = [_ORDER.index(name) if name in _ORDER else len(_ORDER) for name in names]
    order = sorted(range(maps), key=lambda number: min(rank[joint] for joint in clusters[number]))
    offset = np.zeros(len(names))
    for joints in clusters:
        offset[list(joints)] = np.arange(len(joints)) - (len(joints) - 1) / 2
    rows = [(number, joint, step) for step, number in enumerate(order) for joint in clusters[number]]
    map_, joint, step = np.array(rows).T
    # In the mirrored picture a joint stands where its mirror joint is looked for.
    return _Layout(map_, joint, step, np.stack([offset[joint], offset[skeleton.mirror[joint]]], axis=1))


class Bodies:
    """People under construction: arrays of which the first `count` rows are in use."""

    def __init__(self, skeleton: Skeleton, *, capacity: int, tags: int) -> None:
        K = len(skeleton.joints)
        self.skeleton = skeleton
        self.count = 0
        self._inverse = per_reach(skeleton.joints)
        self._xy = np.zeros((2, capacity, K))  # axes first: nothing is as slow as to sum over an axis of two
        self._joint_score = np.zeros((capacity, K))
        self._peak = np.full((capacity, K), -1)
        self._tag_sum = np.zeros((capacity, tags))
        self._weight = np.zeros(capacity)

    @property
    def xy(self) -> Array:
        """(N, K, 2)."""
        return self._xy[:, : self.count].transpose(1, 2, 0)

    @property
    def joint_score(self) -> Array:
        """(N, K), 0 where not found."""
        return self._joint_score[: self.count]

    @property
    def peak(self) -> Indices:
        """(N, K): number of the peak that is the joint, -1 where not found."""
        return self._peak[: self.count]

    @property
    def weight(self) -> Array:
        """(N,): sum of the scores of the joints that were given."""
        return self._weight[: self.count]

    @property
    def tag(self) -> Array:
        """(N, D): mean tag, weighted by score."""
        return self._tag_sum[: self.count] / self.weight[:, None]

    def start(self, tag: Array, weight: Array) -> Indices:
        """New people without joints, (R, D) and (R,); returns who they are."""
        persons = np.arange(self.count, self.count + len(weight))
        self.count += len(weight)
        self._weight[persons] = weight
        self._tag_sum[persons] = tag * weight[:, None]
        return persons

    def give(self, persons: Indices, peaks: Candidates) -> None:
        """Give joints to persons (R,): R peaks; a person may be in several rows."""
        self._xy[:, persons, peaks.joint] = peaks.xy.T
        self._joint_score[persons, peaks.joint] = peaks.score
        self._peak[persons, peaks.joint] = peaks.number
        np.add.at(self._tag_sum, persons, peaks.tags * peaks.score[:, None])
        np.add.at(self._weight, persons, peaks.score)

    def take(self, persons: Indices, joints: Indices) -> None:
        """Take one joint from each of some persons (R,); what it said of their tag stays."""
        self._xy[:, persons, joints] = 0
        self._joint_score[persons, joints] = 0
        self._peak[persons, joints] = -1

    def split(self, person: int, part: npt.NDArray[np.bool_]) -> None:
        """Give some joints (K,) of a person to a new one of the same tag; each side weighs what its joints do."""
        moved = part & (self._joint_score[person] > 0)
        tag = self.tag[person]
        (other,) = self.start(tag[None], self._joint_score[person, moved].sum(keepdims=True))
        self._xy[:, other, moved] = self._xy[:, person, moved]
        self._joint_score[other, moved] = self._joint_score[person, moved]
        self._peak[other, moved] = self._peak[person, moved]
        joints = np.flatnonzero(moved)
        self.take(np.full(len(joints), person), joints)
        self._weight[person] -= self._weight[other]
        self._tag_sum[person] = tag * self._weight[person]

    def absorb(self, person: int, other: int) -> None:
        """Give a person all joints of another that they lack, and what the other's tags say."""
        lacks = self._joint_score[person] == 0
        self._xy[:, person, lacks] = self._xy[:, other, lacks]
        self._joint_score[person, lacks] = self._joint_score[other, lacks]
        self._peak[person, lacks] = self._peak[other, lacks]
        self._tag_sum[person] += self._tag_sum[other]
        self._weight[person] += self._weight[other]

    def keep(self, chosen: npt.NDArray[np.bool_] | Indices) -> None:
        """Only the chosen remain: a mask (N,) or indices."""
        rows = np.arange(self.count)[chosen]
        self._xy[:, : len(rows)] = self._xy[:, rows]
        for values in (self._joint_score, self._peak, self._tag_sum, self._weight):
            values[: len(rows)] = values[rows]
        self.count = len(rows)

    def asked(self, persons: Indices, peaks: Candidates, joints: Indices | slice = slice(None)) -> Array:
        """(..., J): the stature in cells that some joints of people ask for, were they given peaks.

        Without meaning for joints that a person does not have. `persons` (..., 1) or (Q,) go with Q peaks.
        """
        places = peaks.xy.T.reshape(2, *(1,) * (persons.ndim - 1), -1, 1)
        return asked_stature(self._xy[:, :, joints][:, persons] - places, self._inverse[:, joints][peaks.joint])

    def shares(self) -> Array:
        """(N, K): how much each joint counts in the mean over the joints of its person."""
        root = np.sqrt(self.joint_score)
        root /= np.maximum(root.sum(axis=1, keepdims=True), 1e-9)
        return root
