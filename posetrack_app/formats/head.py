"""Neck and top of the head, which PoseTrack asks for and COCO's joints lack.

Letters: N persons.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.skeleton import COCO17

__all__ = ["neck_and_head_top"]

_EYES = [COCO17.index("left_eye"), COCO17.index("right_eye")]
_EARS = [COCO17.index("left_ear"), COCO17.index("right_ear")]
_FACE = [COCO17.index("nose"), *_EYES]
_SHOULDERS = [COCO17.index("left_shoulder"), COCO17.index("right_shoulder")]

# On the way from the middle of the shoulders (0) to the middle of the head (1).
_NECK = 0.35
_HEAD_TOP = 1.65

# A lone ear is that of a profile, on the axis of the head, or of a head half turned, beside it.
_LONE_EAR = 0.75

Array = npt.NDArray[np.float64]


def neck_and_head_top(
    xy: npt.NDArray[np.floating], joint_score: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Estimate neck and top of the head from the joints of COCO17 that were found.

    Both lie on the line from the middle of the shoulders through the middle of the head, which is that of the ears
    where they were found and that of nose and eyes elsewhere. Needs a shoulder and a joint of the head.

    Measured on the drawn clip (seeds 0, 1 and 2: 1,109 people whose neck and head top can be seen), from exact
    joints, in head sizes of PCKh, where 0.5 is the limit of a right joint:

    | joints known           | neck: mean, 95 %, right | head top: mean, 95 %, right |
    |------------------------|-------------------------|-----------------------------|
    | all within the picture | 0.03, 0.04, 100 %       | 0.02, 0.03, 100 %           |
    | only visible ones      | 0.09, 0.24, 98 %        | 0.13, 0.30, 98 %            |

    Drawn people hold their heads straight: a bowed head is farther off. In PoseTrack2018's own labels, on the 26
    people of six frames that show nose and shoulders, neck and head top lay at 0.36 (most 0.2 to 0.6) and 1.6
    (1.2 to 2.0) of the way from the shoulders to the nose.

    Args:
        xy: (N, 17, 2), pixels.
        joint_score: (N, 17); 0 means not found.

    Returns:
        float64 (N, 2, 2): neck and head top, pixels, 0 where not to be had; and their scores, (N, 2), 0 there.
    """
    found = joint_score > 0
    shoulders, shoulder_score = _mean(xy, joint_score, _SHOULDERS)
    ears, ear_score = _mean(xy, joint_score, _EARS)
    face, face_score = _mean(xy, joint_score, _FACE)
    eyes = xy[:, _EYES].mean(axis=1, dtype=np.float64)

    half_turned = (found[:, _EARS].sum(axis=1) == 1) & found[:, _EYES].all(axis=1)
    head = np.where(half_turned[:, None], _LONE_EAR * ears + (1 - _LONE_EAR) * eyes, ears)
    head = np.where(ear_score[:, None] > 0, head, face)
    head_score = np.where(ear_score > 0, ear_score, face_score)

    score = np.minimum(shoulder_score, head_score)
    way = np.array([_NECK, _HEAD_TOP])[None, :, None]
    points = shoulders[:, None] + way * (head - shoulders)[:, None]  # (N, 2, 2)
    known = score > 0
    return np.where(known[:, None, None], points, 0.0), np.repeat(np.where(known, score, 0.0)[:, None], 2, axis=1)


def _mean(
    xy: npt.NDArray[np.floating], joint_score: npt.NDArray[np.floating], joints: list[int]
) -> tuple[Array, Array]:
    """Mean place (N, 2) and score (N,) of those of some joints that were found; 0 where none was."""
    found = (joint_score[:, joints] > 0).astype(np.float64)
    count = np.maximum(found.sum(axis=1), 1)
    place: Array = (xy[:, joints] * found[..., None]).sum(axis=1) / count[:, None]
    score: Array = (joint_score[:, joints] * found).sum(axis=1) / count
    return place, score
