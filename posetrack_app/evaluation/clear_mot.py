"""Tracking figures of each joint: MOTA, MOTP and their parts, as in PoseTrack.

Source: Bernardin and Stiefelhagen, Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics, EURASIP
Journal on Image and Video Processing 2008, and the rules of the reference evaluator (poseval with py-motmetrics).
Letters: P predicted and G true people of a frame, F frames, E pairs of a predicted and a true joint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from posetrack_app.evaluation.annotated import JOINTS, FramePair, Protocol
from posetrack_app.evaluation.average_precision import NEAR, mean

__all__ = ["Counts", "JointPairs", "Record", "Tracking", "count", "follow", "identities", "tracking"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
K = len(JOINTS)


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What happened to each joint: int64 (15,) all frames together, or (F, 15) by frame."""

    objects: Integers
    """Annotated joints."""

    misses: Integers
    """Annotated joints without a prediction."""

    false_positives: Integers
    """Predictions without an annotated joint."""

    switches: Integers
    """Joints found under another identity than the last time."""

    detections: Integers
    """Joints found, switches among them."""

    distance: Array
    """float64: sum of the distances of the found joints, in head sizes."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{item.name: getattr(self, item.name) + getattr(other, item.name) for item in fields(self)})

    def sum(self) -> Counts:
        """All frames together."""
        return Counts(**{item.name: getattr(self, item.name).sum(axis=0) for item in fields(self)})

    @classmethod
    def nothing(cls) -> Counts:
        """The counts of no frames."""
        none = np.zeros(K, dtype=np.int64)
        return cls(none, none, none, none, none, np.zeros(K))


@dataclass(frozen=True, slots=True, eq=False)
class JointPairs:
    """E pairs of a true and a predicted joint, in the order of the frames."""

    frame: Integers
    """int64 (E,): row of `Record.frames`."""

    joint: Integers
    """int64 (E,), 0..14."""

    truth: Integers
    """int64 (E,): place of the true identity in `Record.truth_ids`."""

    predicted: Integers
    """int64 (E,): place of the predicted identity in `Record.predicted_ids`."""

    distance: Array
    """float64 (E,): in head sizes."""

    @classmethod
    def of(cls, rows: Integers, distance: Array) -> JointPairs:
        """From the first four fields as rows, (4, E)."""
        return cls(frame=rows[0], joint=rows[1], truth=rows[2], predicted=rows[3], distance=distance)


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """What tracking did in one sequence."""

    frames: Sequence[FramePair]
    """The F frames that count."""

    truth_ids: Integers
    """int64: the identities of the ground truth, sorted."""

    predicted_ids: Integers
    """int64: the identities of the prediction, sorted."""

    near: JointPairs
    """All pairs that are near enough to be one joint."""

    matches: JointPairs
    """Those of them that were matched."""

    switch: npt.NDArray[np.bool_]
    """bool: the match is a switch of identity."""

    counts: Counts
    """By frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracking:
    """Figures of the 15 joints and, last, their mean; percent, NaN where there is nothing to track."""

    mota: Array
    """float64 (16,): 100 - misses, false positives and switches for each annotated joint; may be negative."""

    motp: Array
    """float64 (16,): 100 - mean distance of the found joints in head sizes."""

    precision: Array
    """float64 (16,): share of the predicted joints that are right."""

    recall: Array
    """float64 (16,): share of the annotated joints that were found."""


def tracking(counts: Counts, *, protocol: Protocol = "poseval") -> Tracking:
    """The figures of some counts, (15,) each.

    Where no joint was found MOTP is 0 for `poseval` and NaN for `strict`.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        wrong = counts.misses + counts.switches + counts.false_positives
        mota = np.where(counts.objects > 0, 100 * (1 - wrong / counts.objects), np.nan)
        never = 0.0 if protocol == "poseval" else np.nan
        motp = np.where(counts.detections > 0, 100 * (1 - counts.distance / counts.detections), never)
        precision = 100 * counts.detections / (counts.detections + counts.false_positives)
        recall = np.where(counts.objects > 0, 100 * counts.detections / counts.objects, np.nan)
    return Tracking(*(np.append(values, mean(values)) for values in (mota, motp, precision, recall)))


def count(pairs: Sequence[FramePair], *, protocol: Protocol = "poseval") -> Counts:
    """The counts of one sequence, (15,) each."""
    return follow(pairs, protocol=protocol).counts.sum()


def follow(pairs: Sequence[FramePair], *, protocol: Protocol = "poseval") -> Record:
    """What tracking did in one sequence.

    For `poseval` the last frame is left out, and a frame in which one side has nobody counts as one miss and one
    false positive of every joint, whatever the real numbers are. For `strict` all frames count as they are.
    """
    frames = pairs[:-1] if protocol == "poseval" else pairs
    truth_ids, truth_rows = identities([pair.truth.track_id for pair in frames])
    predicted_ids, predicted_rows = identities([pair.predicted.track_id for pair in frames])
    last = np.full((K, len(truth_ids)), -1, dtype=np.int64)  # by joint and true identity: the last predicted one
    near: list[Integers] = [np.zeros((4, 0), dtype=np.int64)]
    matched: list[Integers] = [np.zeros((4, 0), dtype=np.int64)]
    distances: list[Array] = [np.zeros(0)]
    matched_distances: list[Array] = [np.zeros(0)]
    for number, (pair, truth, predicted) in enumerate(zip(frames, truth_rows, predicted_rows, strict=True)):
        p, g, j = (pair.distance <= NEAR).nonzero()  # NaN is not near
        if not len(p):
            continue
        far, theirs = pair.distance[p, g, j], np.stack([np.full(len(j), number), j, truth[g], predicted[p]])
        chosen = _match(g * K + j, p * K + j, far, last[j, theirs[2]] == theirs[3])
        last[j[chosen], theirs[2, chosen]] = theirs[3, chosen]
        near.append(theirs)
        distances.append(far)
        matched.append(theirs[:, chosen])
        matched_distances.append(far[chosen])
    everything = JointPairs.of(np.concatenate(near, axis=1), np.concatenate(distances))
    matches = JointPairs.of(np.concatenate(matched, axis=1), np.concatenate(matched_distances))
    switch = _switches(matches)
    counts = _counts(frames, matches, switch, dummies=protocol == "poseval")
    return Record(frames, truth_ids, predicted_ids, everything, matches, switch, counts)


def identities(frames: Sequence[Integers]) -> tuple[Integers, list[Integers]]:
    """The identities of a sequence, sorted, and the place of each person's among them, by frame."""
    if not frames:
        return np.zeros(0, dtype=np.int64), []
    ids, places = np.unique(np.concatenate(frames), return_inverse=True)
    return ids, np.split(places, np.cumsum([len(frame) for frame in frames])[:-1])


def _match(truth: Integers, predicted: Integers, distance: Array, kept: npt.NDArray[np.bool_]) -> Integers:
    """Which of the E near pairs of one frame are matched, in the order of matching.

    First those of before that are still near; of the rest as many as possible, and then the nearest.

    Args:
        truth: (E,) G * 15 places of true joints, by person and then by kind.
        predicted: (E,) the same of predicted joints.
        distance: (E,) in head sizes.
        kept: (E,) whether the two were a pair when this person's joint was matched last.
    """
    first = kept.nonzero()[0]
    if len(first):
        # Two people may have been one prediction's at different times: the first of them has it again.
        first = first[np.sort(np.unique(predicted[first], return_index=True)[1])]
    rest = (~_among(truth, truth[first]) & ~_among(predicted, predicted[first])).nonzero()[0]
    if not len(rest):
        return first
    # A pair of two that have no other choice is matched in any case.
    alone = (np.bincount(truth[rest])[truth[rest]] == 1) & (np.bincount(predicted[rest])[predicted[rest]] == 1)
    chosen, crowd = [first, rest[alone]], rest[~alone]
    joint = truth[crowd] % K
    for kind in set(joint.tolist()):
        some = crowd[joint == kind]
        rows, row = np.unique(truth[some], return_inverse=True)
        columns, column = np.unique(predicted[some], return_inverse=True)
        # What is not allowed costs more than all that is: as many pairs as possible, then the least distance.
        cost = np.full((len(rows), len(columns)), 1.0 + min(len(rows), len(columns)))
        cost[row, column] = distance[some]
        place = np.full(cost.shape, -1)
        place[row, column] = some
        best = place[linear_sum_assignment(cost)]
        chosen.append(best[best >= 0])
    return np.concatenate(chosen)


def _among(values: Integers, some: Integers) -> npt.NDArray[np.bool_]:
    """Which of the values, all 0 or more, are among some of them."""
    table = np.zeros(int(values.max()) + 1, dtype=np.bool_)
    table[some] = True
    return table[values]


def _switches(matches: JointPairs) -> npt.NDArray[np.bool_]:
    """Which matches differ from the one before of the same joint of the same person, however long ago."""
    order = np.lexsort((matches.truth, matches.joint))  # stable, so by time within
    joint, truth, predicted = matches.joint[order], matches.truth[order], matches.predicted[order]
    same = (joint[1:] == joint[:-1]) & (truth[1:] == truth[:-1])
    switch = np.zeros(len(order), dtype=np.bool_)
    switch[order[1:]] = same & (predicted[1:] != predicted[:-1])
    return switch


def _counts(
    frames: Sequence[FramePair], matches: JointPairs, switch: npt.NDArray[np.bool_], *, dummies: bool
) -> Counts:
    """By frame; with `dummies` a frame without people on one side has one joint of each kind on both."""
    F, cell = len(frames), matches.frame * K + matches.joint
    objects, predictions = (
        np.array([side.found.sum(axis=0) for side in sides], dtype=np.int64).reshape(F, K)
        for sides in ([pair.truth for pair in frames], [pair.predicted for pair in frames])
    )
    if dummies:
        one_sided = np.array([not len(pair.truth) or not len(pair.predicted) for pair in frames], dtype=np.bool_)
        objects[one_sided] = predictions[one_sided] = 1
    detections = np.bincount(cell, minlength=F * K).reshape(F, K)
    distance = np.bincount(cell, weights=matches.distance, minlength=F * K).astype(np.float64)
    return Counts(
        objects=objects,
        misses=objects - detections,
        false_positives=predictions - detections,
        switches=np.bincount(cell[switch], minlength=F * K).reshape(F, K),
        detections=detections,
        distance=distance.reshape(F, K),
    )
