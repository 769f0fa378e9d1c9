"""People from peaks, from the torso outward.

Letters: N persons, K joints, Q peaks as joints, D tags of a peak.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from scipy.optimize import linear_sum_assignment

from models.body import bare, statures
from models.people import Array, Bodies, Candidates, GroupingConfig, Indices
from models.skeleton import Skeleton

__all__ = ["grow", "tag_cost"]

_RINGS = (("nose", "head_bottom", "head_top", "eye", "ear"), ("elbow", "knee"), ("wrist", "ankle"))
"""Joints that are matched at once, to save time; each of the torso waits for the one before, on which it stands."""

_WIDEST = 0.7
"""Stature of the largest person to expect, relative to the diagonal of all peaks."""

_STRAIN = 0.5
"""Cost of a joint that is twice as far as the stretch that is allowed."""


def grow(peaks: Candidates, *, maps: int, skeleton: Skeleton, config: GroupingConfig) -> Bodies:
    """People of the peaks above the seed threshold: a peak that fits nobody starts a person of its own."""
    strong = peaks.some(peaks.score >= config.seed_threshold)
    bodies = Bodies(skeleton, capacity=len(strong.score), tags=peaks.tags.shape[1])
    if not len(strong.score):
        return bodies
    at_first = _WIDEST * float(np.hypot(*np.ptp(strong.xy, axis=0)))
    several = maps < len(skeleton.joints)
    if several:
        _start_by_tags(bodies, strong, config)
    rings = strong.step if several else _rings_of(skeleton.joints)[strong.joint]
    ends = [0, *(np.flatnonzero(np.diff(rings)) + 1).tolist(), len(rings)]
    for start, end in itertools.pairwise(ends):
        _match(bodies, strong.some(slice(start, end)), config, first=0, several=several, at_first=at_first)
    return bodies


@lru_cache(maxsize=16)
def _rings_of(joints: tuple[str, ...]) -> Indices:
    """(K,): number of each joint's ring."""
    rings = {name: -1 - number for number, ring in enumerate(_RINGS) for name in ring}
    return np.array([rings.get(bare(name), joint) for joint, name in enumerate(joints)])


def _match(
    bodies: Bodies, peaks: Candidates, config: GroupingConfig, *, first: int, several: bool, at_first: float
) -> None:
    """Hand the peaks of some maps to the people from number `first` on; what fits nobody starts people.

    In maps of several joints nobody is started: there people are known by their tags beforehand.
    """
    N = bodies.count
    free = np.ones(len(peaks.score), dtype=bool)
    if first < N:
        cost = _costs(bodies, peaks, config, first=first, several=several, at_first=at_first)  # (N', Q)
        # A product, so that of two people who want the same peaks the more certain one gets the better.
        gain = np.maximum(1 - cost, 0) * (bodies.weight[first:, None] * peaks.score)
        person, peak = _assign(gain, peaks, several=several)
        bodies.give(first + person, peaks.some(peak))
        # A second peak of the same joint that fits somebody is an echo of theirs, not another person.
        free = cost.min(axis=0) >= 1
        free[peak] = False
    if several or not free.any():
        return
    rest = peaks.some(free)
    other = np.searchsorted(rest.step, rest.step[0], side="right")
    seeds = rest.some(slice(0, other))
    bodies.give(bodies.start(seeds.tags, np.zeros(other)), seeds)
    if other < len(rest.score):
        rest = rest.some(slice(other, None))
        _match(bodies, rest, config, first=N, several=several, at_first=at_first)


def _costs(
    bodies: Bodies, peaks: Candidates, config: GroupingConfig, *, first: int, several: bool, at_first: float
) -> Array:
    """(N', Q): how badly each peak fits the people from number `first` on; 1 and more is not at all."""
    cost = tag_cost(bodies.tag[first:, None] - peaks.tags, config, several=several)
    person, peak = (cost < 1).nonzero()  # one in four, and only for these it matters how far they are
    stature = statures(bodies.xy[first:], bodies.joint_score[first:], bodies.skeleton.joints, at_first=at_first)
    known = np.flatnonzero(bodies.joint_score[first:].any(axis=0))
    share = bodies.shares()[first:, known] / stature[:, None]
    strain = np.einsum("rj,rj->r", bodies.asked(first + person, peaks.some(peak), known), share[person])
    cost[person, peak] += (
        config.nearness * np.minimum(strain, 3) ** 2 + _STRAIN * np.maximum(strain / config.stretch - 1, 0)
    )
    return cost


def _assign(gain: Array, peaks: Candidates, *, several: bool) -> tuple[Indices, Indices]:
    """Who gets which peak: in each map the assignment of the greatest gain (N, Q)."""
    persons, chosen = [], []
    ends = [0, *(np.flatnonzero(np.diff(peaks.step)) + 1).tolist(), len(peaks.step)]
    for start, end in itertools.pairwise(ends):
        if several:  # a row for each joint of each person, a column for each peak
            c = np.count_nonzero(peaks.number[start:end] == peaks.number[start])
            P = (end - start) // c
            row, column = linear_sum_assignment(gain[:, start:end].reshape(-1, P), maximize=True)
            row, column = row // c, row % c * P + column
        else:
            row, column = linear_sum_assignment(gain[:, start:end], maximize=True)
        persons.append(row)
        chosen.append(column + start)
    person, peak = np.concatenate(persons), np.concatenate(chosen)
    good = gain[person, peak] > 0
    return person[good], peak[good]


def tag_cost(apart: Array, config: GroupingConfig, *, several: bool) -> Array:
    """(...): cost of tags that are `apart` (..., D) from those of their person; 1 is at the limit."""
    square = np.einsum("...d,...d", apart, apart) / apart.shape[-1]
    cost: Array = square / config.tag_limit**2
    if several:
        # Offsets tell joints of a map apart only where tags are exact enough; else this says the same of all.
        cost += 0.5 * np.minimum(square / max(config.tag_step, 1e-6) ** 2, 1)
    return cost


def _start_by_tags(bodies: Bodies, peaks: Candidates, config: GroupingConfig) -> None:
    """People known by their tags alone, for maps of several joints, where a peak does not say which joint it is.

    A person's tag is the one that most of the peaks near it name, each as the joint that fits best.
    """
    width = max(config.tag_step / 2, 1e-6) ** 2
    free = np.ones(len(peaks.score), dtype=bool)
    while free.any():
        strongest = np.flatnonzero(free)[peaks.score[free].argmax()]
        near = free & (((peaks.tags - peaks.tags[strongest]) ** 2).mean(axis=1) <= (config.tag_limit / 2) ** 2)
        tags, number = peaks.tags[near], peaks.number[near]
        apart = ((tags[:, None] - tags) ** 2).mean(axis=2)  # (guesses, Q')
        order = np.argsort(number, kind="stable")
        each = np.flatnonzero(np.diff(number[order], prepend=-1))
        nearest = np.minimum.reduceat(apart[:, order], each, axis=1)  # (guesses, P')
        votes = np.exp(-nearest / width) @ peaks.score[near][order][each]
        best = votes.argmax()
        good = apart[best] <= width / 4
        bodies.start(tags[good].mean(axis=0, keepdims=True), np.array([1e-3]))
        free &= ~np.isin(peaks.number, number)
