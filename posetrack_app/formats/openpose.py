"""Poses as OpenPose writes them: a folder with one JSON file a frame.

Written with the 25 joints of BODY_25, OpenPose's default, which most readers expect; read with those or with the 18 of
its COCO model. Neck and middle of the hips are the middles of both sides where both were found; feet are missing.
Coordinates are OpenPose's own with `--keypoint_scale 0`: pixels of the picture, which it draws at their centres, as
with us. Times, scores of people and how poses came to be are lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from posetrack_app.errors import InputError
from posetrack_app.formats.assembly import BODY_25, COCO_18, MAX_FRAMES, Draft, Whole
from posetrack_app.formats.labelled import decode, load
from posetrack_app.formats.saving import save_folder
from posetrack_app.formats.sequence import PoseSequence
from posetrack_app.types import Poses

__all__ = ["PATTERN", "read", "read_files", "write"]

PATTERN = "*_keypoints.json"
"""Names of the files, as OpenPose gives them."""

_FORM = "OpenPose JSON"
_NUMBER = re.compile(r"(.*?)_?(\d+)_keypoints$")
_LAYOUTS: dict[int, tuple[str, ...]] = {25: BODY_25, 18: COCO_18}
_MIDDLES = {"neck": ("left_shoulder", "right_shoulder"), "mid_hip": ("left_hip", "right_hip")}
_EMPTY = (
    "face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d",
    "pose_keypoints_3d", "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d",
)  # fmt: skip


class _Person(msgspec.Struct, frozen=True):
    pose_keypoints_2d: list[float]
    person_id: list[Whole] | Whole = -1


class _File(msgspec.Struct, frozen=True):
    people: list[_Person]


def read(path: Path, *, rate: float = 25.0) -> PoseSequence:
    """The people in the files of a folder.

    Raises:
        InputError: no files of OpenPose there, or not of this form; names the file, the person and the field.
    """
    return read_files(path, sorted(path.glob(PATTERN)), rate=rate)


def read_files(path: Path, files: Sequence[Path], *, rate: float) -> PoseSequence:
    """The people in the files of the folder `path`; the number in a file's name is that of the frame, from 0.

    Raises:
        InputError: as `read`.
    """
    if not files:
        raise InputError(f"{path} holds no {PATTERN} of OpenPose")
    draft = Draft(path)
    last, video = -1, None
    for file in files:
        named = _NUMBER.match(file.stem)
        if named is None or int(named[2]) >= MAX_FRAMES:
            raise InputError(f"{file}: its name lacks the number of a frame, as in clip_000000000012_keypoints.json")
        frame, video = int(named[2]), named[1] or None
        last = max(last, frame)
        for number, person in enumerate(decode(load(file), _File, path=file, form=_FORM).people):
            place, points = f"{file.name}: people[{number}]", person.pose_keypoints_2d
            if len(points) not in (75, 54):
                count = len(points)
                raise InputError(
                    f"{file}: people[{number}]: `pose_keypoints_2d` has {count} numbers, it needs 75 or 54"
                )
            ids = person.person_id if isinstance(person.person_id, list) else [person.person_id]
            draft.add(place, frame, points, track=ids[0] if ids else None)
    return draft.finish(_LAYOUTS[draft.joints or 25], rate=rate, frames=last + 1, video=video or path.resolve().name)


def write(path: Path, sequence: PoseSequence) -> None:
    """Write a folder with a file for each frame, also for those without people; `person_id` is the identity.

    Raises:
        OutputError: it cannot be written.
    """
    video = Path(sequence.video).name or "video"
    names = [f"{video}_{frame.index:012d}_keypoints.json" for frame in sequence.frames]
    texts = (_text(frame.poses, sequence.skeleton.joints) for frame in sequence.frames)
    save_folder(path, zip(names, texts, strict=True), pattern=PATTERN)


def _text(poses: Poses, joints: Sequence[str]) -> Iterator[str]:
    points = np.zeros((len(poses), len(BODY_25), 3))
    for column, joint in enumerate(BODY_25):
        rows = [joints.index(name) for name in _MIDDLES.get(joint, (joint,)) if name in joints]
        if not rows:
            continue
        score = poses.joint_score[:, rows].min(axis=1).astype(np.float64)
        place = poses.xy[:, rows].mean(axis=1, dtype=np.float64)
        points[:, column, :2] = np.where(score[:, None] > 0, place, 0).round(3)
        points[:, column, 2] = np.where(score > 0, score.round(6).clip(1e-6), 0)
    people: list[dict[str, Any]] = [
        {
            "person_id": [int(poses.track_id[n])],
            "pose_keypoints_2d": points[n].ravel().tolist(),
            **{name: [] for name in _EMPTY},
        }
        for n in range(len(poses))
    ]
    yield msgspec.json.encode({"version": 1.3, "people": people}).decode() + "\n"
