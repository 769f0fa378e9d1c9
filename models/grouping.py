"""Peaks of one picture to people: which joints belong together, by their tags and by what a body can reach.

People grow joint by joint from the torso outward (`models.growth`). Then what turns out to be a part of somebody is
joined to them, joints too far from the rest of their person are let go, and what is left over fills what others lack.

Letters: N persons, K joints, C maps (one for each cluster of joints), P peaks of a map, D tags of a peak.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.body import NEAREST_LIMIT, asked_stature, misfits, partings, per_reach
from models.growth import grow, tag_cost
from models.people import Array, Bodies, GroupingConfig, Indices, read_candidates
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
    bodies.keep(bodies.found.sum(axis=1) >= config.min_joints)
    _let_go(bodies)
    bodies.keep(bodies.found.sum(axis=1) >= config.min_joints)
    _fill(bodies, config, several=len(score) < len(skeleton.joints))
    total = _person_score(bodies)
    keep = np.flatnonzero(total >= config.min_score)
    best = keep[np.argsort(-total[keep], kind="stable")]
    return Grouped(
        xy=bodies.xy[best].astype(np.float32),
        joint_score=np.minimum(bodies.joint_score[best], 1).astype(np.float32),
        score=np.minimum(total[best], 1).astype(np.float32),
    )


def _person_score(bodies: Bodies) -> Array:
    """(N,): root of the OKS to be expected, if a joint of height h is right with probability h * h.

    A right joint is off by a Gaussian error, which by the definition of OKS with deviation k of labellers and size s
    of the person is worth (k s)^2 / ((k s)^2 + error^2) on average. So people of few cells score less, as in COCO.
    """
    sigmas = 2 * np.array(bodies.skeleton.sigmas)
    stature = bodies.statures()
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
    tag, place = bodies.tag, np.arange(N)
    alike = ((tag[:, None] - tag) ** 2).sum(axis=-1) < tag.shape[1] * config.merge_tag**2
    strong, weak = (alike & (place[:, None] < place)).nonzero()
    if not len(strong):
        return
    explained = (_explained(bodies, strong, weak, config) * bodies.joint_score[weak]).sum(axis=1)
    good = explained >= _EXPLAINED * strength[weak]
    gone = np.zeros(N, dtype=bool)
    for a, b in zip(strong[good].tolist(), weak[good].tolist(), strict=True):
        if not gone[a] and not gone[b]:
            gone[b] = True
            bodies.absorb(a, b)
    bodies.keep(~gone)


def _explained(bodies: Bodies, strong: Indices, weak: Indices, config: GroupingConfig) -> npt.NDArray[np.bool_]:
    """(R, K): which joints of each weaker person of a pair could as well be the stronger one's."""
    mirror, joints = bodies.skeleton.mirror, bodies.skeleton.joints
    stature = bodies.statures()
    stature = np.maximum(stature[strong], stature[weak])[:, None]
    here, there = bodies.row[strong], bodies.row[weak]
    one, other = bodies.peaks.xy.take(here, axis=1), bodies.peaks.xy.take(there, axis=1)  # (2, R, K)
    asked = asked_stature(one[..., None], other[:, :, None], per_reach(joints))
    # The mean over the stronger one's joints of what they ask for, of what the stature allows.
    found = here > 0
    counted = found.astype(np.float32)
    within = (counted[:, None] @ asked)[:, 0] <= config.stretch * stature * (counted @ (per_reach(joints) > 0))
    same = (_SAME_PLACE * stature + 1.5) ** 2
    echo = found & (((one - other) ** 2).sum(axis=0) < same)
    echo |= found[:, mirror] & (((one.take(mirror, axis=2) - other) ** 2).sum(axis=0) < same)
    return np.asarray((there > 0) & (echo | (~found & within)))


def _part(bodies: Bodies) -> None:
    """Make a person of their own of each part that is too far from the rest of its person."""
    strain, parts = partings(bodies.asked_within(), bodies.root, bodies.skeleton.joints)
    strain[bodies.found.sum(axis=1) <= _FEW] = 0
    worst = strain.argmax(axis=1)
    for person in np.flatnonzero(strain.max(axis=1) > 1).tolist():
        bodies.split(person, parts[worst[person]])


def _let_go(bodies: Bodies) -> None:
    """Take from each person the joints that are too far from the rest, worst first."""
    joints = bodies.skeleton.joints
    persons, asked, root = np.arange(bodies.count), bodies.asked_within(), bodies.root
    for _ in joints:
        misfit = misfits(asked, root, joints)
        far = (misfit.max(axis=1) > 1) & ((root > 0).sum(axis=1) > _FEW)
        if not far.any():
            return
        persons, asked, root, worst = persons[far], asked[far], root[far], misfit[far].argmax(axis=1)
        bodies.take(persons, worst)
        root[np.arange(len(persons)), worst] = 0


def _fill(bodies: Bodies, config: GroupingConfig, *, several: bool) -> None:
    """Hand peaks that are left over, low ones too, to people who lack such a joint within reach, the best fit first."""
    peaks = bodies.peaks
    taken: npt.NDArray[np.bool_] = np.zeros(peaks.number.max() + 1, dtype=bool)
    taken[peaks.number[bodies.row]] = True
    taken[0] = True  # stands for the joints that are not found
    left = np.flatnonzero(~taken[peaks.number])
    cost = tag_cost(bodies.tag[:, None] - peaks.tags[left], config, several=several)
    person, peak = ((cost < 1) & ~bodies.found.take(peaks.joint[left], axis=1)).nonzero()
    row, cost = left[peak], cost[person, peak]
    stature = bodies.statures()
    asked, root = bodies.asked(row, bodies.row[person], per_reach(bodies.skeleton.joints)), bodies.root[person]
    strain = np.einsum("rk,rk->r", asked, root) / (np.maximum(root.sum(axis=1), 1e-9) * stature[person])
    gain = (1 - cost - config.nearness * strain**2) * peaks.score[row] * bodies.weight[person]
    near = ((root > 0) & (asked <= NEAREST_LIMIT * stature[person, None])).any(axis=1)
    fits = np.flatnonzero((gain > 0) & (strain <= _FILL_MEAN) & near)
    fits = fits[np.argsort(-gain[fits], kind="stable")]
    wanted, used = set(), set()
    chosen: list[int] = []
    places = zip(person[fits].tolist(), peaks.joint[row[fits]].tolist(), peaks.number[row[fits]].tolist(), strict=True)
    for fit, (who, joint, number) in zip(fits.tolist(), places, strict=True):
        if (who, joint) not in wanted and number not in used:
            wanted.add((who, joint))
            used.add(number)
            chosen.append(fit)
    bodies.give(person[chosen], row[chosen])
