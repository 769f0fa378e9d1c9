"""Poses as COCO keypoint results: one JSON list of people, as `pycocotools` loads it.

Keypoints of COCO are numbers of pixels from 0, so (0, 0) is the centre of the top left pixel, as with us. Boxes count
from its corner, half a pixel more. Times, frames without people at the end and the size of the picture are lost.

People of pictures in a folder also have `file_name`, and the number of their frame from 0 as `frame_index`: `image_id`
is then the picture's own number. COCO's readers do not look at them.

AlphaPose writes the same list with a file's name for `image_id` and the identity as `idx`; both are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.skeleton import COCO17
from posetrack_app.errors import InputError
from posetrack_app.formats.assembly import MAX_FRAMES, Draft, Whole, coco_first, numbered
from posetrack_app.formats.labelled import decode, load
from posetrack_app.formats.saving import save_file
from posetrack_app.formats.sequence import PosedFrame, PoseSequence

__all__ = ["parse", "read", "write"]

_PERSON = 1


class _Result(msgspec.Struct, frozen=True):
    image_id: Whole | str
    keypoints: list[float]
    score: float | None = None
    category_id: Whole = _PERSON
    track_id: Whole | None = None
    idx: Any = None
    frame_index: Any = None
    file_name: Any = None


def read(path: Path, *, rate: float = 25.0) -> PoseSequence:
    """The people of a video: `image_id` is the number of the frame, from 0, where no `frame_index` is.

    Raises:
        InputError: no such file, no JSON, or not of this form; names the person and the field.
    """
    return parse(load(path), path=path, rate=rate)


def parse(data: bytes, *, path: Path, rate: float) -> PoseSequence:
    """The people in the content of a file; `path` is for messages.

    Raises:
        InputError: as `read`.
    """
    results = decode(data, list[_Result], path=path, form="a list of COCO keypoint results")
    # The third number is a score, or a flag, or 0 throughout, since COCO's own evaluation does not look at it.
    flagged = any(value > 0 for result in results for value in result.keypoints[2::3])
    draft = Draft(path)
    names: dict[int, str] = {}
    for number, result in enumerate(results):
        if result.category_id != _PERSON:
            continue
        place = f"[{number}]"
        if len(result.keypoints) % 3 or coco_first(len(result.keypoints) // 3) is None:
            count = len(result.keypoints)
            raise InputError(f"{path}: {place}: `keypoints` has {count} numbers, 51 are three for each of 17 joints")
        points = result.keypoints
        if not flagged:
            points = [
                float(bool(points[i - 2] or points[i - 1])) if i % 3 == 2 else value for i, value in enumerate(points)
            ]
        frame = _number(result.image_id) if result.frame_index is None else _whole(result.frame_index)
        if frame is None:
            name = "image_id" if result.frame_index is None else "frame_index"
            raise InputError(f"{path}: {place}: `{name}` {getattr(result, name)!r} is no number of a frame from 0")
        if isinstance(result.file_name, str):
            names[frame] = result.file_name
        draft.add(place, frame, points, track=_track(result), score=result.score)
    return draft.finish(coco_first(draft.joints or 17) or (), rate=rate, names=names)


def write(path: Path, sequence: PoseSequence) -> None:
    """Write the people of a video.

    `image_id` is the number in the frame's file name where all frames with people have such names, else the index of
    the frame.
    The third number of a joint is its score; joints that were not found are 0, 0, 0. `track_id` is the identity.

    Raises:
        OutputError: the file cannot be written.
    """
    save_file(path, _text(sequence))


def _text(sequence: PoseSequence) -> Iterator[str]:
    encode = msgspec.json.Encoder().encode
    yield "["
    comma = ""
    ids = _image_ids(sequence.frames)
    for image_id, frame in zip(ids, sequence.frames, strict=True):
        for person in _people(image_id, frame, sequence):
            yield f"{comma}\n{encode(person).decode()}"
            comma = ","
    yield "\n]\n"


def _people(image_id: int, frame: PosedFrame, sequence: PoseSequence) -> Iterator[dict[str, Any]]:
    poses, joints = frame.poses, sequence.skeleton.joints
    ours = [row for row, joint in enumerate(joints) if joint in COCO17.joints]
    theirs = [COCO17.index(joints[row]) for row in ours]
    points = np.zeros((len(poses), 17, 3))
    # A joint that was found keeps a score above 0, however unsure.
    sure = poses.joint_score[:, ours].astype(np.float64)
    points[:, theirs, 2] = np.where(sure > 0, sure.round(4).clip(1e-4), 0)
    points[:, theirs, :2] = np.where(sure[..., None] > 0, poses.xy[:, ours].astype(np.float64).round(2), 0)
    boxes = _boxes(points).tolist()
    scores, tracks = poses.score.astype(np.float64).round(4).tolist(), poses.track_id.tolist()
    for keypoints, score, box, track in zip(points.reshape(-1, 51).tolist(), scores, boxes, tracks, strict=True):
        person = {
            "image_id": image_id,
            **({"file_name": frame.name, "frame_index": frame.index} if frame.name is not None else {}),
            "category_id": _PERSON,
            "keypoints": keypoints,
            "score": score,
            "bbox": box,
        }
        yield {**person, "track_id": track} if track >= 0 else person


def _boxes(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """x, y, width, height of the joints that were found, (N, 4), from those of everybody, (N, 17, 3)."""
    missing = points[..., 2:] == 0
    low = np.where(missing, np.inf, points[..., :2]).min(axis=1)
    high = np.where(missing, -np.inf, points[..., :2]).max(axis=1)
    boxes = np.concatenate([low + 0.5, high - low], axis=1).round(2)
    return np.where(np.isfinite(boxes), boxes, 0)


def _image_ids(frames: list[PosedFrame]) -> list[int]:
    """A number for each frame, all different where people are."""
    named = [None if frame.name is None else numbered(Path(frame.name).stem) for frame in frames]
    used = [number for number, frame in zip(named, frames, strict=True) if len(frame.poses)]
    if None in used or len(set(used)) < len(used):
        return [frame.index for frame in frames]
    return [frame.index if number is None else number for number, frame in zip(named, frames, strict=True)]


def _number(image_id: int | str) -> int | None:
    return _whole(numbered(Path(image_id).stem) if isinstance(image_id, str) else image_id)


def _whole(number: object) -> int | None:
    """A number that a frame can have, or None."""
    return number if isinstance(number, int) and 0 <= number < MAX_FRAMES else None


def _track(result: _Result) -> int | None:
    """The identity; AlphaPose writes numbers of any kind, and lists where it is not sure."""
    if result.track_id is not None:
        return result.track_id
    return int(result.idx) if isinstance(result.idx, int | float) and abs(result.idx) < 2**53 else None
