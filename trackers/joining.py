"""Broken tracks joined over gaps, and the best N people of a video where their number is known.

Letters: M tracks, P pairs of tracks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from trackers.continuity import Ends, confidence, end_of, likeness, stacked
from trackers.oks import Array
from trackers.table import Mask, Rows, TrackTable, usual_step

__all__ = ["Join", "join_tracks", "keep_people"]

BREAK_COSTS = 1.0
"""What a join that fits not at all costs, in seconds of a person of score 1: with a known number of people, a piece
that is worth less than the joins that it needs is left out."""


@dataclass(frozen=True, slots=True)
class Join:
    """Two pieces that became one track."""

    tracks: tuple[int, int]
    """The identity that stays, and the one that it takes over."""

    seconds: float
    """When the second piece begins."""

    gap_seconds: float
    """How long nobody was seen."""

    confidence: float
    """How sure it is that they are one person, 0..1."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pieces:
    """The tracks as they are joined."""

    track_id: npt.NDArray[np.int64]
    """(M,)."""
    first: npt.NDArray[np.int64]
    """(M,): frame of the first sighting."""
    last: npt.NDArray[np.int64]
    """(M,): frame of the last sighting."""
    starts: Ends
    stops: Ends
    worth: Array
    """(M,): seconds times score."""


def join_tracks(table: TrackTable, *, max_gap_seconds: float, min_confidence: float) -> tuple[TrackTable, list[Join]]:
    """Join pieces of which one goes on where the other ended, the surest first, until nothing more is sure enough.

    A confidence weighs how well place, speed and size agree against all rivals, and against strangers.

    Args:
        table: All poses; only observed ones count.
        max_gap_seconds: Longest time that nobody was seen.
        min_confidence: Least sure join that is made, 0..1.
    """
    joins: list[Join] = []
    while True:
        pieces = _pieces(table)
        if pieces is None:
            return table, joins
        a, b = _pairs(table, pieces, max_gap_seconds)
        same_shot = _in_one_shot(table, pieces, a, b)
        a, b = a[same_shot], b[same_shot]
        sure = confidence(likeness(pieces.stops.take(a), pieces.starts.take(b)), a, b)
        ended, begun, new = set(), set(), []
        for pair in np.argsort(-sure, kind="stable").tolist():
            if sure[pair] < min_confidence or sure[pair] <= 0:
                break
            m, n = int(a[pair]), int(b[pair])
            if m not in ended and n not in begun:
                ended.add(m)
                begun.add(n)
                new.append((m, n, float(sure[pair])))
        if not new:
            return table, joins
        table, made = _joined(table, pieces, new)
        joins += made


def keep_people(table: TrackTable, people: int) -> tuple[TrackTable, list[Join]]:
    """The best `people` tracks, joined from pieces over gaps of any length; all other poses lose their identity.

    Together the tracks hold as many seconds of sure poses as possible, less what their joins cost. This is a cover of M
    pieces by N paths, solved at once: in an assignment of ends to beginnings, N sources begin paths, N sinks end them,
    and a piece that is assigned to itself is left out.
    """
    pieces = _pieces(table)
    if pieces is None:
        return table, []
    M, N = len(pieces.track_id), people
    a, b = _pairs(table, pieces, np.inf)
    fit = likeness(pieces.stops.take(a), pieces.starts.take(b))
    fit[~_in_one_shot(table, pieces, a, b)] = 0  # where they were says nothing there
    gain = np.full((N + M, N + M), -np.inf)  # rows: sources, ends; columns: sinks, beginnings
    gain[:, :N] = 0
    gain[:N, N:] = pieces.worth
    gain[N + a, N + b] = pieces.worth[b] - BREAK_COSTS * (1 - fit)
    gain[N + np.arange(M), N + np.arange(M)] = 0
    rows, columns = linear_sum_assignment(np.where(np.isfinite(gain), gain, -1e9), maximize=True)
    value = dict(zip(zip(a.tolist(), b.tolist(), strict=True), fit.tolist(), strict=True))
    links, used = [], np.ones(M, dtype=bool)
    for row, column in zip((rows - N).tolist(), (columns - N).tolist(), strict=True):
        if row == column >= 0:
            used[row] = False
        elif row >= 0 and column >= 0:
            links.append((row, column, value[row, column]))
    left_out = pieces.track_id[~used]
    table = table.with_tracks(np.where(np.isin(table.track_id, left_out), -1, table.track_id))
    return _joined(table, pieces, links)


def _pieces(table: TrackTable) -> _Pieces | None:
    """The tracks, None where there are none. Identities that were never seen are none."""
    tracks = list(table.tracks(observed=True))
    if not tracks:
        return None
    seconds, found, xy = table.seconds, table.found, table.xy.astype(np.float64)
    score = table.score.astype(np.float64)
    step = usual_step(table.times) or 1.0

    def ends(*, last: bool) -> Ends:
        return stacked([end_of(seconds[r], xy[r], found[r], score[r], last=last) for _, r in tracks])

    return _Pieces(
        track_id=np.array([track for track, _ in tracks], dtype=np.int64),
        first=np.array([table.frame[rows[0]] for _, rows in tracks]),
        last=np.array([table.frame[rows[-1]] for _, rows in tracks]),
        starts=ends(last=False),
        stops=ends(last=True),
        worth=np.array([score[rows].sum() * step for _, rows in tracks]),
    )


def _pairs(table: TrackTable, pieces: _Pieces, max_gap_seconds: float) -> tuple[Rows, Rows]:
    """Pieces (P,), (P,) of which the second begins after the first has ended, and not too long after."""
    gap = table.times[pieces.first][None] - table.times[pieces.last][:, None]
    a, b = ((pieces.first[None] > pieces.last[:, None]) & (gap <= max_gap_seconds)).nonzero()
    return a, b


def _in_one_shot(table: TrackTable, pieces: _Pieces, a: Rows, b: Rows) -> Mask:
    """(P,): whether the pieces `b` begin in the shot in which the pieces `a` end."""
    same: Mask = table.shot(pieces.last[a]) == table.shot(pieces.first[b])
    return same


def _joined(table: TrackTable, pieces: _Pieces, links: list[tuple[int, int, float]]) -> tuple[TrackTable, list[Join]]:
    """The table with some pieces joined; chains take the identity of their first piece."""
    before = {second: first for first, second, _ in links}
    joins, name = [], {int(track): int(track) for track in pieces.track_id}
    for first, second, sure in sorted(links, key=lambda link: int(pieces.first[link[1]])):
        root = first
        while root in before:
            root = before[root]
        name[int(pieces.track_id[second])] = int(pieces.track_id[root])
        began, ended = table.times[pieces.first[second]], table.times[pieces.last[first]]
        pair = (int(pieces.track_id[root]), int(pieces.track_id[second]))
        joins.append(Join(pair, float(began), float(began - ended), round(sure, 3)))
    track_id = np.array([name.get(track, track) for track in table.track_id.tolist()], dtype=np.int64)
    return table.renamed(track_id), joins
