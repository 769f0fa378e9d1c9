"""Whether one pose goes on where another left off: what joining of tracks and the search for doubts stand on.

Distances are in *body sizes*, the root of a person's area, about half of the height.

Letters: N ends, P pairs of ends, K joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trackers.oks import Array, Mask, body_size

__all__ = [
    "MIN_SIZE_PIXELS",
    "WEAK",
    "Ends",
    "centres",
    "confidence",
    "damped",
    "end_of",
    "likeness",
    "moved",
    "stacked",
]

VELOCITY_SECONDS = 0.3
"""A velocity is measured over this time."""

BESIDE_SECONDS = 0.5
"""Poses so near to an end are those that it is compared with."""

WEAK = 0.5
"""A pose that has less than this part of the score of others beside it does not tell where somebody is: who walks
behind a wall ends as a fragment."""

DAMPING_SECONDS = 0.5
"""Time constant with which somebody who is not seen is taken to slow down, as in the tracker."""

MIN_SIZE_PIXELS = 16.0
"""Bodies are taken to be at least this large, as in the tracker."""

SPREAD, SPREAD_PER_SECOND = 0.12, 0.5
"""How far from the prediction somebody is found again, body sizes: at once, and more for each second."""

SIZE_SPREAD = 0.3
"""By how much the logarithm of the size differs between two sightings of one person."""

FEW = 3
"""So many joints say nothing of a size."""

STRANGERS = 0.3
"""What must be explained by somebody who has nothing to do with any other end: weight of that possibility."""


class Ends(NamedTuple):
    """One end of each of N tracks: the last or the first that was seen of it."""

    seconds: Array
    """(N,)."""
    xy: Array
    """(N, K, 2), pixels."""
    found: Mask
    """(N, K)."""
    velocity: Array
    """(N, 2), pixels a second."""
    size: Array
    """(N,), body sizes in pixels, above 0."""

    def take(self, rows: npt.NDArray[np.intp]) -> Ends:
        """Some of them."""
        return Ends(self.seconds[rows], self.xy[rows], self.found[rows], self.velocity[rows], self.size[rows])


def stacked(ends: Sequence[Ends]) -> Ends:
    """Several as one; at least one."""
    return Ends(
        seconds=np.concatenate([end.seconds for end in ends]),
        xy=np.concatenate([end.xy for end in ends]),
        found=np.concatenate([end.found for end in ends]),
        velocity=np.concatenate([end.velocity for end in ends]),
        size=np.concatenate([end.size for end in ends]),
    )


def end_of(seconds: Array, xy: Array, found: Mask, score: Array, *, last: bool) -> Ends:
    """One end of one track, N = 1: the last (or the first) pose that is not much weaker than those beside it.

    Args:
        seconds: (n,), ascending, n > 0.
        xy: (n, K, 2), pixels.
        found: (n, K).
        score: (n,).
        last: The last end, else the first.
    """
    near = np.abs(seconds - seconds[-1 if last else 0]) <= BESIDE_SECONDS
    good = near & (score >= WEAK * score[near].max())
    seconds, xy, found = seconds[good], xy[good], found[good]
    at = len(seconds) - 1 if last else 0
    near = np.abs(seconds - seconds[at]) <= VELOCITY_SECONDS + 1e-9
    size = body_size(xy[near], found[near]).max(initial=MIN_SIZE_PIXELS)
    here = np.repeat(xy[at : at + 1], near.sum(), axis=0)
    way, shared = moved(here, xy[near], found[near] & found[at])
    time = np.where(shared, seconds[near] - seconds[at], 0.0)
    spread = (time * time).sum()
    velocity = (way * time[:, None]).sum(axis=0) / spread if spread > 0 else np.zeros(2)  # least squares through `at`
    return Ends(seconds[at : at + 1], xy[at : at + 1], found[at : at + 1], velocity[None], np.array([size]))


def moved(a: Array, b: Array, shared: Mask) -> tuple[Array, Mask]:
    """From one pose of P pairs to the other: mean over shared joints (P, 2), and whether there are any (P,).

    Args:
        a: (P, K, 2).
        b: (P, K, 2).
        shared: (P, K), joints that both have.
    """
    count = shared.sum(axis=1)
    weight = shared / np.maximum(count, 1)[:, None]
    way: Array = np.einsum("pkc,pk->pc", b - a, weight)
    return way, count > 0


def damped(seconds: Array) -> Array:
    """For how long somebody who slows down would have gone on at full speed."""
    way: Array = DAMPING_SECONDS * (1 - np.exp(-np.abs(seconds) / DAMPING_SECONDS))
    return way


def likeness(a: Ends, b: Ends) -> Array:
    """How well the beginnings `b` go on where `a` ended, (P,) in 0..1: place, speed and size.

    The place is predicted forwards from `a` and backwards from `b`; the longer the time between, the vaguer.
    """
    gap = b.seconds - a.seconds
    size = np.maximum(a.size, b.size)
    shared = a.found & b.found
    way, some = moved(a.xy, b.xy, shared)
    way = np.where(some[:, None], way, centres(b.xy, b.found) - centres(a.xy, a.found))
    run = damped(gap)[:, None]
    off = (np.hypot(*(way - a.velocity * run).T) + np.hypot(*(way - b.velocity * run).T)) / 2 / size
    spread = SPREAD + SPREAD_PER_SECOND * np.maximum(gap, 0)
    value: Array = np.exp(-0.5 * ((off / spread) ** 2 + (_growth(a, b, shared) / SIZE_SPREAD) ** 2))
    return value


def confidence(value: Array, first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]) -> Array:
    """How sure each of P continuations is, given its rivals: other beginnings for the end, other ends for it.

    Args:
        value: (P,), of `likeness`.
        first: (P,), number of the track that ends, from 0.
        second: (P,), number of the track that begins, from 0.

    >>> confidence(np.array([1.0, 0.4, 0.4]), np.array([0, 1, 1]), np.array([0, 1, 2])).round(2)
    array([0.99, 0.4 , 0.4 ])
    """
    rivals = np.bincount(first, value)[first] + np.bincount(second, value)[second] - value
    sure: Array = value / (rivals + STRANGERS * (1.05 - value))  # of two alike, neither reaches a half
    return sure


def _growth(a: Ends, b: Ends, shared: Mask) -> Array:
    """(P,): logarithm of how much larger the second is, by the joints that both have; 0 where they tell nothing."""
    tells = shared.sum(axis=1) > FEW
    sizes = [np.where(tells, np.maximum(body_size(end.xy, shared), MIN_SIZE_PIXELS), 1.0) for end in (a, b)]
    growth: Array = np.log(sizes[1] / sizes[0])
    return growth


def centres(xy: Array, found: Mask) -> Array:
    """Mean of the found joints of N poses, (N, 2)."""
    weight = found / np.maximum(found.sum(axis=1, keepdims=True), 1)
    centre: Array = np.einsum("nkc,nk->nc", xy, weight)
    return centre
