"""Corrections by hand: a small text file of edits, read, checked and replayed on tracked poses.

    # one edit a line; what follows # is a remark
    swap 3 5 from 00:12.4
    swap 3 5 from 12.4 until 14
    merge 7 into 2
    delete 9
    delete 4 from 1:02.5
    split 4 at 00:04.0
    split 4 at 00:04.0 as 20
    person 3 at 00:12.0 near 320,180

Times are those of the column `seconds`: seconds, mm:ss.s or hh:mm:ss.s, with a minus where a video begins before 0.
`from` includes its frame, `until` does not; both may lie outside of the video, `at` may not.
Edits are replayed in order, each on what the ones above left. `person` holds a name to a place: in the lines below it,
3 is whoever stands there at that time, whatever the number is by now; where nobody does, the file does not apply.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from posetrack_app.errors import InputError, nearest
from trackers.table import OBSERVED, Mask, TrackTable, usual_step

__all__ = ["FORMS", "Edit", "clock", "parse_edits", "read_edits", "replay", "seconds_of"]

Verb = Literal["swap", "merge", "delete", "split", "person"]

FORMS: dict[Verb, str] = {
    "swap": "swap 3 5 from 00:12.4 [until 00:14]",
    "merge": "merge 7 into 2 [from 00:12.4] [until 00:14]",
    "delete": "delete 9 [from 00:12.4] [until 00:14]",
    "split": "split 4 at 00:04.0 [as 20]",
    "person": "person 3 at 00:12.4 near 320,180",
}
"""How each edit is written."""

_ID, _TIME = r"(\d{1,18})", r"(\S+)"
_RANGE = rf"(?: from (?P<begin>{_TIME}))?(?: (?:until|to) (?P<end>{_TIME}))?"
_PLACE = r"(-?\d+(?:\.\d+)?) ?,? ?(-?\d+(?:\.\d+)?)"
_PATTERNS: dict[Verb, re.Pattern[str]] = {
    "swap": re.compile(rf"swap (?P<a>{_ID}) (?:and |with )?(?P<b>{_ID}){_RANGE}"),
    "merge": re.compile(rf"merge (?P<a>{_ID}) into (?P<b>{_ID}){_RANGE}"),
    "delete": re.compile(rf"delete (?P<a>{_ID}){_RANGE}"),
    "split": re.compile(rf"split (?P<a>{_ID}) at (?P<begin>{_TIME})(?: as (?P<b>{_ID}))?"),
    "person": re.compile(rf"person (?P<a>{_ID}) at (?P<begin>{_TIME}) near (?P<place>{_PLACE})"),
}

_MINUS = "\N{MINUS SIGN}"
"""What the page prints before negative times."""

_SAME_TIME = 0.00051
"""Seconds by which a time that somebody wrote may lie beside that of the frame it means: half of the last digit that
`clock` and the page print, and a little more, since many frames lie right between two of them."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One line."""

    line: int
    """Number of the line, from 1."""

    text: str
    """What stands there, without remarks."""

    verb: Verb
    """What is done."""

    first: int
    """The identity that it is done to."""

    second: int | None = None
    """The other identity; of `split` the new one, where it is given."""

    begin: float = -math.inf
    """Seconds, from which on."""

    end: float = math.inf
    """Seconds, before which."""

    place: tuple[float, float] | None = None
    """Of `person`: x, y in pixels."""


def seconds_of(text: str) -> float | None:
    """A time in seconds, or None where it is no time.

    >>> seconds_of("12.4"), seconds_of("-00:12.4"), seconds_of("1:00:02"), seconds_of("1:75")
    (12.4, -12.4, 3602.0, None)
    """
    found = re.fullmatch(rf"([-{_MINUS}]?)(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?)", text)
    if found is None:
        return None
    hours, minutes, seconds = found[2], found[3], float(found[4])
    if (minutes is not None and seconds >= 60) or (hours is not None and int(minutes) >= 60):
        return None
    total = 3600 * int(hours or 0) + 60 * int(minutes or 0) + seconds
    return -total if found[1] else total


def clock(seconds: float) -> str:
    """A time as edits have it.

    >>> clock(-12.4), clock(3602.04)
    ('-00:12.400', '1:00:02.040')
    """
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(abs(milliseconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if milliseconds < 0 else ""
    return sign + (f"{hours}:" if hours else "") + f"{minutes:02d}:{rest / 1000:06.3f}"


def read_edits(path: Path) -> list[Edit]:
    """The edits of a file.

    Raises:
        InputError: no such file, no text, or a line that is no edit.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return parse_edits(text, name=str(path))


def parse_edits(text: str, *, name: str = "edits") -> list[Edit]:
    """The edits of a text; `name` is for messages.

    Raises:
        InputError: a line that is no edit; names the line and what would be right.
    """
    edits = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = " ".join(line.partition("#")[0].split())
        if words:
            edits.append(_parse_line(number, words, where=f"{name}, line {number}"))
    return edits


def _parse_line(number: int, words: str, *, where: str) -> Edit:
    first = words.split(maxsplit=1)[0].casefold()
    verb: Verb | None = next((verb for verb in FORMS if verb == first), None)
    if verb is None:
        raise InputError(f"{where}: '{first}' is no edit; {nearest(first, FORMS)}")
    found = _PATTERNS[verb].fullmatch(words.casefold())
    if found is None:
        raise InputError(f"{where}: '{words}' is not understood; it should look like: {FORMS[verb]}")
    parts = found.groupdict()
    times = {key: seconds_of(parts[key]) for key in ("begin", "end") if parts.get(key)}
    for key, value in times.items():
        if value is None:
            raise InputError(f"{where}: '{parts[key]}' is no time; write seconds, mm:ss.s or hh:mm:ss.s, as in 00:12.4")
    edit = Edit(
        line=number,
        text=words,
        verb=verb,
        first=int(parts["a"]),
        second=int(parts["b"]) if parts.get("b") else None,
        begin=-math.inf if times.get("begin") is None else float(times["begin"] or 0),
        end=math.inf if times.get("end") is None else float(times["end"] or 0),
        place=_place(parts.get("place")),
    )
    if edit.first == edit.second:
        raise InputError(f"{where}: '{words}' names {edit.first} twice; it needs two identities")
    if not edit.begin < edit.end:
        raise InputError(f"{where}: '{words}' ends before it begins")
    return edit


def _place(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    x, y = re.split(r"[ ,]+", text.strip())
    return float(x), float(y)


def replay(table: TrackTable, edits: Sequence[Edit], *, name: str = "edits") -> tuple[TrackTable, list[str]]:
    """The table with all edits done, and what each of them did, in a line each.

    Raises:
        InputError: an edit that does not apply to these tracks; names its line and what is there instead.
    """
    names: dict[int, int] = {}
    next_id = max(table.ids, default=-1) + 1
    done = []
    for edit in edits:
        where = f"{name}, line {edit.line}: '{edit.text}' does not apply"
        if edit.verb == "person":
            names[edit.first] = _whose_place(table, edit, where)
            done.append(f"{edit.text}: that is {names[edit.first]}")
            continue
        first = names.get(edit.first, edit.first)
        if edit.verb == "split":
            given = edit.second if edit.second is not None else next_id
            table, note = _split(table, edit, first, given, where)
            names.pop(given, None)
            next_id = max(next_id, given + 1)
        else:
            second = None if edit.second is None else names.get(edit.second, edit.second)
            table, note = _CHANGES[edit.verb](table, edit, first, second, where)
        done.append(f"{edit.text}: {note}")
    return table, done


def _within(table: TrackTable, edit: Edit) -> Mask:
    """Rows in the time of an edit."""
    seconds = table.seconds
    inside: Mask = (seconds >= edit.begin - _SAME_TIME) & (seconds < edit.end - _SAME_TIME)
    return inside


def _rows(table: TrackTable, edit: Edit, track: int, where: str) -> Mask:
    """The rows of an identity that an edit is about; there must be some."""
    own = table.track_id == track
    if not own.any():
        ids = table.ids
        some = ", ".join(map(str, ids[:20])) + (", ..." if len(ids) > 20 else "")
        raise InputError(f"{where}: there is no {track}; there are: {some or 'none'}")
    rows: Mask = own & _within(table, edit)
    if not rows.any():
        times = table.seconds[own]
        raise InputError(f"{where}: {track} is there from {clock(times[0])} to {clock(times[-1])} only")
    return rows


def _swap(table: TrackTable, edit: Edit, first: int, second: int | None, where: str) -> tuple[TrackTable, str]:
    assert second is not None
    for track in (first, second):
        if not (table.track_id == track).any():
            _rows(table, edit, track, where)
    rows = [(table.track_id == track) & _within(table, edit) for track in (first, second)]
    if not (rows[0] | rows[1]).any():
        _rows(table, edit, first, where)
    track_id = table.track_id.copy()
    track_id[rows[0]], track_id[rows[1]] = second, first
    return table.with_tracks(track_id), f"{rows[0].sum()} and {rows[1].sum()} poses"


def _merge(table: TrackTable, edit: Edit, first: int, second: int | None, where: str) -> tuple[TrackTable, str]:
    assert second is not None
    rows = _rows(table, edit, first, where)
    if not (table.track_id == second).any():
        _rows(table, edit, second, where)
    other = table.track_id == second
    seen = table.origin == OBSERVED
    clash = np.intersect1d(table.frame[rows & seen], table.frame[other & seen])
    if len(clash):
        at = table.times[clash]
        raise InputError(
            f"{where}: {first} and {second} are both seen in {len(clash)} frames, from {clock(at[0])} to "
            f"{clock(at[-1])}; merge with from and until, or split or delete one of them first"
        )
    return table.renamed(np.where(rows, second, table.track_id)), f"{rows.sum()} poses"


def _delete(table: TrackTable, edit: Edit, first: int, second: int | None, where: str) -> tuple[TrackTable, str]:
    rows = _rows(table, edit, first, where)
    return table.with_tracks(np.where(rows, -1, table.track_id)), f"{rows.sum()} poses"


def _split(table: TrackTable, edit: Edit, first: int, given: int, where: str) -> tuple[TrackTable, str]:
    rows = _rows(table, edit, first, where)
    if rows.sum() == (table.track_id == first).sum():
        raise InputError(f"{where}: {first} begins at {clock(table.seconds[rows][0])}, there is nothing before")
    if (table.track_id == given).any():
        raise InputError(f"{where}: {given} is somebody already; the next free identity is {max(table.ids) + 1}")
    return table.with_tracks(np.where(rows, given, table.track_id)), f"{rows.sum()} poses are {given} now"


def _frame_at(table: TrackTable, seconds: float, where: str) -> int:
    """The frame that is nearest to a time; refuses one that is more than a frame before the first or after the last."""
    times = table.times
    if not len(times):
        raise InputError(f"{where}: the video has no frames")
    step = usual_step(times)
    if not times[0] - step - _SAME_TIME <= seconds <= times[-1] + step + _SAME_TIME:
        raise InputError(f"{where}: the video lasts from {clock(times[0])} to {clock(times[-1])}")
    return int(np.argmin(np.abs(times - seconds)))


def _whose_place(table: TrackTable, edit: Edit, where: str) -> int:
    """The identity that stands at a place: the pose around it whose centre is nearest."""
    assert edit.place is not None
    frame = _frame_at(table, edit.begin, where)
    rows = np.flatnonzero((table.frame == frame) & (table.track_id >= 0) & table.found.any(axis=1))
    best, least = None, math.inf
    for row in rows.tolist():
        joints = table.xy[row, table.found[row]].astype(np.float64)
        margin = 0.15 * (joints.max(axis=0) - joints.min(axis=0)).max() + 4
        if ((joints.min(axis=0) - margin <= edit.place) & (edit.place <= joints.max(axis=0) + margin)).all():
            away = float(np.hypot(*(joints.mean(axis=0) - edit.place)))
            if away < least:
                best, least = int(table.track_id[row]), away
    if best is None:
        raise InputError(f"{where}: nobody with an identity is at {edit.place[0]:g},{edit.place[1]:g} at that time")
    return best


_CHANGES: dict[Verb, Callable[[TrackTable, Edit, int, int | None, str], tuple[TrackTable, str]]] = {
    "swap": _swap,
    "merge": _merge,
    "delete": _delete,
}
