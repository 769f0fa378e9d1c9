"""People from peaks, from the torso outward.

Letters: N persons, K joints, Q peaks as joints, D tags of a peak.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np
from scipy.optimize import linear_sum_assignment

from models.body import asked_stature, bare, importances, per_reach, statures
from models.people import Array, Bodies, Candidates, GroupingConfig, Indices
from models.skeleton import Skeleton

__all__ = ["grow", "tag_cost"]

_RINGS = (("nose", "head_bottom", "head_top", "eye", "ear"), ("elbow", "knee"), ("wrist", "ankle"))
"""Joints that are matched at once, to save time; each of the torso waits for the one before, on which it stands."""

_WIDEST = 0.7
"""Stature of the largest person to expect, relative to the diagonal of all peaks."""

_STRAIN = 0.5
"""Cost of a joint that is twice as far as the stretch that is allowed."""

_ALIKE = 0.1
"""How much a tag that is only like somebody's counts, where one that is exactly theirs counts 1."""

_NEARER = 0.1
"""How much less a peak says about the name of another that it would be as far from as the largest person reaches."""


def grow(peaks: Candidates, *, maps: int, skeleton: Skeleton, config: GroupingConfig) -> Bodies:
    """People of the peaks above the seed threshold: a peak that fits nobody starts a person of its own."""
    bodies = Bodies(skeleton, peaks)
    strong = np.flatnonzero(peaks.score >= max(config.seed_threshold, 1e-6))
    if not len(strong):
        return bodies
    xy = peaks.xy.take(strong, axis=1)
    at_first = _WIDEST * math.dist(xy.max(axis=1), xy.min(axis=1))
    several = maps < len(skeleton.joints)
    if several:
        _start_by_names(bodies, strong, config, at_first=at_first)
        strong = strong[~np.isin(peaks.number[strong], peaks.number[bodies.row[bodies.found]])]
    rings = peaks.step[strong] if several else _rings_of(skeleton.joints)[peaks.joint[strong]]
    for part in _runs(rings):
        # Where tags name the joints, places are to have little say as long as the size of people is not known.
        _match(bodies, strong[part], config, first=0, several=several, at_first=at_first * (2 if several else 1))
    return bodies


@lru_cache(maxsize=16)
def _rings_of(joints: tuple[str, ...]) -> Indices:
    """(K,): number of each joint's ring."""
    rings = {name: -1 - number for number, ring in enumerate(_RINGS) for name in ring}
    return np.array([rings.get(bare(name), joint) for joint, name in enumerate(joints)])


def _runs(values: Indices) -> list[slice]:
    """Where the same value stands without a break."""
    ends = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), *([len(values)] if len(values) else [])]
    return [slice(start, end) for start, end in itertools.pairwise(ends)]


def _match(
    bodies: Bodies, ring: Indices, config: GroupingConfig, *, first: int, several: bool, at_first: float
) -> None:
    """Hand the peaks of some maps to the people from number `first` on; what fits nobody starts people.

    In maps of several joints nobody is started: there people are known by their tags beforehand.
    """
    N, peaks = bodies.count, bodies.peaks
    if first == N:
        free = np.ones(len(ring), dtype=bool)
    else:
        cost = _costs(bodies, ring, config, first=first, several=several, at_first=at_first)  # (N', Q)
        # A product, so that of two people who want the same peaks the more certain one gets the better.
        gain = np.maximum(1 - cost, 0) * (bodies.weight[first:, None] * peaks.score[ring])
        if several:
            gain[bodies.found[first:, peaks.joint[ring]]] = 0
        person, peak = _assign(gain, peaks.step[ring], peaks.number[ring], several=several)
        bodies.give(first + person, ring[peak])
        # A second peak of the same joint that fits somebody is an echo of theirs, not another person.
        free = cost.min(axis=0) >= 1
        free[peak] = False
    if several or not free.any():
        return
    rest = ring[free]
    other = np.searchsorted(peaks.step[rest], peaks.step[rest[0]], side="right")
    seeds = rest[:other]
    bodies.give(bodies.start(peaks.tags[seeds], 0), seeds)
    if other < len(rest):
        _match(bodies, rest[other:], config, first=N, several=several, at_first=at_first)


def _costs(
    bodies: Bodies, ring: Indices, config: GroupingConfig, *, first: int, several: bool, at_first: float
) -> Array:
    """(N', Q): how badly each peak fits the people from number `first` on; 1 and more is not at all."""
    cost = tag_cost(bodies.tag[first:, None] - bodies.peaks.tags[ring], config, several=several)
    like = cost < 1  # one in four, and only for these it matters how far they are
    person, peak = like.nonzero()
    row, joints = bodies.row[first:], bodies.skeleton.joints
    known = np.flatnonzero(row.any(axis=0))
    row, inverse = row[:, known], per_reach(joints)[:, known]
    xy, root = bodies.peaks.xy.take(row, axis=1), bodies.peaks.root[row]
    asked = asked_stature(xy[..., None], xy[..., None, :], inverse[known])
    stature = statures(asked, root, importances(joints)[known][:, known], at_first=at_first)
    share = root / (np.maximum(root.sum(axis=1), 1e-9) * stature)[:, None]
    strain = np.einsum("rk,rk->r", bodies.asked(ring[peak], row[person], inverse), share[person])
    beyond = np.maximum(strain / config.stretch - 1, 0)
    cost[like] += config.nearness * np.minimum(strain, 3) ** 2 + _STRAIN * beyond
    return cost


def _assign(gain: Array, step: Indices, number: Indices, *, several: bool) -> tuple[Indices, Indices]:
    """Who gets which peak: in each map the assignment of the greatest gain (N, Q)."""
    persons, chosen = [], []
    for part in _runs(step):
        if several:  # a row for each joint of each person, a column for each peak
            c = np.count_nonzero(number[part] == number[part][0])
            P = len(number[part]) // c
            row, column = linear_sum_assignment(gain[:, part].reshape(-1, P), maximize=True)
            row, column = row // c, row % c * P + column
        else:
            row, column = linear_sum_assignment(gain[:, part], maximize=True)
        persons.append(row)
        chosen.append(column + part.start)
    person, peak = np.concatenate(persons), np.concatenate(chosen)
    good = gain[person, peak] > 0
    return person[good], peak[good]


def tag_cost(apart: Array, config: GroupingConfig, *, several: bool) -> Array:
    """(...): cost of tags that are `apart` (..., D) from those of their person; 1 is at the limit."""
    D = apart.shape[-1]
    square = (apart * apart).sum(axis=-1)
    cost: Array = square / (D * config.tag_limit**2)
    if several:
        # Offsets tell joints of a map apart only where tags are exact enough; else this says the same of all.
        cost += 0.5 * np.minimum(square / (D * max(config.tag_step, 1e-6) ** 2), 1)
    return cost


def _start_by_names(bodies: Bodies, strong: Indices, config: GroupingConfig, *, at_first: float) -> None:
    """Start people in maps of several joints, where a peak does not say which joint it is; each gets its first joint.

    The strongest peak of each is the joint that most others agree with: named so, it is of a person whose tag they
    have too, each as the joint that fits best. Those are that person's and start nobody.
    """
    peaks, joints = bodies.peaks, bodies.skeleton.joints
    width = max(config.tag_step / 2, 1e-6) ** 2
    rows = strong[np.argsort(peaks.joint[strong], kind="stable")]
    while len(rows):
        score, tags, number, joint = peaks.score[rows], peaks.tags[rows], peaks.number[rows], peaks.joint[rows]
        names = rows[number == number[score.argmax()]]
        apart = ((peaks.tags[names][:, None] - tags) ** 2).mean(axis=2)  # (names, Q')
        same = np.exp(-apart / width) + _ALIKE * (apart <= (config.tag_limit / 2) ** 2)
        asked = bodies.asked(names, np.broadcast_to(rows, apart.shape), per_reach(joints)[:, joint])
        fit = same * score / (1 + _NEARER * asked / max(at_first, 1))
        fit[(peaks.joint[names][:, None] == joint) & (peaks.number[names][:, None] != number)] = 0
        order = np.argsort(number, kind="stable")
        each = np.flatnonzero(np.diff(number[order], prepend=-1))
        votes = np.maximum.reduceat(fit[:, order], each, axis=1).sum(axis=1)
        best = votes.argmax()
        bodies.give(bodies.start(tags[:1], 0), names[best : best + 1])
        theirs = [part.start + fit[best, part].argmax() for part in _runs(joint)]
        claimed = number[[place for place in theirs if fit[best, place] > 0]]
        rows = rows[~np.isin(number, claimed)]
