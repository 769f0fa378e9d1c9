"""Higher order tracking accuracy of joints, as PoseTrack21 defines it.

Source: Luiten et al., HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking, IJCV 2021; Doering et al.,
PoseTrack21: A Dataset for Person Search, Multi-Object Tracking and Multi-Person Pose Tracking, CVPR 2022, and the rules
of its evaluator. Letters: A 19 thresholds, K 15 joints, E similar pairs of joints, U pairs of tracks of a joint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from posetrack_app.evaluation.annotated import JOINTS, FramePair, People, Protocol
from posetrack_app.evaluation.clear_mot import identities

__all__ = ["ALPHAS", "HotaParts", "combine", "hota"]

ALPHAS = np.arange(0.05, 0.99, 0.05)
"""float64 (19,): thresholds of similarity."""

_A = len(ALPHAS)
_REACH = 0.5001  # head sizes at which similarity is 0
_TINY = 1e-10

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class HotaParts:
    """What HOTA is made of, float64 (A, 16): the 15 joints and, last, all of them (sums of counts, means of shares)."""

    tp: Array
    """Joints found."""

    fn: Array
    """Annotated joints that were not found."""

    fp: Array
    """Predicted joints that are none."""

    ass_a: Array
    """How well the found joints' tracks agree, 0..1."""

    ass_re: Array
    """Share of the true tracks that the predicted ones cover, 0..1."""

    ass_pr: Array
    """Share of the predicted tracks that lies on the true ones, 0..1."""

    frag_a: Array
    """As `ass_a`, by uninterrupted pieces of tracks."""

    loc_a: Array
    """Mean similarity of the found joints, 0..1; 1 where there are none."""

    combined: bool = False
    """Of several sequences: there, what follows from the last column's counts is worked out from them; in one
    sequence it is the mean of the joints."""

    strict: bool = False
    """Whether a joint that is neither annotated nor predicted has no figures and counts in no mean."""

    @property
    def det_a(self) -> Array:
        """Share of joints found among all that are annotated or predicted."""
        return self._last(self.tp / np.maximum(1, self.tp + self.fn + self.fp))

    @property
    def det_re(self) -> Array:
        """Share of the annotated joints that were found."""
        return self._last(self.tp / np.maximum(1, self.tp + self.fn))

    @property
    def det_pr(self) -> Array:
        """Share of the predicted joints that are right."""
        return self._last(self.tp / np.maximum(1, self.tp + self.fp))

    @property
    def hota(self) -> Array:
        """Geometric mean of `det_a` and `ass_a`."""
        return self._last(np.sqrt(self.det_a * self.ass_a))

    @property
    def fa_hota(self) -> Array:
        """HOTA that also counts how often tracks are interrupted."""
        return self._last(np.sqrt(self.det_a * np.sqrt(self.ass_a * self.frag_a)))

    def figures(self) -> dict[str, Array]:
        """Means over the thresholds, (16,) each, 0..1; NaN where there is no figure."""
        names = ("hota", "det_a", "ass_a", "frag_a", "det_re", "det_pr", "ass_re", "ass_pr", "loc_a", "fa_hota")
        means = {name: np.asarray(getattr(self, name)).mean(axis=0) for name in names}
        if self.strict:
            nothing = (self.tp + self.fn + self.fp == 0).all(axis=0)  # (16,)
            means = {name: np.where(nothing, np.nan, values) for name, values in means.items()}
        return means

    def _last(self, values: Array) -> Array:
        if self.combined:
            return values
        joints = (self.tp + self.fn + self.fp)[:, :-1]
        return _with_mean(values[:, :-1].T, _counted(joints.T, strict=self.strict))


def hota(pairs: Sequence[FramePair], *, protocol: Protocol = "poseval") -> HotaParts:
    """The parts of one sequence, of those of its frames that are labelled.

    For `poseval` joints are there where x and y are above 0, and a frame without predicted (true) people misses (adds)
    as many joints as the whole sequence has, as in PoseTrack21's evaluator. For `strict` neither holds.
    """
    frames = [pair for pair in pairs if pair.is_labelled]
    K, quirks = len(JOINTS), protocol == "poseval"
    _, truth_rows = identities([pair.truth.track_id for pair in frames])
    _, predicted_rows = identities([pair.predicted.track_id for pair in frames])
    there = [(_there(pair.truth, quirks), _there(pair.predicted, quirks)) for pair in frames]
    n_true = _lengths([true for true, _ in there], truth_rows)  # (K, tracks)
    n_predicted = _lengths([seen for _, seen in there], predicted_rows)
    joint, truth, predicted, similarity = _similar(frames, there, truth_rows, predicted_rows)
    level = np.searchsorted(ALPHAS - np.finfo(np.float64).eps, similarity, side="right")  # thresholds reached
    some = level > 0
    joint, truth, predicted, similarity = joint[some], truth[some], predicted[some], similarity[some]
    level = level[some]
    tp = _reaching(joint, level, K)
    fn, fp = n_true.sum(axis=1)[:, None] - tp, n_predicted.sum(axis=1)[:, None] - tp
    if quirks and n_true.any() and n_predicted.any():
        alone = sum(bool(len(pair.truth)) and not len(pair.predicted) for pair in frames)
        unasked = sum(bool(len(pair.predicted)) and not len(pair.truth) for pair in frames)
        fn += (alone * n_true.sum(axis=1) - _counts(there, frames, side=0))[:, None]
        fp += (unasked * n_predicted.sum(axis=1) - _counts(there, frames, side=1))[:, None]
    similar = _reaching(joint, level, K, weights=similarity)
    loc_a = np.maximum(_TINY, similar) / np.maximum(_TINY, tp)

    key = (joint * max(n_true.shape[1], 1) + truth) * max(n_predicted.shape[1], 1) + predicted
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    of_joint, U = joint[first], len(first)
    c = _reaching(place, level, U)  # (U, A): frames in which both tracks share this joint
    n_i = n_true[of_joint, truth[first]][:, None]
    n_k = n_predicted[of_joint, predicted[first]][:, None]
    member = np.equal.outer(np.arange(K), of_joint).astype(np.float64)  # (K, U)
    share = 1 / np.maximum(1, n_i + n_k - c)
    found = np.maximum(1, tp)
    counted = _counted(tp + fn + fp, strict=not quirks)
    return HotaParts(
        tp=_with_sum(tp),
        fn=_with_sum(fn),
        fp=_with_sum(fp),
        ass_a=_with_mean(member @ (c * c * share) / found, counted),
        ass_re=_with_mean(member @ (c * c / np.maximum(1, n_i)) / found, counted),
        ass_pr=_with_mean(member @ (c * c / np.maximum(1, n_k)) / found, counted),
        frag_a=_with_mean(_fragments(joint, truth, place, level, share, K) / found, counted),
        loc_a=_with_mean(loc_a, counted),
        strict=not quirks,
    )


def combine(sequences: Sequence[HotaParts]) -> HotaParts:
    """All sequences: counts are added, shares are averaged by the joints found."""
    if not sequences:
        return hota([])
    tp, fn, fp = (np.sum([getattr(parts, name) for parts in sequences], axis=0) for name in ("tp", "fn", "fp"))

    def mean(name: str) -> Array:
        weighted = np.sum([getattr(parts, name) * parts.tp for parts in sequences], axis=0)
        return np.asarray(weighted / np.maximum(1, tp))

    similar = np.sum([parts.loc_a * parts.tp for parts in sequences], axis=0)
    return HotaParts(
        tp=tp,
        fn=fn,
        fp=fp,
        ass_a=mean("ass_a"),
        ass_re=mean("ass_re"),
        ass_pr=mean("ass_pr"),
        frag_a=mean("frag_a"),
        loc_a=np.maximum(_TINY, similar) / np.maximum(_TINY, tp),
        combined=True,
        strict=all(parts.strict for parts in sequences),
    )


def _there(people: People, quirks: bool) -> npt.NDArray[np.bool_]:
    """Which joints count, bool (N, 15)."""
    return people.found & (people.xy > 0).all(axis=2) if quirks else people.found


def _lengths(there: Sequence[npt.NDArray[np.bool_]], rows: Sequence[Integers]) -> Integers:
    """(K, tracks): in how many frames each track has each joint."""
    tracks = max((int(row.max()) + 1 for row in rows if len(row)), default=0)
    lengths = np.zeros((tracks, len(JOINTS)), dtype=np.int64)
    if rows:
        np.add.at(lengths, np.concatenate(rows), np.concatenate(there))
    return lengths.T


def _counts(
    there: Sequence[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]], frames: Sequence[FramePair], side: int
) -> Integers:
    """(K,): joints on one side (0 true, 1 predicted) in the frames in which the other has nobody."""
    total = np.zeros(len(JOINTS), dtype=np.int64)
    for both, pair in zip(there, frames, strict=True):
        if not len(pair.predicted if side == 0 else pair.truth):
            total += both[side].sum(axis=0)
    return total


def _similar(
    frames: Sequence[FramePair],
    there: Sequence[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]],
    truth_rows: Sequence[Integers],
    predicted_rows: Sequence[Integers],
) -> tuple[Integers, Integers, Integers, Array]:
    """Joint, true track, predicted track and similarity (E,) of the pairs of greatest similarity of each frame."""
    found: list[Integers] = [np.zeros((3, 0), dtype=np.int64)]
    similarities: list[Array] = [np.zeros(0)]
    for pair, (true, seen), truth, predicted in zip(frames, there, truth_rows, predicted_rows, strict=True):
        if not len(truth) or not len(predicted):
            continue
        similarity = np.fmax(1 - pair.distance / _REACH, 0)  # (P, G, K); 0 where one lacks the joint
        similarity *= seen[:, None] & true[None]
        some = similarity > 0
        crowd = (some.sum(axis=0) > 1).any(axis=0) | (some.sum(axis=1) > 1).any(axis=0)
        for j in crowd.nonzero()[0]:
            rows, columns = linear_sum_assignment(similarity[:, :, j].T, maximize=True)
            best = np.zeros(some.shape[:2], dtype=np.bool_)
            best[columns, rows] = True
            some[:, :, j] &= best
        p, g, j = some.nonzero()
        found.append(np.stack([j, truth[g], predicted[p]]))
        similarities.append(similarity[p, g, j])
    joint, of_truth, of_predicted = np.concatenate(found, axis=1)
    return joint, of_truth, of_predicted, np.concatenate(similarities)


def _reaching(group: Integers, level: npt.NDArray[np.intp], groups: int, weights: Array | None = None) -> Array:
    """(groups, A): number, or sum of weights, of those that reach each threshold."""
    cell = group * (_A + 1) + level
    by_level = np.bincount(cell, weights=weights, minlength=groups * (_A + 1)).reshape(groups, _A + 1)
    return by_level[:, :0:-1].cumsum(axis=1)[:, ::-1].astype(np.float64)


def _fragments(
    joint: Integers, truth: Integers, place: npt.NDArray[np.intp], level: npt.NDArray[np.intp], share: Array, K: int
) -> Array:
    """(K, A): sum of squares of the lengths of pieces, each times the `share` (U, A) of its pair of tracks.

    A piece of a true track ends where it is found under another identity.
    """
    order = np.lexsort((truth, joint))  # stable, so by time within
    joint, truth, place, level = joint[order], truth[order], place[order], level[order]
    total = np.zeros((K, _A))
    for a in range(_A):
        reached = level > a
        if not reached.any():
            break
        at, of, pair = joint[reached], truth[reached], place[reached]
        begins = np.append(True, (at[1:] != at[:-1]) | (of[1:] != of[:-1]) | (pair[1:] != pair[:-1])).nonzero()[0]
        length = np.diff(np.append(begins, len(at)))
        total[:, a] = np.bincount(at[begins], weights=length**2 * share[pair[begins], a], minlength=K)
    return total


def _counted(joints: Array, *, strict: bool) -> npt.NDArray[np.bool_]:
    """Which joints count in a mean, bool (15,), from how many are annotated or predicted, (15, A)."""
    there = np.asarray(joints.any(axis=1))
    return there if strict and there.any() else np.ones_like(there)


def _with_mean(values: Array, counted: npt.NDArray[np.bool_]) -> Array:
    """(A, 16) from (15, A): with the mean of the joints that count."""
    return np.column_stack([values.T, values[counted].mean(axis=0)])


def _with_sum(values: Array) -> Array:
    """(A, 16) from (15, A): with the sum of the joints."""
    return np.column_stack([values.T, values.sum(axis=0)])
