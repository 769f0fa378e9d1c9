"""Who was followed when, compactly: for each true person of a sequence under which identities it was found.

Letters: F frames, T true identities, E entries, one for each person of the ground truth in each frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from posetrack_app.evaluation.clear_mot import Record, identities

__all__ = ["LEVELS", "Line", "Piece", "Timeline", "timeline"]

LEVELS = 3
"""Steps in which the share of a person's joints that are found is told."""

Integers = npt.NDArray[np.int64]

_ABSENT, _MISSED = -2, -1  # in place of an identity


@dataclass(frozen=True, slots=True)
class Piece:
    """Frames in a row in which the same is true of a person."""

    begin: int
    """First frame, counted from 0 over those that count for tracking."""

    end: int
    """One after the last."""

    predicted: int | None
    """Identity under which most of the joints are found; None: none is found."""

    level: int
    """How many of the joints that are there are found under any identity, 0 (none) to `LEVELS` (all thirds)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One person of the ground truth."""

    truth: int
    """Identity."""

    pieces: tuple[Piece, ...]
    """In the order of time; frames without the person are in none."""

    changes: tuple[int, ...]
    """Frames in which most joints have another identity than when the person was found last."""

    switches: tuple[tuple[int, int], ...]
    """Frames with switches of joints, and how many."""

    objects: int
    """Annotated joints, all frames together."""

    found: int
    """Those of them that were found."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """One sequence."""

    frames: tuple[str, ...]
    """Short names of the F frames that count for tracking."""

    lines: tuple[Line, ...]
    """By identity."""

    false_positives: tuple[int, ...]
    """(F,): predicted joints without an annotation, as MOTA counts them."""


def timeline(record: Record) -> Timeline:
    """What tracking did in one sequence."""
    F, T = len(record.frames), len(record.truth_ids)
    matches = record.matches
    objects = _objects(record, F, T)
    shape = (T, F)
    found = np.zeros(shape, dtype=np.int64)
    np.add.at(found, (matches.truth, matches.frame), 1)
    switches = np.zeros(shape, dtype=np.int64)
    np.add.at(switches, (matches.truth[record.switch], matches.frame[record.switch]), 1)
    main = _main_identities(record, shape)
    state = np.where(objects > 0, main, _ABSENT)
    level = -(-LEVELS * found // np.maximum(objects, 1))
    return Timeline(
        frames=tuple(_short(pair.name) for pair in record.frames),
        lines=tuple(
            Line(
                truth=truth,
                pieces=_pieces(state[row], level[row], record.predicted_ids),
                changes=_changes(main[row]),
                switches=tuple((frame, int(switches[row, frame])) for frame in switches[row].nonzero()[0].tolist()),
                objects=int(objects[row].sum()),
                found=int(found[row].sum()),
            )
            for row, truth in enumerate(record.truth_ids.tolist())
            if objects[row].any()
        ),
        false_positives=tuple(record.counts.false_positives.sum(axis=1).tolist()),
    )


def _objects(record: Record, F: int, T: int) -> Integers:
    """(T, F): annotated joints."""
    objects = np.zeros((T, F), dtype=np.int64)
    _, rows = identities([pair.truth.track_id for pair in record.frames])
    for frame, (pair, row) in enumerate(zip(record.frames, rows, strict=True)):
        np.add.at(objects[:, frame], row, pair.truth.found.sum(axis=1))
    return objects


def _main_identities(record: Record, shape: tuple[int, int]) -> Integers:
    """(T, F): place of the predicted identity that has most joints of the person, of equal ones the first."""
    main = np.full(shape, _MISSED, dtype=np.int64)
    matches, P = record.matches, max(len(record.predicted_ids), 1)
    if not len(matches.frame):
        return main
    key, joints = np.unique((matches.truth * shape[1] + matches.frame) * P + matches.predicted, return_counts=True)
    order = np.lexsort((-key, joints))  # the last that is written stays: the most joints, then the lowest place
    row, frame = np.divmod(key[order] // P, shape[1])
    main[row, frame] = key[order] % P
    return main


def _pieces(state: Integers, level: Integers, predicted_ids: Integers) -> tuple[Piece, ...]:
    """The runs of one person's frames, (F,) each."""
    bounds = [0, *(((state[1:] != state[:-1]) | (level[1:] != level[:-1])).nonzero()[0] + 1).tolist(), len(state)]
    pieces = []
    for begin, end in pairwise(bounds):
        place = int(state[begin])
        if place != _ABSENT:
            predicted = None if place == _MISSED else int(predicted_ids[place])
            pieces.append(Piece(begin, end, predicted, int(level[begin])))
    return tuple(pieces)


def _changes(main: Integers) -> tuple[int, ...]:
    """Where one person's identity (F,) differs from the last that it had."""
    seen = (main != _MISSED).nonzero()[0]
    return tuple(seen[1:][main[seen[1:]] != main[seen[:-1]]].tolist())


def _short(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).stem or name
