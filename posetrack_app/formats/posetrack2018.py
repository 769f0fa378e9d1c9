"""Poses as PoseTrack2018 JSON: one file a video, in the manner of COCO.

Joints are pixels with (0, 0) the centre of the top left pixel; a joint that is not there is 0, 0, 0. The evaluator
pairs frames by their order and people by `track_id`; everything else is told for other readers.

Letters: N persons, V vertices of a polygon.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.skeleton import COCO17, POSETRACK15, Skeleton
from posetrack_app.errors import InputError
from posetrack_app.formats.annotations import JOINTS, AnnotationWriter, enlarged_box
from posetrack_app.formats.head import neck_and_head_top
from posetrack_app.types import Poses

__all__ = ["LabelledFrame", "PoseTrack2018Writer", "read"]


class PoseTrack2018Writer:
    """Writes tracked poses as they come. People without an identity are left out: the form demands one."""

    def __init__(self, path: Path, *, video: str, skeleton: Skeleton) -> None:
        """Start the file of a video; `video` is the name of its folder of frames."""
        self._skeleton = skeleton
        self._columns = [JOINTS.index(joint) if joint in JOINTS else -1 for joint in skeleton.joints]
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
        xy = np.zeros((len(poses), len(JOINTS), 2))
        score = np.zeros((len(poses), len(JOINTS)))
        ours = [row for row, column in enumerate(self._columns) if column >= 0]
        theirs = [self._columns[row] for row in ours]
        xy[:, theirs], score[:, theirs] = poses.xy[:, ours], poses.joint_score[:, ours]
        if self._skeleton is COCO17:
            xy[:, 1:3], score[:, 1:3] = neck_and_head_top(poses.xy, poses.joint_score)
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


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFrame:
    """The people of one frame, from a file. N may be 0."""

    image_id: int
    """The file's id of the frame."""

    file_name: str
    """The file's name of the picture."""

    is_labelled: bool
    """Whether somebody looked for people here."""

    track_id: npt.NDArray[np.int64]
    """int64 (N,): identities, as the file has them."""

    xy: npt.NDArray[np.float64]
    """float64 (N, 17, 2): joints in the order of `JOINTS`, pixels; 0 where missing."""

    found: npt.NDArray[np.bool_]
    """bool (N, 17): the file has the joint."""

    visible: npt.NDArray[np.bool_]
    """bool (N, 17): the joint is there and nothing covers it, where the file tells (our sample); else `found`."""

    score: npt.NDArray[np.float64]
    """float64 (N, 17): scores of joints, as the file has them; NaN where it has none (ground truth)."""

    head_box: npt.NDArray[np.float64]
    """float64 (N, 4): x1, y1, x2, y2, pixels; NaN where the file has none (predictions)."""

    ignore_regions: tuple[npt.NDArray[np.float64], ...]
    """Polygons, float64 (V, 2) each, in pixels: people in them are not labelled."""

    def __len__(self) -> int:
        return len(self.track_id)

    def poses(self) -> Poses:
        """The people with the joints of `POSETRACK15`; joints without a score are sure."""
        columns = [JOINTS.index(joint) for joint in POSETRACK15.joints]
        found = self.found[:, columns]
        score = np.where(np.isnan(self.score[:, columns]), 1.0, self.score[:, columns].clip(1e-4, 1))
        score = np.where(found, score, 0)
        mean = score.sum(axis=1) / np.maximum(found.sum(axis=1), 1)
        return Poses.untracked(xy=self.xy[:, columns], joint_score=score, score=mean).with_tracks(self.track_id)


class _Image(msgspec.Struct, frozen=True):
    file_name: str
    id: int
    is_labeled: bool = True
    ignore_regions_x: list[list[float]] = []
    ignore_regions_y: list[list[float]] = []


class _Annotation(msgspec.Struct, frozen=True):
    image_id: int
    track_id: int
    keypoints: list[float]
    scores: list[float] = []
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
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except msgspec.ValidationError as error:
        message = str(error).replace("`$.", "`").replace(" - at", ", at")
        raise InputError(f"{path} is not PoseTrack2018 JSON: {message[0].lower()}{message[1:]}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    columns, names = _columns(path, content.categories)
    people: dict[int, list[_Annotation]] = {image.id: [] for image in content.images}
    if len(people) < len(content.images):
        raise InputError(f"{path}: two of `images` have the same `id`")
    for number, annotation in enumerate(content.annotations):
        wrong = _what_is_wrong(annotation, names, people)
        if wrong:
            raise InputError(f"{path}: annotations[{number}] (track {annotation.track_id}): {wrong}")
        people[annotation.image_id].append(annotation)
    return [
        _frame(image, people[image.id], columns, _regions(path, number, image))
        for number, image in enumerate(content.images)
    ]


def _columns(path: Path, categories: list[_Category]) -> tuple[dict[int, int], int]:
    """Which of the file's joints are which of `JOINTS`, and how many joints the file has."""
    if len(categories) != 1 or categories[0].name != "person":
        raise InputError(f"{path}: `categories` must hold one, named person")
    names = categories[0].keypoints
    for joint in POSETRACK15.joints:
        if names.count(joint) != 1:
            raise InputError(f"{path}: `categories[0].keypoints` must name '{joint}' once")
    return {row: JOINTS.index(name) for row, name in enumerate(names) if name in JOINTS}, len(names)


def _what_is_wrong(annotation: _Annotation, names: int, images: dict[int, list[_Annotation]]) -> str | None:
    """What makes an annotation unreadable, or None."""
    if annotation.image_id not in images:
        return f"`image_id` {annotation.image_id} is none of `images`"
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


def _frame(
    image: _Image,
    people: list[_Annotation],
    columns: dict[int, int],
    regions: tuple[npt.NDArray[np.float64], ...],
) -> LabelledFrame:
    count, rows, theirs = len(people), list(columns), list(columns.values())
    points = np.zeros((count, len(JOINTS), 3))
    score = np.full((count, len(JOINTS)), np.nan)
    head_box = np.full((count, 4), np.nan)
    hidden = np.zeros((count, len(JOINTS)), dtype=np.bool_)
    for n, person in enumerate(people):
        points[n, theirs] = np.array(person.keypoints).reshape(-1, 3)[rows]
        if person.scores:
            score[n, theirs] = np.array(person.scores)[rows]
        if person.visible is not None:
            hidden[n, theirs] = ~np.array(person.visible)[rows]
        if person.bbox_head:
            x, y, width, height = person.bbox_head
            head_box[n] = x, y, x + width, y + height
    found: npt.NDArray[np.bool_] = (points != 0).any(axis=2)  # a joint at 0, 0 with a flag is one
    return LabelledFrame(
        image_id=image.id,
        file_name=image.file_name,
        is_labelled=image.is_labeled,
        track_id=np.array([person.track_id for person in people], dtype=np.int64),
        xy=points[..., :2],
        found=found,
        visible=found & ~hidden,
        score=score,
        head_box=head_box,
        ignore_regions=regions,
    )
