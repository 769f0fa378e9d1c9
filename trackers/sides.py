"""Left and right put back where they were exchanged for some frames.

Letters: n rows of a track, G pairs of mirrored joints, K joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from trackers.continuity import MIN_SIZE_PIXELS
from trackers.oks import Array, Mask
from trackers.table import Rows, TrackTable

__all__ = ["repair_sides"]

STEP_SIZES = 0.05
"""By so many body sizes a joint lies beside where its last two places would have it."""

MOST = 16.0
"""Most that one joint may cost in a step: one wild joint decides nothing."""

EXCHANGED_COSTS = 0.1
"""What each pair costs in each frame in which it is taken to be exchanged: in the long run the network is right."""

CHANGE_COSTS = 2.0
"""What each change costs: without a clear leap nothing is exchanged."""

PAUSE_SECONDS = 0.3
"""Across longer pauses nothing is compared."""


def repair_sides(table: TrackTable, *, groups: Sequence[Sequence[tuple[int, int]]]) -> tuple[TrackTable, int]:
    """Exchange left and right again where continuity says that they were exchanged for some frames.

    For each track and group of pairs, the cheapest sequence of "as it is" and "exchanged": a joint costs by how far it
    lies from where it would be by its last two places (Viterbi over pairs of states). What is not exchanged most of
    the time stays as it is, so a person who is seen the wrong way round throughout is not turned.

    Args:
        table: All poses.
        groups: Pairs (left, right) of joints that are exchanged together, as of the arms.

    Returns:
        The table, and how many groups were exchanged, counted in every frame.
    """
    xy, joint_score, raw = table.xy.copy(), table.joint_score.copy(), table.raw_xy.copy()
    size = np.maximum(table.size, MIN_SIZE_PIXELS)
    changed = 0
    for _, rows in table.tracks():
        seconds = table.seconds[rows]
        cut = np.diff(table.shot(table.frame[rows])) > 0
        pause = np.concatenate([[True], cut | (np.diff(seconds) > PAUSE_SECONDS) | (np.diff(seconds) <= 0)])
        for part in np.split(rows, pause.nonzero()[0][1:]):
            for group in groups:
                pairs = np.array(group, dtype=np.intp).reshape(-1, 2)
                wrong = part[_exchanged(table, part, pairs, size[part])]
                changed += len(wrong)
                here, there = np.ix_(wrong, pairs.reshape(-1)), np.ix_(wrong, pairs[:, ::-1].reshape(-1))
                for values in (xy, joint_score, raw):
                    values[here] = values[there]
    return replace(table, xy=xy, joint_score=joint_score, raw_xy=raw), changed


def _exchanged(table: TrackTable, rows: Rows, pairs: npt.NDArray[np.intp], size: Array) -> Mask:
    """(n,): where the pairs (G, 2) of one track are exchanged."""
    n = len(rows)
    if n < 3 or not len(pairs):
        return np.zeros(n, dtype=bool)
    places = table.xy[rows][:, pairs].astype(np.float64)  # (n, G, 2 sides, 2)
    found = table.found[rows][:, pairs]
    sides = (places, places[:, :, ::-1])
    seen = (found, found[:, :, ::-1])
    seconds = table.seconds[rows]
    step = np.diff(seconds)
    ratio = np.concatenate([[0.0, 0.0], step[1:] / step[:-1]])[:, None, None, None]
    cost = np.zeros((n, 2, 2, 2))  # of a step to each frame, by the states two before, one before, and now
    for before in (0, 1):
        for last in (0, 1):
            for now in (0, 1):
                ahead = sides[last][1:-1] + ratio[2:] * (sides[last][1:-1] - sides[before][:-2])
                three = seen[now][2:] & seen[last][1:-1] & seen[before][:-2]
                two = seen[now][2:] & seen[last][1:-1] & ~three
                off = np.where(three[..., None], sides[now][2:] - ahead, sides[now][2:] - sides[last][1:-1])
                far = np.hypot(off[..., 0], off[..., 1]) / size[2:, None, None] / STEP_SIZES
                each = np.minimum(np.where(three, far**2 / 6, far**2 / 2), MOST) * (three | two)
                cost[2:, before, last, now] = each.sum(axis=(1, 2))
    for last in (0, 1):
        for now in (0, 1):
            both = seen[last][0] & seen[now][1]
            off = sides[now][1] - sides[last][0]
            far = np.hypot(off[..., 0], off[..., 1]) / size[1] / STEP_SIZES
            cost[1, :, last, now] = (np.minimum(far**2 / 2, MOST) * both).sum()
    cost[:, :, :, 1] += EXCHANGED_COSTS * len(pairs)
    cost[1:, :, [0, 1], [1, 0]] += CHANGE_COSTS
    exchanged: Mask = _cheapest(cost) == 1
    return exchanged


def _cheapest(cost: Array) -> npt.NDArray[np.intp]:
    """(n,): the states 0 or 1 of least total cost (n, before, last, now); the first two steps have fewer states."""
    n = len(cost)
    begin = cost[0, 0, 0]  # (now,)
    total = begin[:, None] + cost[1, 0]  # (last, now)
    choice = np.zeros((n, 2, 2), dtype=np.intp)
    for t in range(2, n):
        every = total[:, :, None] + cost[t]  # (before, last, now)
        choice[t] = every.argmin(axis=0)
        total = every.min(axis=0)
    states = np.zeros(n, dtype=np.intp)
    states[-2], states[-1] = np.unravel_index(total.argmin(), (2, 2))
    for t in range(n - 1, 1, -1):
        states[t - 2] = choice[t, states[t - 1], states[t]]
    return states
