"""Poses as PoseTrack2018 JSON: one file a video, in the manner of COCO.

Joints are pixels with (0, 0) the centre of the top left pixel; a joint that is not there is 0, 0, 0. The evaluator
pairs frames by their order and people by `track_id`; everything else is told for other readers.

Letters: N persons, J joints of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.skeleton import POSETRACK15, Skeleton
from posetrack_app.errors import InputError
from posetrack_app.formats.annotations import CATEGORY, JOINTS, AnnotationWriter, enlarged_box
from posetrack_app.formats.labelled import NO_SCORE, LabelledFrame, decode, load, save
from posetrack_app.formats.predicted import official_joints
from posetrack_app.types import Poses

__all__ = ["LabelledFrame", "PoseTrack2018Writer", "parse", "read", "write"]

_FORM = "PoseTrack2018 JSON"


class PoseTrack2018Writer:
    """Writes tracked poses as they come. People without an identity are left out: the form demands one."""

    def __init__(self, path: Path, *, video: str, skeleton: Skeleton) -> None:
        """Start the file of a video; `video` is the name of its folder of frames."""
        self._skeleton = skeleton
        self._writer = AnnotationWriter(path, video=video)

    def add(self, index: int, name: str | None, poses: Poses) -> None:
        """The people of one frame, possibly nobody; `name` is the file of the frame where there is one."""
        poses = poses[poses.track_id >= 0]
        self._writer.add(index, name, self._annotations(poses) if len(poses) else [])

    def close(self) -> None:
        """Complete the file under its final name."""
        self._writer.close()

    def abort(self) -> None:
        """Complete the file with what came so far, under its partial name."""
        self._writer.abort()

    def _annotations(self, poses: Poses) -> list[dict[str, Any]]:
        xy, score = official_joints(poses, self._skeleton)
        found = score > 0
        keypoints = np.concatenate([np.where(found[..., None], xy, 0).round(2), found[..., None]], axis=2)
        # A joint that was found keeps a score above 0, however unsure.
        score = np.where(found, score.round(4).clip(1e-4), 0)
        return [
            {
                "track_id": int(poses.track_id[row]),
                "bbox": enlarged_box(xy[row, found[row]]),
                "keypoints": keypoints[row].ravel().tolist(),
                "scores": score[row].tolist(),
                "score": round(float(poses.score[row]), 4),
            }
            for row in range(len(poses))
        ]


class _Image(msgspec.Struct, frozen=True):
    file_name: str
    id: int
    is_labeled: bool = True
    ignore_regions_x: list[list[float]] = []
    ignore_regions_y: list[list[float]] = []


class _Annotation(msgspec.Struct, frozen=True):
    image_id: int
    track_id: int | float
    keypoints: list[float]
    scores: list[float] = []
    score: float | None = None
    bbox_head: list[float] | None = None
    visible: list[bool] | None = None


class _Category(msgspec.Struct, frozen=True):
    name: str
    keypoints: list[str]


class _File(msgspec.Struct, frozen=True):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read(path: Path) -> list[LabelledFrame]:
    """The frames of a file of ground truth or of predictions, in its order.

    Raises:
        InputError: no such file, no JSON, or not of this form; names the annotation and the field.
    """
    return parse(load(path), path=path)


def parse(data: bytes, *, path: Path) -> list[LabelledFrame]:
    """The frames of the content of a file; `path` is for messages.

    Raises:
        InputError: as `read`.
    """
    content = decode(data, _File, path=path, form=_FORM)
    columns, J = _columns(path, content.categories)
    people: dict[int, list[int]] = {image.id: [] for image in content.images}
    if len(people) < len(content.images):
        raise InputError(f"{path}: two of `images` have the same `id`")
    for number, annotation in enumerate(content.annotations):
        wrong = _what_is_wrong(annotation, J, people)
        if wrong:
            raise InputError(f"{path}: annotations[{number}] (track {annotation.track_id}): {wrong}")
        people[annotation.image_id].append(number)
    order = [number for image in content.images for number in people[image.id]]
    everybody = _everybody([content.annotations[number] for number in order], columns, J)
    frames, end = [], 0
    for number, image in enumerate(content.images):
        start, end = end, end + len(people[image.id])
        theirs: dict[str, Any] = {name: values[start:end] for name, values in everybody.items()}
        frames.append(
            LabelledFrame(
                image_id=image.id,
                file_name=image.file_name,
                is_labelled=image.is_labeled,
                ignore_regions=_regions(path, number, image),
                entry=np.array(order[start:end], dtype=np.int64),
                **theirs,
            )
        )
    return frames


def write(path: Path, frames: Sequence[LabelledFrame]) -> None:
    """Write the frames of one video.

    People without a list of joints get an empty one, and a joint without a score `NO_SCORE` where others of the
    person have one: this form knows neither.

    Raises:
        ValueError: two frames have the same `image_id`.
        OutputError: the file cannot be written.
    """
    if len({frame.image_id for frame in frames}) < len(frames):
        raise ValueError("two frames have the same image_id")
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for frame in frames:
        image = {
            "file_name": frame.file_name,
            "id": frame.image_id,
            "frame_id": frame.image_id,
            "vid_id": Path(frame.file_name).parent.name.partition("_")[0],
            "nframes": len(frames),
            "is_labeled": frame.is_labelled,
        }
        if frame.ignore_regions:
            image["ignore_regions_x"] = [region[:, 0].tolist() for region in frame.ignore_regions]
            image["ignore_regions_y"] = [region[:, 1].tolist() for region in frame.ignore_regions]
        images.append(image)
        annotations += [_annotation(frame, n) for n in range(len(frame))]
    save(path, {"images": images, "annotations": annotations, "categories": [CATEGORY]})


def _annotation(frame: LabelledFrame, n: int) -> dict[str, Any]:
    """One person of a frame in the file's words."""
    found, score, head_box = frame.found[n], frame.score[n], frame.head_box[n]
    points = np.concatenate([np.where(found[:, None], frame.xy[n], 0), found[:, None]], axis=1)
    annotation: dict[str, Any] = {
        "id": frame.image_id * 100 + n,
        "image_id": frame.image_id,
        "category_id": 1,
        "track_id": int(frame.track_id[n]),
        "bbox": enlarged_box(frame.xy[n, found]),
        "keypoints": points.ravel().tolist(),
        "scores": [] if np.isnan(score).all() else np.where(np.isnan(score), NO_SCORE * found, score).tolist(),
    }
    if frame.person_score is not None and not np.isnan(frame.person_score[n]):
        annotation["score"] = float(frame.person_score[n])
    if not np.isnan(head_box).any():
        x1, y1, x2, y2 = head_box.tolist()
        annotation["bbox_head"] = [x1, y1, x2 - x1, y2 - y1]
    if (frame.visible[n] != found).any():
        annotation["visible"] = frame.visible[n].tolist()
    return annotation


def _columns(path: Path, categories: list[_Category]) -> tuple[dict[int, int], int]:
    """Which of the file's joints are which of `JOINTS`, and how many joints the file has."""
    if len(categories) != 1 or categories[0].name != "person":
        raise InputError(f"{path}: `categories` must hold one, named person")
    names = categories[0].keypoints
    for joint in POSETRACK15.joints:
        if names.count(joint) != 1:
            raise InputError(f"{path}: `categories[0].keypoints` must name '{joint}' once")
    if len(names) not in (15, 17):
        raise InputError(f"{path}: `categories[0].keypoints` names {len(names)} joints, it must name 15 or 17")
    return {row: JOINTS.index(name) for row, name in enumerate(names) if name in JOINTS}, len(names)


def _what_is_wrong(annotation: _Annotation, names: int, images: dict[int, list[int]]) -> str | None:
    """What makes an annotation unreadable, or None."""
    if annotation.image_id not in images:
        return f"`image_id` {annotation.image_id} is none of `images`"
    if annotation.track_id % 1 or abs(annotation.track_id) >= 2**63:
        return "`track_id` is no whole number of 64 bits"
    if len(annotation.keypoints) != 3 * names:
        return f"`keypoints` has {len(annotation.keypoints)} numbers, for {names} joints it needs {3 * names}"
    if len(annotation.scores) not in (0, names):
        return f"`scores` has {len(annotation.scores)} numbers, it needs {names} or none"
    if annotation.visible is not None and len(annotation.visible) != names:
        return f"`visible` has {len(annotation.visible)} values, it needs {names}"
    if annotation.bbox_head is not None and len(annotation.bbox_head) not in (0, 4):
        return f"`bbox_head` has {len(annotation.bbox_head)} numbers, it needs 4"
    return None


def _regions(path: Path, number: int, image: _Image) -> tuple[npt.NDArray[np.float64], ...]:
    """The ignore regions of a frame, one polygon for each pair of lists."""
    xs, ys = image.ignore_regions_x, image.ignore_regions_y
    if [len(x) for x in xs] != [len(y) for y in ys]:
        raise InputError(f"{path}: images[{number}]: `ignore_regions_x` and `ignore_regions_y` differ in length")
    return tuple(np.array([x, y], dtype=np.float64).T for x, y in zip(xs, ys, strict=True))


def _everybody(
    people: list[_Annotation], columns: dict[int, int], J: int
) -> dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int64] | npt.NDArray[np.bool_]]:
    """The fields of `LabelledFrame` that people have, of all people of the file at once: much faster than by frame."""
    N, rows, theirs = len(people), list(columns), list(columns.values())
    points = np.zeros((N, len(JOINTS), 3))
    points[:, theirs] = np.array([person.keypoints for person in people], dtype=np.float64).reshape(N, J, 3)[:, rows]
    score = np.full((N, len(JOINTS)), np.nan)
    scored = [n for n, person in enumerate(people) if person.scores]
    if scored:
        values = np.array([people[n].scores for n in scored])
        score[np.ix_(scored, theirs)] = values[:, rows]
    head_box = np.full((N, 4), np.nan)
    for n, person in enumerate(people):
        if person.bbox_head:
            x, y, width, height = person.bbox_head
            head_box[n] = x, y, x + width, y + height
    found = (points != 0).any(axis=2)  # a joint at 0, 0 with a flag is one
    visible = found.copy()
    for n, person in enumerate(people):
        if person.visible is not None:
            visible[n, theirs] &= np.array(person.visible)[rows]
    person_score = np.array([np.nan if person.score is None else person.score for person in people])
    everybody = {
        "track_id": np.array([int(person.track_id) for person in people], dtype=np.int64),
        "xy": points[..., :2],
        "found": found,
        "visible": visible,
        "score": score,
        "head_box": head_box,
    }
    return everybody if np.isnan(person_score).all() else {**everybody, "person_score": person_score}
