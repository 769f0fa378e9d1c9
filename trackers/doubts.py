"""Where identities may be wrong: suspected swaps and breaks, found while the tracks go by.

The search stands on what was written, not on how it came to be: it works on any tracker's tracks. Memory is bounded by
the people of the last few seconds, the doubts, and a number for each identity.

Letters: M tracks that are remembered, N tracks that are seen, P pairs of tracks, K joints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from trackers.continuity import MIN_SIZE_PIXELS, Ends, confidence, damped, likeness
from trackers.oks import body_size
from trackers.sightings import Known, Seen, error, errors
from trackers.table import OBSERVED, Rows, TrackTable

__all__ = ["Doubt", "DoubtFinder", "find_doubts"]

MEMORY_SECONDS = 3.0
"""A track unseen for longer is over; who begins later is no continuation of it."""

START_SECONDS = 0.2
"""So much of a beginning track is looked at to know its speed."""

NEAR_SIZES = 2.0
"""People whose centres are farther apart than so many body sizes are not compared."""

SLACK_SIZES = 0.5
"""So many are compared even where both are just where they were expected."""

CALM_SECONDS = 0.4
"""Two tracks that nobody could confuse for so long have parted."""

MARGIN_SIZES = 0.12
"""Where the other explanation fits worse by no more than this, two people could be confused."""

EVEN_SIZES, SLOPE = -0.2, 5.0
"""Where the other explanation fits better by a fifth, half of the doubts are right, and more the better it fits:
logistic, fitted to the ground truth of PoseTrack and drawn crossings."""

JUMP_SIZES = 0.7
"""A leap of so many body sizes in a moment, beyond what the speed explains, is as likely a mistake as not."""

RETURN_SECONDS = 0.5
"""Who was not seen for longer has come back."""

RETURN_WRONG = 0.4
"""So many of those who come back where nobody would expect them are somebody else."""

LEAST = 0.2
"""Doubts less sure than this are not told."""

Kind = Literal["swap", "jump", "return", "break"]


@dataclass(frozen=True, slots=True)
class Doubt:
    """One place to look at."""

    seconds: float
    """Presentation time of the frame."""

    frame: int
    """Index of the frame, as it was handed in."""

    kind: Kind
    """`swap`: two tracks may have changed their people; `jump`: one track may have gone over to somebody else;
    `return`: who comes back under an old identity may be somebody else; `break`: the second track may be the person of
    the first."""

    tracks: tuple[int, ...]
    """The identities that it is about; of a break in order of time."""

    why: str
    """What was seen, in one sentence."""

    confidence: float
    """How sure it is that something is wrong, 0..1."""


class _Break(NamedTuple):
    """A track that began after another had ended near by."""

    seconds: float
    frame: int
    tracks: tuple[int, int]
    gap: float
    """Seconds since the first was seen."""
    value: float
    """How well the one goes on where the other ended, `likeness`."""


@dataclass(slots=True)
class _Meeting:
    """Two tracks that could be confused, at the worst moment."""

    margin: float
    """By how much the other explanation fitted worse, body sizes."""
    seconds: float
    frame: int
    hidden: bool
    """One of them was not seen."""
    last_seconds: float
    """When they could be confused last."""


class DoubtFinder:
    """Looks at frame after frame of one video; `close` gives the doubts."""

    def __init__(self, *, joints: int) -> None:
        """Start with nobody, of a skeleton with so many joints."""
        self._known = Known(joints)
        self._meetings: dict[tuple[int, int], _Meeting] = {}
        self._met: set[int] = set()
        self._starts: dict[int, tuple[Ends, int]] = {}
        self._jumps: dict[int, Doubt] = {}
        self._open: list[_Break] = []  # the first of the two may still come back
        self._breaks: list[_Break] = []
        self._doubts: list[Doubt] = []

    def add(
        self,
        *,
        index: int,
        seconds: float,
        xy: npt.NDArray[np.floating],
        joint_score: npt.NDArray[np.floating],
        score: npt.NDArray[np.floating],
        track_id: npt.NDArray[np.int64],
        origin: npt.NDArray[np.uint8],
        cut: bool = False,
    ) -> None:
        """The people of the next frame, as in `TrackTable`; only observed ones with an identity count.

        Where a new shot begins (`cut`), or the clock starts anew, nothing can be compared with what was before.
        """
        rows = np.flatnonzero((track_id >= 0) & (origin == OBSERVED) & (joint_score > 0).any(axis=1))
        places, found = xy[rows].astype(np.float64), joint_score[rows] > 0
        size = np.maximum(body_size(places, found), MIN_SIZE_PIXELS)
        seen = Seen(track_id[rows], places, found, score[rows].astype(np.float64), size)
        known = self._known
        self._forget(math.inf if cut or seconds < known.seen.max(initial=-math.inf) else seconds)
        row = known.rows_of(seen.track_id)
        before, at = seen.take(row >= 0), row[row >= 0]
        if len(at):
            self._compare(index, seconds, before, at)
        for n in np.flatnonzero(row < 0).tolist():
            one, track = seen.take(np.array([n])), int(seen.track_id[n])
            if track not in self._met:  # who comes back after long is nobody's continuation
                start = Ends(np.full(1, seconds), one.xy, one.found, np.zeros((1, 2)), one.size)
                self._starts[track] = start, index
                self._met.add(track)
        known.see(seconds, seen)
        now = set(seen.track_id.tolist())
        self._open = [item for item in self._open if item.tracks[0] not in now]  # who comes back was not continued
        self._begun(seconds)
        for pair, meeting in list(self._meetings.items()):
            if now.issuperset(pair) and seconds - meeting.last_seconds > CALM_SECONDS:
                self._doubts.append(_swap_doubt(pair, self._meetings.pop(pair)))

    def close(self) -> list[Doubt]:
        """End the video and give the doubts, in order of time."""
        self._forget(math.inf)
        doubts = [*self._doubts, *_break_doubts(self._breaks)]
        return sorted(doubts, key=lambda doubt: (doubt.frame, doubt.tracks, doubt.kind))

    def _forget(self, seconds: float) -> None:
        """Leave behind what is over at this time."""
        known = self._known
        over = seconds - known.seen > MEMORY_SECONDS
        if not over.any():
            return
        if seconds == math.inf:
            self._begun(seconds)
        gone = set(known.track_id[over].tolist())
        for pair in [pair for pair in self._meetings if gone.intersection(pair)]:
            self._doubts.append(_swap_doubt(pair, self._meetings.pop(pair)))
        self._doubts += [self._jumps.pop(track) for track in sorted(gone & self._jumps.keys())]
        self._breaks += [item for item in self._open if item.tracks[0] in gone]
        self._open = [item for item in self._open if item.tracks[0] not in gone]
        known.keep(~over)

    def _compare(self, index: int, seconds: float, seen: Seen, row: Rows) -> None:
        """Could somebody who is seen, and is remembered in `row` (N,), be another one who is remembered?"""
        known = self._known
        ends = known.ends(np.arange(len(known.track_id)))
        ahead = ends.xy + (ends.velocity * damped(seconds - ends.seconds)[:, None])[:, None]  # (M, K, 2)
        own = error(ahead[row], ends.take(row), seen)
        strayed = np.zeros(len(ahead))
        strayed[row] = own
        # Joints are apart by at least as much as centres, about: farther people cannot be confused.
        reach = np.minimum(strayed[:, None] + own + SLACK_SIZES, NEAR_SIZES)
        away = errors(ahead, ends, seen, reach)  # (M, N)
        for n in np.flatnonzero(own > JUMP_SIZES / 2).tolist():
            shared = ends.found[row[n]] & seen.found[n]
            if shared.any():  # the median: a wrong arm is no other person
                leap = float(np.median(np.hypot(*(ahead[row[n]] - seen.xy[n])[shared].T)))
                off = leap / float(max(ends.size[row[n]], seen.size[n]))
                self._jump(index, seconds, int(seen.track_id[n]), off, seconds - float(ends.seconds[row[n]]))
        self._returned(index, seconds, seen, row)
        column = np.full(len(known.track_id), -1)
        column[row] = np.arange(len(row))
        both = column >= 0
        margin = away - own  # (M, N): pose n as track m instead of its own
        margin[both] += away[row][:, column[both]].T - own[column[both], None]  # and track m as the other's
        margin[both] /= 2
        margin[row, np.arange(len(row))] = np.inf
        margin[known.seen[:, None] < known.began[row]] = (
            np.inf
        )  # who began after the other was gone: a break, if at all
        for m, n in zip(*(part.tolist() for part in (margin <= MARGIN_SIZES).nonzero()), strict=True):
            a, b = sorted((int(known.track_id[m]), int(seen.track_id[n])))
            meeting = self._meetings.get((a, b))
            if meeting is None or margin[m, n] < meeting.margin:
                worst = float(margin[m, n])
                self._meetings[a, b] = _Meeting(worst, seconds, index, bool(column[m] < 0), seconds)
            else:
                meeting.last_seconds = seconds

    def _returned(self, index: int, seconds: float, seen: Seen, row: Rows) -> None:
        """Who comes back after a while: is it the one who left?"""
        back = np.flatnonzero(seconds - self._known.seen[row] > RETURN_SECONDS)
        if not len(back):
            return
        who = seen.take(back)
        now = Ends(np.full(len(back), seconds), who.xy, who.found, np.zeros((len(back), 2)), who.size)
        gone = seconds - self._known.seen[row[back]]
        value = likeness(self._known.ends(row[back]), now)
        for track, unseen, likely in zip(who.track_id.tolist(), gone.tolist(), value.tolist(), strict=True):
            sure = RETURN_WRONG * (1 - likely)
            if sure >= LEAST:
                why = f"{track} comes back after {unseen:.2f} s elsewhere than expected"
                self._doubts.append(Doubt(seconds, index, "return", (track,), why, round(sure, 3)))

    def _jump(self, index: int, seconds: float, track: int, off: float, gap: float) -> None:
        sure = 1 / (1 + math.exp(min(6 * (1 - off / (JUMP_SIZES + gap)), 50)))
        if sure < LEAST:
            return
        why = f"{track} leaps {off:.1f} body sizes beyond what its speed explains"
        before = self._jumps.get(track)
        if before is not None and seconds - before.seconds <= CALM_SECONDS and before.confidence >= sure:
            return  # one leap, told once
        if before is not None and seconds - before.seconds > CALM_SECONDS:
            self._doubts.append(before)
        self._jumps[track] = Doubt(seconds, index, "jump", (track,), why, round(sure, 3))

    def _begun(self, seconds: float) -> None:
        """Tracks that have gone on for a while: whose continuation may they be?"""
        known = self._known
        for track, (start, index) in list(self._starts.items()):
            if seconds - start.seconds[0] < START_SECONDS:
                continue
            del self._starts[track]
            row = known.rows_of(np.array([track]))
            earlier = np.flatnonzero(known.seen < start.seconds[0])
            if row[0] < 0 or not len(earlier):
                continue
            begun = start._replace(velocity=known.ends(row).velocity)
            value = likeness(known.ends(earlier), begun.take(np.zeros(len(earlier), dtype=np.intp)))
            for other, likely in zip(earlier.tolist(), value.tolist(), strict=True):
                if likely >= LEAST / 2:
                    began, pair = float(start.seconds[0]), (int(known.track_id[other]), track)
                    self._open.append(_Break(began, index, pair, began - float(known.seen[other]), likely))


def find_doubts(table: TrackTable, *, index: npt.NDArray[np.int64] | None = None) -> list[Doubt]:
    """The doubts of a whole video.

    Args:
        table: All poses.
        index: (T,), numbers of its frames for the doubts; their positions without it.
    """
    finder = DoubtFinder(joints=table.xy.shape[1])
    edges = np.searchsorted(table.frame, np.arange(len(table.times) + 1))
    cuts = set(table.cuts.tolist())
    for position, seconds in enumerate(table.times.tolist()):
        rows = slice(int(edges[position]), int(edges[position + 1]))
        finder.add(
            index=position if index is None else int(index[position]),
            seconds=seconds,
            xy=table.xy[rows],
            joint_score=table.joint_score[rows],
            score=table.score[rows],
            track_id=table.track_id[rows],
            origin=table.origin[rows],
            cut=position in cuts,
        )
    return finder.close()


def _swap_doubt(pair: tuple[int, int], meeting: _Meeting) -> Doubt:
    """A meeting that is over."""
    sure = 1 / (1 + math.exp(max(SLOPE * (meeting.margin - EVEN_SIZES), -50)))
    fit = f"worse by only {meeting.margin:.2f}" if meeting.margin > 0 else f"better by {-meeting.margin:.2f}"
    why = f"{pair[0]} and {pair[1]} were close: the other way round would have fitted {fit} body sizes"
    if meeting.hidden:
        why += ", and one of them was hidden"
    return Doubt(meeting.seconds, meeting.frame, "swap", pair, why, round(sure, 3))


def _break_doubts(breaks: list[_Break]) -> list[Doubt]:
    """How sure each possible continuation is, given its rivals."""
    if not breaks:
        return []
    first = np.unique([item.tracks[0] for item in breaks], return_inverse=True)[1]
    second = np.unique([item.tracks[1] for item in breaks], return_inverse=True)[1]
    sure = confidence(np.array([item.value for item in breaks]), first, second)
    doubts = []
    for item, share in zip(breaks, sure.tolist(), strict=True):
        if share >= LEAST:
            a, b = item.tracks
            why = f"{b} begins {item.gap:.2f} s after {a} was last seen, where {a} would be by now"
            doubts.append(Doubt(item.seconds, item.frame, "break", item.tracks, why, round(share, 3)))
    return doubts
