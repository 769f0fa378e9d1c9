"""What reading other people's forms shares: from people in any order to the frames of a video.

Letters: P people of all frames, J joints of the file, K joints of the skeleton.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from models.skeleton import COCO17, POSETRACK15
from posetrack_app.errors import InputError
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.types import Origin, Poses

__all__ = ["BODY_25", "COCO_18", "MAX_FRAMES", "Draft", "FrameNumber", "Whole", "coco_first", "numbered"]

MAX_FRAMES = 3_000_000
"""Frame numbers end here, after a day of video: a larger one is an identifier of another kind."""

FrameNumber = Annotated[int, msgspec.Meta(ge=0, lt=MAX_FRAMES)]
Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

COCO_18 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
"""The joints of OpenPose's COCO model under our names; `neck` is the middle of the shoulders."""

BODY_25 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
    "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip
"""The joints of OpenPose's default model, in its order."""

_COCO_FIRST = {17: "COCO", 26: "Halpe", 133: "COCO whole-body", 136: "Halpe whole-body"}

# No picture is this large; what lies beyond would not even keep its pixel in float32.
_FAR = 1e7


def coco_first(count: int) -> tuple[str, ...] | None:
    """Names for `count` joints of which the first 17 are COCO's, '' for the others; None: no such set is known."""
    return COCO17.joints + ("",) * (count - 17) if count in _COCO_FIRST else None


def numbered(stem: str) -> int | None:
    """The last number in a name.

    >>> numbered("clip_000000000012_keypoints"), numbered("clip")
    (12, None)
    """
    digits = ""
    for letter in reversed(stem):
        if letter in "0123456789":
            digits = letter + digits
        elif digits:
            break
    return int(digits) if digits and len(digits) <= 18 else None


class Draft:
    """Collects the people of a file in any order, then makes frames of them."""

    def __init__(self, path: Path) -> None:
        """Start with nobody; `path` is for messages."""
        self._path = path
        self._place: list[str] = []
        self._frame: list[int] = []
        self._track: list[int] = []
        self._score: list[float] = []
        self._points: list[Sequence[float]] = []

    @property
    def joints(self) -> int | None:
        """J, or None where nobody is."""
        return len(self._points[0]) // 3 if self._points else None

    def add(
        self, place: str, frame: int, points: Sequence[float], *, track: int | None = None, score: float | None = None
    ) -> None:
        """One person.

        Args:
            place: where in the file, for messages.
            frame: in which frame, from 0.
            points: x, y and score of each joint; a score of 0 or less means not found.
            track: identity; None or less than 0 means none.
            score: of the person; None takes the mean of the joints.

        Raises:
            InputError: another number of joints than the others have.
        """
        if self._points and len(points) != len(self._points[0]):
            here, there = len(points) // 3, len(self._points[0]) // 3
            raise InputError(f"{self._path}: {place} has {here} joints, {self._place[0]} has {there}")
        self._place.append(place)
        self._frame.append(frame)
        self._track.append(-1 if track is None else max(track, -1))
        self._score.append(np.nan if score is None else score)
        self._points.append(points)

    def finish(
        self,
        joints: Sequence[str],
        *,
        rate: float,
        frames: int = 0,
        video: str | None = None,
        names: Mapping[int, str] | None = None,
    ) -> PoseSequence:
        """The frames.

        Args:
            joints: J names; those that no skeleton of ours has are left out.
            rate: frames a second.
            frames: how many there are at least: the last may have nobody.
            video: its name; None takes that of the file.
            names: file names of pictures, by frame.

        Raises:
            InputError: no joint has a name of ours, or coordinates are no pixels of a picture.
        """
        skeleton = COCO17 if "left_eye" in joints or "head_bottom" not in joints else POSETRACK15
        P, K = len(self._points), len(skeleton.joints)
        points = np.array(self._points, dtype=np.float64).reshape(P, len(joints), 3)
        ours = [row for row, joint in enumerate(skeleton.joints) if joint in joints]
        if P and not ours:
            known = ", ".join(COCO17.joints[:3])
            raise InputError(f"{self._path}: the joints have names of their own; ours are {known} and so on")
        points = points[:, [joints.index(skeleton.joints[row]) for row in ours]]
        # Written so that NaN is refused as well.
        far = ~(np.abs(points[..., :2]) < _FAR).all(axis=2) | np.isnan(points[..., 2])
        if far.any():
            n, j = np.argwhere(far)[0]
            x, y, score = points[n, j].tolist()
            raise InputError(
                f"{self._path}: {self._place[n]}: {skeleton.joints[ours[j]]} at x = {x:g}, y = {y:g} with score "
                f"{score:g} is no place in a picture"
            )
        xy, joint_score = np.zeros((P, K, 2), dtype=np.float32), np.zeros((P, K), dtype=np.float32)
        joint_score[:, ours] = points[..., 2].clip(0, 1)
        xy[:, ours] = points[..., :2]
        found = joint_score > 0
        xy[~found] = 0
        if found.any() and np.abs(xy).max() <= 1:
            raise InputError(
                f"{self._path}: coordinates are parts of the picture, not pixels; write them with normalize=False "
                "(Ultralytics) or --keypoint_scale 0 (OpenPose)"
            )
        mean = joint_score.sum(axis=1) / np.maximum(found.sum(axis=1), 1)
        given = np.array(self._score, dtype=np.float64).reshape(P)
        order = np.argsort(np.array(self._frame, dtype=np.int64), kind="stable")
        everybody = Poses(
            xy=xy,
            joint_score=joint_score,
            score=np.where(np.isnan(given), mean, given).clip(0, 1).astype(np.float32),
            track_id=np.array(self._track, dtype=np.int64).reshape(P),
            origin=np.full(P, Origin.OBSERVED, dtype=np.uint8),
        )[order]
        total = max(frames, max(self._frame, default=-1) + 1)
        edges = np.searchsorted(np.array(self._frame, dtype=np.int64)[order], np.arange(total + 1)).tolist()
        nobody = Poses.empty(K)
        posed = [
            PosedFrame(
                index=index,
                seconds=index / rate,
                poses=everybody[edges[index] : edges[index + 1]] if edges[index] < edges[index + 1] else nobody,
                name=names.get(index) if names else None,
            )
            for index in range(total)
        ]
        return PoseSequence(video=video or self._path.stem, skeleton=skeleton, width=0, height=0, frames=posed)
