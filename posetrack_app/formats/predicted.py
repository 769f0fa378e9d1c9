"""Poses as PoseTrack's evaluation takes them: 15 joints, a score for each, and an identity for everybody.

Letters: N persons.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from models.skeleton import COCO17, Skeleton
from posetrack_app.config import OutputSettings
from posetrack_app.formats.annotations import JOINTS
from posetrack_app.formats.head import neck_and_head_top
from posetrack_app.formats.labelled import LabelledFrame
from posetrack_app.types import Poses

__all__ = ["kept", "legal_identities", "official_joints", "predicted_frame", "some_people"]

_NECK_AND_HEAD_TOP = [JOINTS.index("head_bottom"), JOINTS.index("head_top")]
_EARS = [JOINTS.index("left_ear"), JOINTS.index("right_ear")]
_LEAST = 1e-6  # a joint that was found keeps a score above 0, however unsure


def official_joints(poses: Poses, skeleton: Skeleton) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Places (N, 17, 2) and scores (N, 17) of the joints of `JOINTS`; score 0 where a joint is not there.

    Neck and head top are estimated where the skeleton lacks them.
    """
    N = len(poses)
    xy, score = np.zeros((N, len(JOINTS), 2)), np.zeros((N, len(JOINTS)))
    ours = [row for row, joint in enumerate(skeleton.joints) if joint in JOINTS]
    theirs = [JOINTS.index(skeleton.joints[row]) for row in ours]
    xy[:, theirs], score[:, theirs] = poses.xy[:, ours], poses.joint_score[:, ours]
    if skeleton is COCO17:
        xy[:, _NECK_AND_HEAD_TOP], score[:, _NECK_AND_HEAD_TOP] = neck_and_head_top(poses.xy, poses.joint_score)
    return xy, score


def predicted_frame(
    poses: Poses, skeleton: Skeleton, *, image_id: int, file_name: str, is_labelled: bool = True
) -> LabelledFrame:
    """The people of one frame with the 15 joints that are evaluated; ears are left out, nobody evaluates them.

    Neck and head top are estimated where the skeleton lacks them. People without any of the joints are left out, and
    those without an identity stay.
    """
    xy, score = official_joints(poses, skeleton)
    score[:, _EARS] = 0
    found = score > 0
    somebody = found.any(axis=1)
    found = found[somebody]
    return LabelledFrame(
        image_id=image_id,
        file_name=file_name,
        is_labelled=is_labelled,
        track_id=poses.track_id[somebody],
        xy=np.where(found[..., None], xy[somebody], 0).round(2),
        found=found,
        visible=found,
        score=np.where(found, score[somebody].round(6).clip(_LEAST), np.nan),
        head_box=np.full((len(found), 4), np.nan),
        ignore_regions=(),
        person_score=poses.score[somebody].astype(np.float64).round(6),
    )


def kept(frame: LabelledFrame, output: OutputSettings) -> LabelledFrame:
    """The frame without the joints and people that are not to be handed in."""
    found = frame.found & (frame.score >= output.min_joint_score)
    score = frame.person_score
    keep = found.any(axis=1) & ((frame.track_id >= 0) | output.untracked)
    if score is not None:
        keep &= score >= output.min_person_score
    xy, joint_score = np.where(found[..., None], frame.xy, 0), np.where(found, frame.score, np.nan)
    return some_people(replace(frame, xy=xy, found=found, visible=found, score=joint_score), keep)


def some_people(frame: LabelledFrame, keep: npt.NDArray[np.bool_]) -> LabelledFrame:
    """Some of the people of a frame that we predict."""
    if keep.all():
        return frame
    names = ("track_id", "xy", "found", "visible", "score", "head_box")
    score = None if frame.person_score is None else frame.person_score[keep]
    return replace(frame, person_score=score, **{name: getattr(frame, name)[keep] for name in names})


def legal_identities(frames: Sequence[npt.NDArray[np.int64]], *, largest: int) -> list[npt.NDArray[np.int64]]:
    """The identities (N,) of each frame of a sequence within 0..`largest`, unique in a frame.

    Identities that are in range stay as they are. Where some are not, all are numbered anew, and a number is used
    again only when all were used, that of the person gone longest first. Who has no identity (-1) gets one that
    nobody else has in this frame, from the largest downwards. -1 stays where a frame has more people than numbers.
    """
    identities = [frame.copy() for frame in frames]
    if max((frame.max() for frame in frames if len(frame)), default=-1) > largest:
        identities = _renumbered(identities, largest)
    for frame, before in zip(identities, frames, strict=True):
        taken = set(frame.tolist())
        free = (number for number in range(largest, -1, -1) if number not in taken)
        for row in (before < 0).nonzero()[0]:
            frame[row] = next(free, -1)
    return identities


def _renumbered(frames: list[npt.NDArray[np.int64]], largest: int) -> list[npt.NDArray[np.int64]]:
    last = {track: place for place, frame in enumerate(frames) for track in frame.tolist()}
    number_of: dict[int, int] = {}
    free = deque(range(largest + 1))
    renumbered = []
    for place, frame in enumerate(frames):
        people = [track for track in frame.tolist() if track >= 0]
        for track in people:
            if track not in number_of and free:
                number_of[track] = free.popleft()
        renumbered.append(np.array([number_of.get(track, -1) for track in frame.tolist()], dtype=np.int64))
        free.extend(number_of.pop(track) for track in people if last[track] == place and track in number_of)
    return renumbered
