"""Peaks of one picture to people: which joints belong together, by their tags and by what a body can reach.

Letters: N persons, K joints, C maps (one for each cluster of joints), P peaks of a map, D tags of a peak.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import shortest_path

from models.skeleton import Skeleton

__all__ = ["Grouped", "GroupingConfig", "group", "reach"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class GroupingConfig:
    """How peaks become people."""

    peak_threshold: float = 0.05
    """Peaks lower than this are not looked at. At 0 every ripple is a candidate, which costs time; too high, joints
    that are hard to see stay missing."""

    seed_threshold: float = 0.1
    """Peaks lower than this join people but start none. At 0 noise starts people; too high, faint people are lost."""

    tag_limit: float = 1.0
    """A peak whose tag is this far from a person's is not theirs. At 0 nobody has more than one joint; too high,
    neighbours exchange joints."""

    tag_step: float = 0.03
    """Distance between the tags of neighbouring joints in a map that holds several (`delta` of the paper)."""

    stretch: float = 1.3
    """A joint may be this many times farther from another than a person of that size can reach (perspective, errors
    of the size). Below 1 people lose their hands; too high, they take those of others."""

    min_joints: int = 3
    """People of fewer joints are dropped. At 0 every stray peak is a person."""

    min_score: float = 0.02
    """People below this score are dropped."""


class Grouped(NamedTuple):
    """The people of one picture."""

    xy: npt.NDArray[np.float32]
    """float32 (N, K, 2), in the unit of the peaks; 0 where not found."""

    joint_score: npt.NDArray[np.float32]
    """float32 (N, K), 0..1; 0 where not found."""

    score: npt.NDArray[np.float32]
    """float32 (N,), 0..1, falling."""


def group(
    xy: npt.NDArray[np.floating],
    score: npt.NDArray[np.floating],
    tags: npt.NDArray[np.floating],
    *,
    skeleton: Skeleton,
    config: GroupingConfig,
) -> Grouped:
    """People from the peaks of one picture.

    Args:
        xy: (C, P, 2), x and y of each peak in any unit of equal axes.
        score: (C, P), heights of the peaks; 0 marks no peak.
        tags: (C, P, D), tags of the peaks.
        skeleton: The K joints; its division into C clusters says which joints each map holds.
        config: The knobs.
    """
    bodies = _Bodies(skeleton, capacity=int((score >= config.seed_threshold).sum()), tags=tags.shape[2])
    clusters = skeleton.clusters[len(score)]
    for number in _order(skeleton.joints, clusters):
        seen = score[number] >= config.peak_threshold
        peaks = _Candidates(
            xy[number][seen].astype(float), score[number][seen].astype(float), tags[number][seen].astype(float)
        )
        _match(bodies, peaks, clusters[number], config)
    people = bodies.joint_score[: bodies.count]
    keep = (people > 0).sum(axis=1) >= config.min_joints
    total = people.sum(axis=1) / people.shape[1]
    keep &= total >= config.min_score
    best = np.flatnonzero(keep)[np.argsort(-total[keep], kind="stable")]
    return Grouped(
        xy=bodies.xy[best].astype(np.float32),
        joint_score=np.clip(people[best], 0, 1).astype(np.float32),
        score=np.clip(total[best], 0, 1).astype(np.float32),
    )


class _Candidates(NamedTuple):
    """Peaks of one map."""

    xy: Array
    """(P, 2)."""
    score: Array
    """(P,)."""
    tags: Array
    """(P, D)."""


class _Bodies:
    """People under construction: arrays of which the first `count` rows are in use."""

    def __init__(self, skeleton: Skeleton, *, capacity: int, tags: int) -> None:
        K = len(skeleton.joints)
        self.count = 0
        self.reach = reach(skeleton.joints)
        self.xy = np.zeros((capacity, K, 2))
        self.joint_score = np.zeros((capacity, K))
        self.tag_sum = np.zeros((capacity, tags))
        self.weight = np.zeros(capacity)
        self.stature = np.zeros(capacity)

    def add(self, persons: npt.NDArray[np.intp], joints: npt.NDArray[np.intp], peaks: _Candidates, tags: Array) -> None:
        """Give each of some persons one joint; `tags` (R, D) are those of the person that the joint speaks for."""
        found = self.joint_score[persons] > 0
        distance = np.hypot(*np.moveaxis(self.xy[persons] - peaks.xy[:, None], -1, 0))  # (R, K)
        implied = np.where(found, np.maximum(distance - 1, 0) / self.reach[joints], 0).max(axis=1, initial=0)
        self.stature[persons] = np.maximum(self.stature[persons], implied)
        self.xy[persons, joints] = peaks.xy
        self.joint_score[persons, joints] = peaks.score
        self.tag_sum[persons] += tags * peaks.score[:, None]
        self.weight[persons] += peaks.score


def _match(bodies: _Bodies, peaks: _Candidates, joints: tuple[int, ...], config: GroupingConfig) -> None:
    """Hand the peaks of one map to the people who lack its joints; what is left over starts new people."""
    N, c = bodies.count, len(joints)
    offsets = (np.arange(c) - (c - 1) / 2) * config.tag_step
    free = np.ones(len(peaks.score), dtype=bool)
    if N and len(peaks.score):
        rows = np.repeat(np.arange(N), c)
        row_joints = np.tile(joints, N)
        row_offsets = np.tile(offsets, N)
        cost = _cost(bodies, peaks, rows, row_joints, row_offsets, config)
        # A product, so that of two people who want the same peaks the more certain one gets the better.
        gain = np.maximum(1 - cost, 0) * peaks.score * bodies.weight[rows, None]
        row, peak = linear_sum_assignment(gain, maximize=True)
        good = cost[row, peak] < 1
        row, peak = row[good], peak[good]
        chosen = _Candidates(*(values[peak] for values in peaks))
        bodies.add(rows[row], row_joints[row], chosen, chosen.tags - row_offsets[row, None])
        free[peak] = False
    seeds = np.flatnonzero(free & (peaks.score >= config.seed_threshold))
    if c == 1:
        start = _Candidates(*(values[seeds] for values in peaks))
        persons = np.arange(N, N + len(seeds))
        bodies.count += len(seeds)
        bodies.add(persons, np.repeat(joints, len(seeds)), start, start.tags)


def _cost(
    bodies: _Bodies,
    peaks: _Candidates,
    rows: npt.NDArray[np.intp],
    joints: npt.NDArray[np.intp],
    offsets: Array,
    config: GroupingConfig,
) -> Array:
    """(R, P): how badly each peak fits each joint of each person; 1 and more is not at all."""
    reference = bodies.tag_sum[rows] / bodies.weight[rows, None]  # (R, D)
    away = peaks.tags[None] - offsets[:, None, None] - reference[:, None]  # (R, P, D)
    cost: Array = (away**2).mean(axis=-1) / config.tag_limit**2
    found = bodies.joint_score[rows] > 0  # (R, K)
    gap = bodies.xy[rows][:, None] - peaks.xy[None, :, None]  # (R, P, K, 2)
    distance = np.hypot(gap[..., 0], gap[..., 1])
    stature = np.maximum(bodies.stature[rows, None], 1e-6)
    limit = config.stretch * bodies.reach[joints] * stature + 2.0  # (R, K)
    excess = np.where(found[:, None] & (bodies.stature[rows] > 0)[:, None, None], distance / limit[:, None], 0).max(
        axis=-1
    )
    total: Array = cost + np.maximum(excess - 1, 0)
    return total


_LENGTHS = {
    ("nose", "eye"): 0.032,
    ("eye", "ear"): 0.050,
    ("nose", "shoulder"): 0.157,
    ("ear", "shoulder"): 0.125,
    ("shoulder", "shoulder"): 0.202,
    ("shoulder", "elbow"): 0.169,
    ("elbow", "wrist"): 0.145,
    ("shoulder", "hip"): 0.290,
    ("hip", "hip"): 0.126,
    ("hip", "knee"): 0.239,
    ("knee", "ankle"): 0.227,
    ("head_top", "nose"): 0.110,
    ("nose", "head_bottom"): 0.100,
    ("head_bottom", "shoulder"): 0.120,
}

_ORDER = ("shoulder", "hip", "nose", "eye", "ear", "elbow", "knee", "wrist", "ankle")


@lru_cache(maxsize=16)
def reach(joints: tuple[str, ...]) -> Array:
    """(K, K): how far apart two joints of a body can be, in units of its stature: the way along the limbs."""
    bare = [_bare(name) for name in joints]
    K = len(bare)
    graph = np.zeros((K, K))
    for a, b in itertools.combinations(range(K), 2):
        length = _LENGTHS.get((bare[a], bare[b]), _LENGTHS.get((bare[b], bare[a]), 0.0))
        sides = {joints[a].split("_")[0], joints[b].split("_")[0]}
        if bare[a] == bare[b] or sides != {"left", "right"}:
            graph[a, b] = graph[b, a] = length
    ways = np.asarray(shortest_path(graph, directed=False))
    np.fill_diagonal(ways, np.inf)
    return ways


@lru_cache(maxsize=16)
def _order(joints: tuple[str, ...], clusters: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """The maps in the order in which they are matched: from the torso outward."""
    rank = [_ORDER.index(_bare(name)) if _bare(name) in _ORDER else len(_ORDER) for name in joints]
    return tuple(sorted(range(len(clusters)), key=lambda c: min(rank[k] for k in clusters[c])))


def _bare(joint: str) -> str:
    """A joint's name without its side."""
    return joint.removeprefix("left_").removeprefix("right_")
