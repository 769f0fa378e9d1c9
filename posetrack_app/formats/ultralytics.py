"""Poses as Ultralytics gives them by `result.to_json()` or `summary()`: a list of people for each frame.

A video is a list of such lists, a file with one list a line, or a folder with a file a frame. Frames are numbered by
their order. Coordinates must be pixels (`normalize=False`, the default); they are COCO's, centres as with us. A joint
at 0, 0 is one that was not found. Times and frame sizes are not in the form.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from posetrack_app.errors import InputError
from posetrack_app.formats.assembly import Draft, Whole, coco_first
from posetrack_app.formats.labelled import decode, load
from posetrack_app.formats.sequence import PoseSequence

__all__ = ["FORM", "Detection", "parse_frames", "read"]

FORM = "results of Ultralytics"
"""Name of the form, for messages."""


class _Keypoints(msgspec.Struct, frozen=True):
    x: list[float]
    y: list[float]
    visible: list[float] | None = None


class Detection(msgspec.Struct, frozen=True):
    """A person."""

    keypoints: _Keypoints
    confidence: float | None = None
    track_id: Whole | None = None


def read(path: Path, *, rate: float = 25.0) -> PoseSequence:
    """The people of a video: a list of lists.

    Raises:
        InputError: no such file, no JSON, or not of this form; names the person and the field.
    """
    frames = decode(load(path), list[list[Detection]], path=path, form=FORM)
    return parse_frames([(f"[{number}]", frame) for number, frame in enumerate(frames)], path=path, rate=rate)


def parse_frames(frames: Sequence[tuple[str, list[Detection]]], *, path: Path, rate: float) -> PoseSequence:
    """A video: of each frame its place, for messages, and its people.

    Raises:
        InputError: as `read`.
    """
    draft = Draft(path)
    for index, (within, detections) in enumerate(frames):
        for number, person in enumerate(detections):
            x, y, visible = person.keypoints.x, person.keypoints.y, person.keypoints.visible
            place = f"{within}[{number}]"
            if visible is None:
                visible = [1.0] * len(x)
            if len({len(x), len(y), len(visible)}) > 1:
                numbers = f"{len(x)} `x`, {len(y)} `y` and {len(visible)} `visible`"
                raise InputError(f"{path}: {place}.keypoints has {numbers}, they must be as many")
            points: list[float] = []
            for column, row, score in zip(x, y, visible, strict=True):
                points += [column, row, score if column or row else 0.0]
            draft.add(place, index, points, track=person.track_id, score=person.confidence)
    joints = coco_first(draft.joints or 17)
    if joints is None:
        raise InputError(f"{path}: people have {draft.joints} joints, 17 are understood")
    return draft.finish(joints, rate=rate, frames=len(frames))
