"""What grouping works on: its settings, peaks as joints, and people under construction.

Letters: N persons, K joints, C maps (one for each cluster of joints), P peaks of a map, D tags of a peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.body import Floats, asked_stature, bare, importances, per_reach, statures
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
    """Peaks as joints: Q of them; a peak of a map that holds c joints stands here c times, once as each.

    The first stands for every joint that is not found: of score 0, at the place 0.
    """

    xy: npt.NDArray[np.float32]
    """(2, Q), cells; axes first: nothing is as slow as to sum over an axis of two."""

    score: Array
    """(Q,)."""

    root: npt.NDArray[np.float32]
    """(Q,): root of the score: how much the candidate counts when statures are told."""

    tags: Array
    """(Q, D): tag of the person, were the peak this joint."""

    joint: Indices
    """(Q,): the joint."""

    number: Indices
    """(Q,): which peak of the picture it is, from 1 on."""

    step: Indices
    """(Q,): rising; the map's place in the order of growth. Within a map joint after joint, each with all peaks."""


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
    height = _padded(score[number, place])
    return Candidates(
        xy=_padded(xy[number, place], dtype=np.float32).T.copy(),
        score=height,
        root=np.sqrt(height).astype(np.float32),
        tags=_padded(tags[number, place] - offsets[row]),
        joint=_padded(layout.joint[row], dtype=np.intp),
        number=_padded(1 + number * score.shape[1] + place, dtype=np.intp),
        step=_padded(layout.step[row], dtype=np.intp),
    )


def _padded(values: npt.NDArray[Any], dtype: type[Any] = np.float64) -> npt.NDArray[Any]:
    """(1 + Q', ...): a zero, then the values (Q', ...)."""
    padded = np.zeros((1 + len(values), *values.shape[1:]), dtype)
    padded[1:] = values
    return padded


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
    """People under construction: which candidate each of their joints is."""

    def __init__(self, skeleton: Skeleton, peaks: Candidates) -> None:
        Q, K, D = len(peaks.score), len(skeleton.joints), peaks.tags.shape[1]
        self.skeleton = skeleton
        self.peaks = peaks
        self.count = 0
        # Of these arrays the first `count` rows are in use.
        self._row = np.zeros((Q, K), dtype=np.intp)
        self._sums = np.zeros((Q, D + 1))  # of the joints that were given: score times tag, and score
        self._summands = np.concatenate([peaks.tags, np.ones((Q, 1))], axis=1) * peaks.score[:, None]

    @property
    def row(self) -> Indices:
        """(N, K): the candidate that is the joint, 0 where not found."""
        return self._row[: self.count]

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        """(N, K)."""
        return self.row > 0

    @property
    def xy(self) -> npt.NDArray[np.float32]:
        """(N, K, 2), 0 where not found."""
        return self.peaks.xy[:, self.row].transpose(1, 2, 0)

    @property
    def joint_score(self) -> Array:
        """(N, K), 0 where not found."""
        return self.peaks.score[self.row]

    @property
    def root(self) -> npt.NDArray[np.float32]:
        """(N, K): root of the score of each joint, 0 where not found."""
        return self.peaks.root[self.row]

    @property
    def weight(self) -> Array:
        """(N,): sum of the scores of the joints that were given."""
        return self._sums[: self.count, -1]

    @property
    def tag(self) -> Array:
        """(N, D): mean tag, weighted by score."""
        sums = self._sums[: self.count]
        return sums[:, :-1] / sums[:, -1:]

    def start(self, tag: Array, weight: float) -> Indices:
        """New people without joints, of tags (R, D) that weigh so much; returns who they are."""
        persons = np.arange(self.count, self.count + len(tag))
        self.count += len(tag)
        self._sums[persons, :-1] = tag * weight
        self._sums[persons, -1] = weight
        return persons

    def give(self, persons: Indices, rows: Indices) -> None:
        """Give candidates (R,) to persons (R,), who may be in several rows."""
        self._row[persons, self.peaks.joint[rows]] = rows
        np.add.at(self._sums, persons, self._summands[rows])

    def take(self, persons: Indices, joints: Indices) -> None:
        """Take one joint from each of some persons (R,); what it said of their tag stays."""
        self._row[persons, joints] = 0

    def split(self, person: int, part: npt.NDArray[np.bool_]) -> None:
        """Give some joints (K,) of a person to a new one of the same tag; each side weighs what its joints do."""
        row = self._row[person]
        (other,) = self.start(self.tag[person : person + 1], float(self.peaks.score[row[part]].sum()))
        self._row[other, part] = row[part]
        row[part] = 0
        self._sums[person] *= 1 - self.weight[other] / self.weight[person]

    def absorb(self, person: int, other: int) -> None:
        """Give a person all joints of another that they lack, and what the other's tags say."""
        row = self._row[person]
        row[:] = np.where(self.found[person], row, self._row[other])
        self._sums[person] += self._sums[other]

    def keep(self, chosen: npt.NDArray[np.bool_] | Indices) -> None:
        """Only the chosen remain: a mask (N,) or indices."""
        rows = np.arange(self.count)[chosen]
        for values in (self._row, self._sums):
            values[: len(rows)] = values[rows]
        self._row[len(rows) : self.count] = 0
        self.count = len(rows)

    def asked(self, rows: Indices, others: Indices, inverse: Floats) -> Floats:
        """(R, J): the stature in cells that candidates (R,) ask for of others (R, J), were they of one person.

        `inverse` (K, J) of the reach between all joints and those J. Without meaning for joints that are not found.
        """
        xy, joint = self.peaks.xy, self.peaks.joint[rows]
        return asked_stature(xy.take(rows[:, None], axis=1), xy.take(others, axis=1), inverse.take(joint, axis=0))

    def asked_within(self) -> Floats:
        """(N, K, K): the same of the joints of each person."""
        xy = self.peaks.xy.take(self.row, axis=1)
        return asked_stature(xy[..., None], xy[..., None, :], per_reach(self.skeleton.joints))

    def statures(self) -> Floats:
        """(N,): stature in cells of each person."""
        return statures(self.asked_within(), self.root, importances(self.skeleton.joints))
