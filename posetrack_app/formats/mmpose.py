"""Poses as MMPose saves its predictions: of a video, or of one picture.

A video is a list of `{"frame_id": ..., "instances": [...]}`, as the inferencer writes it, or the same list as
`instance_info` beside `meta_info`, as the demos do; the one counts frames from 0, the other from 1. A picture is a bare
list of instances. Coordinates are COCO's: numbers of pixels, so centres, as with us.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from posetrack_app.errors import InputError
from posetrack_app.formats.assembly import Draft, FrameNumber, Whole, coco_first
from posetrack_app.formats.labelled import decode, load
from posetrack_app.formats.sequence import PoseSequence

__all__ = ["FORM", "Instance", "parse_demo", "parse_frames", "parse_video", "read"]

FORM = "predictions of MMPose"
"""Name of the form, for messages."""


class Instance(msgspec.Struct, frozen=True):
    """A person."""

    keypoints: list[list[float]]
    keypoint_scores: list[float]
    bbox_score: float | list[float] | None = None
    track_id: Whole | None = None


class _Frame(msgspec.Struct, frozen=True):
    frame_id: FrameNumber
    instances: list[Instance]


class _Meta(msgspec.Struct, frozen=True):
    keypoint_id2name: dict[str, str] = {}


class _Demo(msgspec.Struct, frozen=True):
    instance_info: list[_Frame]
    meta_info: _Meta = _Meta()


def read(path: Path, *, rate: float = 25.0) -> PoseSequence:
    """The people of a video, from the list of its frames.

    Raises:
        InputError: no such file, no JSON, or not of this form; names the person and the field.
    """
    return parse_video(load(path), path=path, rate=rate)


def parse_video(data: bytes | msgspec.Raw, *, path: Path, rate: float) -> PoseSequence:
    """The content of a file of the inferencer; `path` is for messages."""
    return _video(decode(data, list[_Frame], path=path, form=FORM), {}, path=path, rate=rate)


def parse_demo(data: bytes | msgspec.Raw, *, path: Path, rate: float) -> PoseSequence:
    """The content of a file of a demo; `path` is for messages."""
    content = decode(data, _Demo, path=path, form=FORM)
    return _video(content.instance_info, content.meta_info.keypoint_id2name, path=path, rate=rate)


def parse_frames(frames: Sequence[tuple[str, list[Instance]]], *, path: Path, rate: float) -> PoseSequence:
    """A video from pictures: of each frame its place, for messages, and its people."""
    draft = Draft(path)
    for index, (place, instances) in enumerate(frames):
        _add(draft, path, place, index, instances)
    return draft.finish(_names(draft, {}, path), rate=rate, frames=len(frames))


def _video(frames: list[_Frame], id2name: dict[str, str], *, path: Path, rate: float) -> PoseSequence:
    first = 1 if min((frame.frame_id for frame in frames), default=0) == 1 else 0
    draft = Draft(path)
    last = -1
    for number, frame in enumerate(frames):
        last = max(last, frame.frame_id - first)
        _add(draft, path, f"[{number}].instances", frame.frame_id - first, frame.instances)
    return draft.finish(_names(draft, id2name, path), rate=rate, frames=last + 1)


def _add(draft: Draft, path: Path, within: str, frame: int, instances: list[Instance]) -> None:
    for number, person in enumerate(instances):
        place = f"{within}[{number}]"
        if len(person.keypoints) != len(person.keypoint_scores):
            numbers = f"{len(person.keypoints)} joints and `keypoint_scores` {len(person.keypoint_scores)}"
            raise InputError(f"{path}: {place}: `keypoints` has {numbers}")
        points = []
        for joint, score in zip(person.keypoints, person.keypoint_scores, strict=True):
            if len(joint) != 2:
                raise InputError(f"{path}: {place}: a joint of `keypoints` has {len(joint)} numbers, it needs x and y")
            points += [*joint, score]
        # The score that MMPose itself hands to COCO: that of the box times the mean of the joints.
        box_scores = person.bbox_score if isinstance(person.bbox_score, list) else [person.bbox_score]
        box_score = 1.0 if not box_scores or box_scores[0] is None else box_scores[0]
        mean = sum(max(score, 0.0) for score in person.keypoint_scores) / max(len(person.keypoint_scores), 1)
        draft.add(place, frame, points, track=person.track_id, score=box_score * min(mean, 1.0))


def _names(draft: Draft, id2name: dict[str, str], path: Path) -> Sequence[str]:
    """What the joints are called: as the file says, or as their number tells."""
    joints = draft.joints or 17
    names = [id2name.get(str(number), "") for number in range(joints)]
    if any(names):
        known = [name for name in names if name]
        if len(set(known)) < len(known) or "nose" not in known:
            raise InputError(f"{path}: `meta_info.keypoint_id2name` names no joints of a person's body")
        return names
    found = coco_first(joints)
    if found is None:
        raise InputError(f"{path}: people have {joints} joints; without `meta_info` 17, 26, 133 and 136 are understood")
    return found
