"""Labels by a teacher: what the network sees in a photo at several sizes, fused, with what is not sure told apart.

A person whom only some sizes find, and a joint that they find in different places, are what a student must not learn
from: the sizes stand in for several teachers.

Letters: S sizes, M persons of a size, N persons, K joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.skeleton import Skeleton
from posetrack_app.types import Poses
from trackers.oks import Array, Mask, body_size, joint_variance, oks

__all__ = ["Taught", "TeacherConfig", "fuse"]


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """What is sure enough to be learned."""

    sure_score: float = 0.3
    """From this score on a person is labelled. Too low, people are learned where nobody is; too high, few are."""

    min_score: float = 0.1
    """From this score on nothing is learned where a person may be; what is lower counts as nobody."""

    joint_score: float = 0.3
    """From this score on the place of a joint is a label; lower ones are places of which nothing is learned."""

    same_person: float = 0.5
    """From this OKS on what two sizes find is one person."""

    same_place: float = 0.5
    """From this likeness on (OKS of the joint alone) two sizes find a joint in one place."""

    min_joints: int = 4
    """People with fewer joints that are labels are not labelled."""


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """The people of a photo, surest first, in pixels of the photo."""

    xy: npt.NDArray[np.float32]
    """float32 (N, K, 2): where each joint is; 0 where no size finds it."""

    joint_score: npt.NDArray[np.float32]
    """float32 (N, K), 0..1: mean over the sizes that find the person, of those that agree; 0 means not found."""

    score: npt.NDArray[np.float32]
    """float32 (N,), 0..1: mean over all sizes."""

    sure: npt.NDArray[np.bool_]
    """bool (N, K): the joint is a label. A person without any is to be left out of what is learned."""


def fuse(views: Sequence[Poses], *, skeleton: Skeleton, config: TeacherConfig) -> Taught:
    """The people of a photo from what is found at S sizes, each in pixels of the photo."""
    S, K = len(views), len(skeleton.joints)
    sigmas = np.array(skeleton.sigmas)
    view = np.concatenate([np.full(len(poses), number) for number, poses in enumerate(views)]).astype(np.intp)
    xy = np.concatenate([poses.xy for poses in views]).astype(np.float64)
    joint_score = np.concatenate([poses.joint_score for poses in views]).astype(np.float64)
    score = np.concatenate([poses.score for poses in views]).astype(np.float64)
    found = joint_score > 0
    size = body_size(xy, found)
    likeness = _likeness(xy, found, joint_variance(size, sigmas))
    who = _same_people(view, score, likeness, sizes=S, at_least=config.same_person)

    seen = who >= 0
    count = seen.sum(axis=1)  # at least 1
    largest = np.where(seen, size[who], 0).max(axis=1, initial=0)
    place, weight = _agreed(
        xy[who], np.where(seen[..., None], joint_score[who], 0), joint_variance(largest, sigmas), config.same_place
    )
    total = np.where(seen, score[who], 0).sum(axis=1) / S
    joints = weight / count[:, None]
    order = np.argsort(-total, kind="stable")
    order = order[total[order] >= config.min_score]
    sure = joints >= config.joint_score
    labelled = (total >= config.sure_score) & (2 * count >= S) & (sure.sum(axis=1) >= config.min_joints)
    return Taught(
        xy=place[order].astype(np.float32).reshape(-1, K, 2),
        joint_score=joints[order].astype(np.float32),
        score=total[order].astype(np.float32),
        sure=(sure & labelled[:, None])[order],
    )


def _likeness(xy: Array, found: Mask, variance: Array) -> Array:
    """OKS of each person (rows, by whose variance) with each other, (M, M); 0 where they share under three joints."""
    M = len(xy)
    first, second = np.divmod(np.arange(M * M), max(M, 1))
    likeness, shared = oks(xy[first], xy[second], found[first] & found[second], np.maximum(variance, 1e-9)[first])
    return np.where(shared >= 3, likeness, 0).reshape(M, M)


def _same_people(
    view: npt.NDArray[np.intp], score: Array, likeness: Array, *, sizes: int, at_least: float
) -> npt.NDArray[np.intp]:
    """Who is who, (N, S): for each person the rows in which each size finds them, -1 for none.

    Greedy: the surest who belongs to nobody takes from every other size the one who is most like them.
    """
    free = np.ones(len(view), dtype=bool)
    people = []
    for row in np.argsort(-score, kind="stable"):
        if not free[row]:
            continue
        person = np.full(sizes, -1, dtype=np.intp)
        person[view[row]] = row
        alike = free & (view != view[row]) & (likeness[row] >= at_least)
        for number in np.unique(view[alike]):
            rows = np.flatnonzero(alike & (view == number))
            person[number] = rows[likeness[row, rows].argmax()]
        free[person[person >= 0]] = False
        people.append(person)
    return np.array(people, dtype=np.intp).reshape(-1, sizes)


def _agreed(xy: Array, score: Array, variance: Array, at_least: float) -> tuple[Array, Array]:
    """Where the sizes find each joint, (N, K, 2), and the sum of the scores of those that agree, (N, K).

    The surest place counts, and those that are like it; the mean is weighted by score.

    Args:
        xy: (N, S, K, 2).
        score: (N, S, K), 0 where a size does not find the joint.
        variance: (N, K).
        at_least: the likeness from which on two places are one.
    """
    best = score.argmax(axis=1)[:, None, :, None]
    apart = xy - np.take_along_axis(xy, best, axis=1)
    like = np.exp((apart * apart).sum(axis=3) / (-2 * np.maximum(variance, 1e-9)[:, None]))
    weight = np.where(like >= at_least, score, 0)
    total = weight.sum(axis=1)
    place = (xy * weight[..., None]).sum(axis=1) / np.maximum(total, 1e-12)[..., None]
    return place, total
