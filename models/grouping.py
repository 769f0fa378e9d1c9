"""Peaks of one picture to people: which joints belong together, by their tags and by what a body can reach.

People grow joint by joint from the torso outward (`models.growth`). Then what turns out to be a part of somebody is
joined to them, joints too far from the rest of their person are let go, and what is left over fills what others lack.

Letters: N persons, K joints, C maps (one for each cluster of joints), P peaks of a map, D tags of a peak.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.body import NEAREST_LIMIT, asked_stature, misfits, partings, per_reach, statures
from models.growth import grow, tag_cost
from models.people import Array, Bodies, Candidates, GroupingConfig, Indices, read_candidates
from models.skeleton import Skeleton

__all__ = ["Grouped", "GroupingConfig", "group"]

_SIZE = 0.71
"""Root of the area of a person (COCO's measure of size) over the stature: median of 1,700 persons marked by hand."""

_ERROR = 1.8
"""How far a joint that was found is from where people mark it, cells."""

_EXPLAINED = 0.6
"""A part is somebody's when they account for this share of its score."""

_SAME_PLACE = 0.06
"""Two peaks nearer than this share of the stature are echoes of one place."""

_FILL_MEAN = 1.1
"""Mean strain up to which a peak that was left over may still be somebody's: 1 in 100 true joints is beyond."""

_FEW = 3
"""Of a person of so few joints it cannot be told which one is too far."""


class Grouped(NamedTuple):
    """The people of one picture."""

    xy: npt.NDArray[np.float32]
    """float32 (N, K, 2), in cells; 0 where not found."""

    joint_score: npt.NDArray[np.float32]
    """float32 (N, K), 0..1; 0 where not found."""

    score: npt.NDArray[np.float32]
    """float32 (N,), 0..1, falling."""


def group(
    xy: npt.NDArray[np.floating],
    score: npt.NDArray[np.floating],
    tags: npt.NDArray[np.floating],
    *,
    skeleton: Skeleton,
    config: GroupingConfig,
) -> Grouped:
    """People from the peaks of one picture.

    Args:
        xy: (C, P, 2), x and y of each peak in cells.
        score: (C, P), heights of the peaks; 0 marks no peak.
        tags: (C, P, D), tags of the peaks; with D = 2 the second are those of the mirrored picture.
        skeleton: The K joints; its division into C clusters says which joints each map holds.
        config: The knobs.
    """
    peaks = read_candidates(xy, score, tags, skeleton=skeleton, config=config)
    bodies = grow(peaks, maps=len(score), skeleton=skeleton, config=config)
    _part(bodies)
    _merge(bodies, config)
    bodies.keep((bodies.joint_score > 0).sum(axis=1) >= config.min_joints)
    _let_go(bodies)
    bodies.keep((bodies.joint_score > 0).sum(axis=1) >= config.min_joints)
    _fill(bodies, peaks, config, several=len(score) < len(skeleton.joints))
    total = _person_score(bodies)
    keep = np.flatnonzero(total >= config.min_score)
    best = keep[np.argsort(-total[keep], kind="stable")]
    return Grouped(
        xy=bodies.xy[best].astype(np.float32),
        joint_score=np.clip(bodies.joint_score[best], 0, 1).astype(np.float32),
        score=np.clip(total[best], 0, 1).astype(np.float32),
    )


def _person_score(bodies: Bodies) -> Array:
    """(N,): root of the OKS to be expected, if a joint of height h is right with probability h * h.

    A right joint is off by a Gaussian error, which by the definition of OKS with deviation k of labellers and size s
    of the person is worth (k s)^2 / ((k s)^2 + error^2) on average. So people of few cells score less, as in COCO.
    """
    sigmas = 2 * np.array(bodies.skeleton.sigmas)
    stature = statures(bodies.xy, bodies.joint_score, bodies.skeleton.joints)
    tolerance = (sigmas * _SIZE * stature[:, None]) ** 2
    worth = tolerance / (tolerance + _ERROR**2)
    return np.asarray(np.sqrt((bodies.joint_score**2 * worth).mean(axis=1)))


def _merge(bodies: Bodies, config: GroupingConfig) -> None:
    """Join a person to a stronger one of like tag who has its joints already, or lacks them within reach.

    Left and right echo each other: a joint that lies where the other has its mirror joint says nothing new either.
    """
    strength = bodies.joint_score.sum(axis=1)
    order = np.argsort(-strength, kind="stable")
    bodies.keep(order)
    strength, N = strength[order], bodies.count
    apart = ((bodies.tag[:, None] - bodies.tag[None]) ** 2).mean(axis=-1)
    strong, weak = np.nonzero((apart < config.merge_tag**2) & np.tri(N, N, -1, dtype=bool).T)
    if not len(strong):
        return
    share = _explained(bodies, strong, weak, config)
    gone = np.zeros(N, dtype=bool)
    for a, b, part in zip(strong.tolist(), weak.tolist(), share, strict=True):
        if not gone[a] and not gone[b] and (part * bodies.joint_score[b]).sum() >= _EXPLAINED * strength[b]:
            gone[b] = True
            bodies.absorb(a, b)
    bodies.keep(~gone)


def _explained(bodies: Bodies, strong: Indices, weak: Indices, config: GroupingConfig) -> npt.NDArray[np.bool_]:
    """(R, K): which joints of each weaker person of a pair could as well be the stronger one's."""
    mirror, inverse = bodies.skeleton.mirror, per_reach(bodies.skeleton.joints)
    found = bodies.joint_score > 0
    stature = statures(bodies.xy, bodies.joint_score, bodies.skeleton.joints)
    stature = np.maximum(stature[strong], stature[weak])
    planes = bodies.xy.transpose(2, 0, 1)
    gap = planes[:, strong, :, None] - planes[:, weak, None]  # (2, R, K of the stronger, K of the weaker)
    near = (gap**2).sum(axis=0) < (_SAME_PLACE * stature[:, None, None] + 1.5) ** 2
    asked = asked_stature(gap, inverse)
    # The mean over the stronger one's joints of what they ask for, of what the stature allows.
    here = found[strong].astype(float)
    within = np.einsum("rk,rkl->rl", here, asked) <= config.stretch * stature[:, None] * (here @ (inverse > 0))
    every = np.arange(len(mirror))
    echo = found[strong] & near[:, every, every]
    echo |= found[strong][:, mirror] & near[:, mirror, every]
    new = ~found[strong] & within
    return np.asarray(found[weak] & (echo | new))


def _part(bodies: Bodies) -> None:
    """Make a person of their own of each part that is too far from the rest of its person."""
    suspects = np.flatnonzero((bodies.joint_score > 0).sum(axis=1) > _FEW)
    if not len(suspects):
        return
    strain, parts = partings(bodies.xy[suspects], bodies.joint_score[suspects], bodies.skeleton.joints)
    worst = strain.argmax(axis=1)
    for row in np.flatnonzero(strain.max(axis=1) > 1):
        bodies.split(int(suspects[row]), parts[worst[row]])


def _let_go(bodies: Bodies) -> None:
    """Take from each person the joints that are too far from the rest, worst first."""
    joints = bodies.skeleton.joints
    suspects = np.flatnonzero((bodies.joint_score > 0).sum(axis=1) > _FEW)
    for _ in joints:
        misfit = misfits(bodies.xy[suspects], bodies.joint_score[suspects], joints)
        worst = misfit.argmax(axis=1)
        far = misfit[np.arange(len(suspects)), worst] > 1
        if not far.any():
            return
        suspects = suspects[far]
        bodies.take(suspects, worst[far])
        suspects = suspects[(bodies.joint_score[suspects] > 0).sum(axis=1) > _FEW]


def _fill(bodies: Bodies, peaks: Candidates, config: GroupingConfig, *, several: bool) -> None:
    """Hand peaks that are left over, low ones too, to people who lack such a joint within reach, the best fit first."""
    taken: npt.NDArray[np.bool_] = np.zeros(peaks.number.max(initial=0) + 2, dtype=bool)
    taken[bodies.peak] = True  # the last stands for the joints that are not found
    peaks = peaks.some(~taken[peaks.number])
    cost = tag_cost(bodies.tag[:, None] - peaks.tags, config, several=several)
    person, peak = np.nonzero((bodies.joint_score[:, peaks.joint] == 0) & (cost < 1))
    offered = peaks.some(peak)
    asked = bodies.asked(person, offered)
    stature = statures(bodies.xy, bodies.joint_score, bodies.skeleton.joints)[person]
    strain = np.einsum("rk,rk->r", asked, bodies.shares()[person]) / stature
    nearest = np.where(bodies.joint_score[person] > 0, asked, np.inf).min(axis=1, initial=np.inf) / stature
    gain = (1 - cost[person, peak] - config.nearness * strain**2) * offered.score * bodies.weight[person]
    fits = np.flatnonzero((gain > 0) & (strain <= _FILL_MEAN) & (nearest <= NEAREST_LIMIT))
    wanted, used = set(), set()
    chosen: list[int] = []
    for fit in fits[np.argsort(-gain[fits], kind="stable")].tolist():
        want, number = (person[fit], offered.joint[fit]), offered.number[fit]
        if want not in wanted and number not in used:
            wanted.add(want)
            used.add(number)
            chosen.append(fit)
    bodies.give(person[chosen], offered.some(np.array(chosen, dtype=np.intp)))
