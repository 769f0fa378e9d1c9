"""Average precision of joints as in PoseTrack: people are assigned by PCKh, joints are ranked by score.

Source: Andriluka et al., PoseTrack: A Benchmark for Human Pose Estimation and Tracking, CVPR 2018, section 4, and the
rules of the reference evaluator (poseval). Letters: P predicted and G true people of a frame, E entries of a ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posetrack_app.evaluation.annotated import JOINTS, FramePair, Protocol

__all__ = ["NEAR", "AveragePrecision", "Curve", "Ranking", "assign_people", "average_precision", "join", "mean", "rank"]

NEAR = 0.5
"""Head sizes within which a joint is right."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The predicted joints of one kind, in the order of the frames, and how many there are to find."""

    score: Array
    """float64 (E,): one entry for each predicted joint."""

    right: npt.NDArray[np.bool_]
    """bool (E,): it lies on the joint of the person it was assigned to."""

    truths: int
    """Annotated joints of this kind."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Precision over recall, by falling score; E points."""

    recall: Array
    """float64 (E,), 0..1."""

    precision: Array
    """float64 (E,), 0..1."""


@dataclass(frozen=True, slots=True, eq=False)
class AveragePrecision:
    """Figures of the 15 joints and, last, their mean; percent, NaN where there is nothing to find."""

    ap: Array
    """float64 (16,): area under the curve."""

    precision: Array
    """float64 (16,): share of the predicted joints that are right."""

    recall: Array
    """float64 (16,): share of the annotated joints that were found."""

    curves: tuple[Curve, ...]
    """The curve of each joint."""


def assign_people(pair: FramePair) -> npt.NDArray[np.intp]:
    """(P,): the true person of each predicted one, -1 for none; each person at most once.

    A prediction speaks for the person of whom it has the largest share of joints right, and a person takes the
    prediction that has most; ties go to the first. A prediction that loses its person gets no other.
    """
    P, G = len(pair.predicted), len(pair.truth)
    assigned = np.full(P, -1, dtype=np.intp)
    if not P or not G:
        return assigned
    right = (pair.distance <= NEAR).sum(axis=2)  # NaN is not right
    share = right / np.maximum(pair.truth.found.sum(axis=1), 1)
    only = np.where(np.arange(G) == share.argmax(axis=1)[:, None], share, 0)
    taker = only.argmax(axis=0)  # (G,)
    taken = only[taker, np.arange(G)] > 0
    assigned[taker[taken]] = np.flatnonzero(taken)
    return assigned


def rank(pairs: Sequence[FramePair]) -> list[Ranking]:
    """The 15 rankings of some frames."""
    scores: list[Array] = [np.zeros((0, len(JOINTS)))]
    rights: list[npt.NDArray[np.bool_]] = [np.zeros((0, len(JOINTS)), dtype=np.bool_)]
    founds: list[npt.NDArray[np.bool_]] = [np.zeros((0, len(JOINTS)), dtype=np.bool_)]
    truths = np.zeros(len(JOINTS), dtype=np.int64)
    for pair in pairs:
        truths += pair.truth.found.sum(axis=0)
        if not len(pair.predicted):
            continue
        assigned = assign_people(pair)
        right = np.zeros(pair.predicted.found.shape, dtype=np.bool_)
        some = np.flatnonzero(assigned >= 0)
        right[some] = pair.distance[some, assigned[some]] <= NEAR
        scores.append(pair.predicted.score)
        rights.append(right)
        founds.append(pair.predicted.found)
    score, right, found = np.concatenate(scores), np.concatenate(rights), np.concatenate(founds)
    return [Ranking(score[found[:, j], j], right[found[:, j], j], int(truths[j])) for j in range(len(JOINTS))]


def join(sequences: Sequence[Sequence[Ranking]]) -> list[Ranking]:
    """The 15 rankings of all sequences together, from the 15 of each."""
    nothing = Ranking(np.zeros(0), np.zeros(0, dtype=np.bool_), 0)
    by_joint = zip(*sequences, strict=True) if sequences else ((nothing,) for _ in JOINTS)
    return [
        Ranking(
            score=np.concatenate([ranking.score for ranking in rankings]),
            right=np.concatenate([ranking.right for ranking in rankings]),
            truths=sum(ranking.truths for ranking in rankings),
        )
        for rankings in by_joint
    ]


def average_precision(rankings: Sequence[Ranking], *, protocol: Protocol = "poseval") -> AveragePrecision:
    """The figures of 15 rankings.

    For `poseval` each prediction is a point of the curve; a joint without predictions has 0 everywhere, even if there
    is none to find, and one with predictions but none to find has no average precision and no recall (NaN). For
    `strict` predictions of equal score are one point, and what would be a share of nothing is NaN.
    """
    strict = protocol == "strict"
    curves = tuple(_curve(ranking, distinct=strict) for ranking in rankings)
    ap = np.array([_area(ranking, curve) for ranking, curve in zip(rankings, curves, strict=True)])
    precision = np.array([curve.precision[-1] if len(curve.precision) else 0.0 for curve in curves])
    recall = np.array([curve.recall[-1] if len(curve.recall) else 0.0 for curve in curves])
    if strict:
        nothing_to_find = np.array([ranking.truths == 0 for ranking in rankings])
        ap[nothing_to_find] = recall[nothing_to_find] = np.nan
        precision[[not len(ranking.score) for ranking in rankings]] = np.nan
    ap, precision, recall = (100 * np.append(values, mean(values)) for values in (ap, precision, recall))
    return AveragePrecision(ap=ap, precision=precision, recall=recall, curves=curves)


def mean(values: Array) -> float:
    """Mean of those that are numbers; NaN where none is.

    >>> mean(np.array([1.0, np.nan, 3.0]))
    2.0
    """
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if len(numbers) else float("nan")


def _curve(ranking: Ranking, *, distinct: bool) -> Curve:
    """Of equal scores the later entry comes first: the reference sorts upwards and turns the order round.

    Where only `distinct` scores make points their order does not matter.
    """
    order = np.argsort(ranking.score, kind="stable")[::-1]
    hits, predictions = np.cumsum(ranking.right[order]), np.arange(1, len(order) + 1)
    if distinct and len(order):
        last = np.append(np.diff(ranking.score[order]) != 0, True)
        hits, predictions = hits[last], predictions[last]
    with np.errstate(divide="ignore", invalid="ignore"):
        return Curve(recall=hits / np.float64(ranking.truths), precision=hits / predictions)


def _area(ranking: Ranking, curve: Curve) -> float:
    """Area under the curve made falling, as in the PASCAL VOC challenge from 2010 on."""
    if not len(curve.recall):
        return 0.0
    if not ranking.truths:
        return float("nan")
    recall = np.concatenate([[0.0], curve.recall, [1.0]])
    precision = np.concatenate([[0.0], curve.precision, [0.0]])
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * falling[1:]))
