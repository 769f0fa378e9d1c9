"""Short gaps of tracks filled between two sightings.

Letters: R rows, K joints.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from trackers.table import INTERPOLATED, OBSERVED, Rows, TrackTable

__all__ = ["fill_gaps"]

MIDDLE_SCORE = 0.5
"""In the middle of the longest gap, scores are this part of those at its ends."""


def fill_gaps(table: TrackTable, *, limit_seconds: float, joints: bool = False) -> tuple[TrackTable, dict[str, int]]:
    """Fill what lies between two sightings of a track that are at most `limit_seconds` apart, on a straight line.

    A joint is filled where both sightings have it. Scores are the lower ones of the two, and fall towards the middle.
    Predicted poses in such a gap are replaced: both of its ends are known now.

    Args:
        table: All poses.
        limit_seconds: Time from the last sighting before a gap to the first one after it; longer gaps stay.
        joints: Also fill joints that are missing in poses that were seen, between two frames in which they were found.

    Returns:
        The table, and how many poses were filled, predicted ones replaced and joints filled.
    """
    filled_joints = 0
    if joints:
        xy, joint_score = table.xy.copy(), table.joint_score.copy()
        for _, seen in table.tracks(observed=True):
            filled_joints += _fill_joints(table, seen, xy, joint_score, limit_seconds)
        table = replace(table, xy=xy, joint_score=joint_score)
    new: list[TrackTable] = []
    drop = np.zeros(len(table), dtype=bool)
    for track, rows in table.tracks():
        seen = rows[table.origin[rows] == OBSERVED]
        frame = table.frame[seen]
        gap = np.diff(table.times[frame])
        same_shot = np.diff(table.shot(frame)) == 0
        for at in ((np.diff(frame) > 1) & same_shot & (gap >= 0) & (gap <= limit_seconds)).nonzero()[0].tolist():
            new.append(_between(table, track, int(seen[at]), int(seen[at + 1]), limit_seconds))
            drop[rows[(table.frame[rows] > frame[at]) & (table.frame[rows] < frame[at + 1])]] = True
    predicted = int((drop & (table.origin != INTERPOLATED)).sum())
    filled = sum(len(more) for more in new) - int(drop.sum()) + predicted
    return table[~drop].joined_with(*new), {"poses": filled, "replaced": predicted, "joints": filled_joints}


def _between(table: TrackTable, track: int, row: int, then: int, limit: float) -> TrackTable:
    """The poses of one gap."""
    frame = np.arange(table.frame[row] + 1, table.frame[then])
    missing = len(frame)
    begin, end = table.times[table.frame[[row, then]]]
    part = _parts(table.times[frame], begin, end)
    fade = _fade(table.times[frame], begin, end, limit)
    shared = table.found[row] & table.found[then]
    a, b = table.xy[row].astype(np.float64), table.xy[then].astype(np.float64)
    xy = np.where(shared[:, None], a + part[:, None, None] * (b - a), 0).astype(np.float32)
    lower = np.where(shared, np.minimum(table.joint_score[row], table.joint_score[then]), 0)
    return replace(
        table,
        frame=frame,
        xy=xy,
        joint_score=(fade[:, None] * lower).astype(np.float32),
        score=(fade * min(table.score[row], table.score[then])).astype(np.float32),
        track_id=np.full(missing, track, dtype=np.int64),
        origin=np.full(missing, INTERPOLATED, dtype=np.uint8),
        raw_xy=np.full_like(xy, np.nan),
        appearance=np.zeros((missing, table.appearance.shape[1]), dtype=np.uint8),
    )


def _fill_joints(
    table: TrackTable,
    rows: Rows,
    xy: npt.NDArray[np.float32],
    joint_score: npt.NDArray[np.float32],
    limit: float,
) -> int:
    """Fill the joints that the sightings `rows` of a track lack, in place; gives how many."""
    seconds, shot, filled = table.seconds[rows], table.shot(table.frame[rows]), 0
    for joint in range(table.xy.shape[1]):
        has = table.found[rows, joint].nonzero()[0]
        for a, b in zip(has[:-1].tolist(), has[1:].tolist(), strict=True):
            if b - a == 1 or seconds[b] - seconds[a] > limit or shot[b] != shot[a]:
                continue
            inside, ends = rows[a + 1 : b], rows[[a, b]]
            part = _parts(seconds[a + 1 : b], seconds[a], seconds[b])
            here, there = table.xy[ends, joint].astype(np.float64)
            xy[inside, joint] = here + part[:, None] * (there - here)
            fade = _fade(seconds[a + 1 : b], seconds[a], seconds[b], limit)
            joint_score[inside, joint] = fade * table.joint_score[ends, joint].min()
            filled += b - a - 1
    return filled


def _parts(seconds: npt.NDArray[np.float64], begin: float, end: float) -> npt.NDArray[np.float64]:
    """Where times lie between two others, 0..1."""
    return (seconds - begin) / (end - begin) if end > begin else np.full(len(seconds), 0.5)


def _fade(seconds: npt.NDArray[np.float64], begin: float, end: float, limit: float) -> npt.NDArray[np.float64]:
    """By how much scores fall, the farther from both ends."""
    away = np.minimum(seconds - begin, end - seconds)
    fade: npt.NDArray[np.float64] = MIDDLE_SCORE ** (away / (limit / 2))
    return fade
