"""What a file must fulfil to be evaluated, by protocol: `poseval` refuses what the reference refuses, `strict` more."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from posetrack_app.errors import InputError
from posetrack_app.evaluation.annotated import Protocol
from posetrack_app.formats.labelled import LabelledFrame
from posetrack_app.formats.posetrack import LabelledFile

__all__ = ["checked_frames"]

_LARGEST_ID = 9999
_NAME = re.compile(r"(?:.*/)?\d+_(?:mpii|bonn|mpiinew)_[^/]*/(\d+)\.jpg")


def checked_frames(
    truth: LabelledFile, predicted: LabelledFile, *, protocol: Protocol
) -> tuple[list[LabelledFrame], list[LabelledFrame]]:
    """The frames of one sequence that are paired: of the first video in each file.

    Raises:
        InputError: a file does not fulfil what the protocol asks; names the file, the person and the field.
    """
    frames, others = (_one_video(file, protocol) for file in (truth, predicted))
    _check_ids(truth, frames, unique=protocol == "strict", protocol=protocol)
    _check_ids(predicted, others, unique=True, protocol=protocol)
    _check_pairing(truth, predicted, frames, others, protocol)
    if protocol == "strict":
        _check_head_boxes(truth, frames)
    return frames, others


def _one_video(file: LabelledFile, protocol: Protocol) -> list[LabelledFrame]:
    """As the reference, which reads the first video of a file; `strict` allows no second one."""
    if file.form == "2017" or not file.frames:
        return file.frames
    if protocol == "poseval":
        for frame in file.frames:
            named = _NAME.fullmatch(frame.file_name)
            if not named or int(named[1]) > _LARGEST_ID:
                raise InputError(
                    f"{file.path}: `file_name` {frame.file_name} is not like images/val/000342_mpii_test/000001.jpg; "
                    "the reference refuses it, --protocol strict does not"
                )
    videos = [frame.file_name.rpartition("/")[0].rpartition("/")[2].partition("_")[0] for frame in file.frames]
    if protocol == "strict":
        for frame, video in zip(file.frames, videos, strict=True):
            if video != videos[0]:
                raise InputError(f"{file.path}: `file_name` {frame.file_name} is of a second video; one a file")
    return [frame for frame, video in zip(file.frames, videos, strict=True) if video == videos[0]]


def _check_ids(file: LabelledFile, frames: Sequence[LabelledFrame], *, unique: bool, protocol: Protocol) -> None:
    smallest = 0 if protocol == "strict" else -np.inf
    for frame in frames:
        seen: set[int] = set()
        for n, track_id in enumerate(frame.track_id.tolist()):
            if track_id == -1 and frame.listed is not None and not frame.listed[n]:
                continue  # a person without joints needs no identity
            if not smallest <= track_id <= _LARGEST_ID:
                allowed = "0 to 9999" if protocol == "strict" else "at most 9999"
                raise InputError(f"{_who(file, frame, n)}: `track_id` {track_id} must be {allowed}")
            if unique and track_id in seen:
                raise InputError(f"{_who(file, frame, n)}: `track_id` {track_id} is there twice in this frame")
            seen.add(track_id)


def _check_pairing(
    truth: LabelledFile,
    predicted: LabelledFile,
    frames: Sequence[LabelledFrame],
    others: Sequence[LabelledFrame],
    protocol: Protocol,
) -> None:
    names, theirs = ([frame.file_name.rpartition("/")[2] for frame in some] for some in (frames, others))
    if len(names) != len(theirs):
        known = set(theirs)
        missing = [name for name in names if name not in known] if truth.form == predicted.form else []
        first = f", the first missing is {missing[0]}" if missing else ""
        raise InputError(
            f"{predicted.path} has {len(theirs)} frames, but the ground truth {len(names)}{first}; "
            "it must have all frames, in the same order"
        )
    if protocol == "strict" and truth.form == predicted.form:
        for name, other in zip(names, theirs, strict=True):
            if name != other:
                raise InputError(f"{predicted.path}: {other} stands where the ground truth has {name}")


def _check_head_boxes(file: LabelledFile, frames: Sequence[LabelledFrame]) -> None:
    for frame in frames:
        if not frame.is_labelled or not len(frame):
            continue
        x1, y1, x2, y2 = frame.head_box.T
        empty = ~((x2 > x1) & (y2 > y1)) & frame.found.any(axis=1)  # NaN is not more
        if empty.any():
            n = int(empty.argmax())
            field = "`bbox_head`" if file.form == "2018" else "`x1` to `y2`"
            raise InputError(
                f"{_who(file, frame, n)}: {field} of track {frame.track_id[n]} is missing or empty; "
                "without the size of the head nothing can be measured"
            )


def _who(file: LabelledFile, frame: LabelledFrame, n: int) -> str:
    place = n if frame.entry is None else int(frame.entry[n])
    return f"{file.path}: {frame.file_name}: {'annotations' if file.form == '2018' else 'annorect'}[{place}]"
