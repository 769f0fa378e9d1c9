"""What is remembered of tracks that go by, whoever made them: where each was seen well last, and how it moved.

Letters: M tracks that are remembered, N people that are seen, K joints.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trackers.continuity import WEAK, Ends, centres, moved
from trackers.oks import Array, Mask
from trackers.table import Rows

__all__ = ["Known", "Seen", "error", "errors"]

VELOCITY_SECONDS = 0.15
"""Time constant of the mean of the velocity."""


class Seen(NamedTuple):
    """The people of a frame that count."""

    track_id: npt.NDArray[np.int64]
    """(N,), each once."""
    xy: Array
    found: Mask
    score: Array
    size: Array

    def take(self, rows: Rows | Mask) -> Seen:
        """Some of them."""
        return Seen(self.track_id[rows], self.xy[rows], self.found[rows], self.score[rows], self.size[rows])


class Known:
    """The tracks that are remembered; row m of every array belongs to track m."""

    def __init__(self, joints: int) -> None:
        self.track_id = np.zeros(0, dtype=np.int64)
        self.began: Array = np.zeros(0)
        """(M,): when each was seen first."""
        self.seen: Array = np.zeros(0)
        """(M,): when each was seen last."""
        self.seconds: Array = np.zeros(0)
        """(M,): when it was seen well last; what follows is of then."""
        self.score: Array = np.zeros(0)
        self.xy: Array = np.zeros((0, joints, 2))
        self.found: Mask = np.zeros((0, joints), dtype=bool)
        self.velocity: Array = np.zeros((0, 2))
        self.weight: Array = np.zeros(0)
        """(M,): how much of the mean of the velocity is measured, 0..1."""
        self.size: Array = np.zeros(0)

    _NAMES = ("track_id", "began", "seen", "seconds", "score", "xy", "found", "velocity", "weight", "size")

    def keep(self, rows: Mask) -> None:
        """Forget all others."""
        for name in self._NAMES:
            setattr(self, name, getattr(self, name)[rows])

    def ends(self, rows: npt.ArrayLike) -> Ends:
        """Where some tracks are, as far as seen."""
        at = np.asarray(rows, dtype=np.intp)
        speed = self.velocity[at] / np.maximum(self.weight[at], 1e-9)[:, None]
        return Ends(self.seconds[at], self.xy[at], self.found[at], speed, self.size[at])

    def rows_of(self, track_id: npt.NDArray[np.int64]) -> Rows:
        """Rows of some identities; -1 for those that are not remembered."""
        place = {track: row for row, track in enumerate(self.track_id.tolist())}
        return np.array([place.get(track, -1) for track in track_id.tolist()], dtype=np.intp)

    def see(self, seconds: float, new: Seen) -> None:
        """Take in what a frame shows.

        A pose much weaker than the track's others shows that it is there, not where: who walks behind a wall ends as a
        fragment.
        """
        row = self.rows_of(new.track_id)
        known = row >= 0
        self.seen[row[known]] = seconds
        good = known.copy()
        good[known] = new.score[known] >= WEAK * self.score[row[known]]
        self._go_on(row[good], seconds, new.take(good))
        count = int((~known).sum())
        if count:
            add, now = new.take(~known), np.full(count, seconds)
            speed, weight = np.zeros((count, 2)), np.zeros(count)
            more = (add.track_id, now, now, now, add.score, add.xy, add.found, speed, weight, add.size)
            for name, values in zip(self._NAMES, more, strict=True):
                setattr(self, name, np.concatenate([getattr(self, name), values]))

    def _go_on(self, rows: Rows, seconds: float, new: Seen) -> None:
        if not len(rows):
            return
        way, shared = moved(self.xy[rows], new.xy, self.found[rows] & new.found)
        step = np.maximum(seconds - self.seconds[rows], 0)
        part = np.where(shared, 1 - np.exp(-step / VELOCITY_SECONDS), 0.0)
        speed = way / np.where(step > 0, step, 1.0)[:, None]
        self.velocity[rows] += part[:, None] * (speed - self.velocity[rows])
        self.weight[rows] += part * (1 - self.weight[rows])
        fade = np.exp(-step)  # a body half hidden is not a smaller body, and a pose half hidden no weaker person
        for old, now in ((self.size, new.size), (self.score, new.score)):
            old[rows] = np.maximum(now, now + (old[rows] - now) * fade)
        self.seconds[rows], self.xy[rows], self.found[rows] = seconds, new.xy, new.found


def errors(ahead: Array, ends: Ends, seen: Seen, reach: Array) -> Array:
    """(M, N): mean distance of the joints of M predictions and N poses, body sizes; infinite beyond `reach` (M, N)."""
    result = np.full((len(ahead), len(seen.xy)), np.inf)
    centre = centres(ahead, ends.found)[:, None] - centres(seen.xy, seen.found)[None]
    near = np.hypot(centre[..., 0], centre[..., 1]) <= reach * np.maximum(ends.size[:, None], seen.size[None])
    m, n = near.nonzero()
    result[m, n] = error(ahead[m], ends.take(m), seen.take(n))
    return result


def error(ahead: Array, ends: Ends, seen: Seen) -> Array:
    """Mean distance of the joints of P predictions and poses, (P,), body sizes; of centres where no joint is shared."""
    shared = ends.found & seen.found
    gap = ahead - seen.xy
    away = (np.hypot(gap[..., 0], gap[..., 1]) * shared).sum(axis=1) / np.maximum(shared.sum(axis=1), 1)
    apart = np.hypot(*(centres(ahead, ends.found) - centres(seen.xy, seen.found)).T)
    value: Array = np.where(shared.any(axis=1), away, apart) / np.maximum(ends.size, seen.size)
    return value
