"""How whole tracks of each joint fare: identity F1, mostly tracked and mostly lost tracks, fragments.

Source: Ristani et al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, ECCV Workshops
2016; Li et al., Learning to Associate: HybridBoosted Multi-Target Tracker for Crowded Scene, CVPR 2009.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from posetrack_app.evaluation.annotated import JOINTS
from posetrack_app.evaluation.average_precision import mean
from posetrack_app.evaluation.clear_mot import JointPairs, Record

__all__ = ["TrackCounts", "count_tracks"]

K = len(JOINTS)
_MOSTLY = 0.8  # share of a track's frames from which on it is mostly tracked
_HARDLY = 0.2  # and below which it is mostly lost

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TrackCounts:
    """Counts of each joint, int64 (15,)."""

    tracks: Integers
    """True identities that have the joint."""

    mostly_tracked: Integers
    """Those of them that are found in at least 80 % of their frames."""

    mostly_lost: Integers
    """Those of them that are found in less than 20 %."""

    fragments: Integers
    """How often a track is lost and found again."""

    objects: Integers
    """Annotated joints."""

    predictions: Integers
    """Predicted joints."""

    identified: Integers
    """Joints found under the one identity that is best for the whole track."""

    def __add__(self, other: TrackCounts) -> TrackCounts:
        return TrackCounts(**{item.name: getattr(self, item.name) + getattr(other, item.name) for item in fields(self)})

    @classmethod
    def nothing(cls) -> TrackCounts:
        """The counts of no frames."""
        return cls(**{item.name: np.zeros(K, dtype=np.int64) for item in fields(cls)})

    def idf1(self) -> npt.NDArray[np.float64]:
        """float64 (16,): the joints and, last, their mean; percent, NaN where there is nothing."""
        with np.errstate(invalid="ignore"):
            values = 200 * self.identified / (self.objects + self.predictions)
        return np.append(values, mean(values))


def count_tracks(record: Record) -> TrackCounts:
    """The counts of one sequence, in the frames that count for its tracking."""
    if not record.frames:
        return TrackCounts.nothing()
    # One entry for each annotated joint of each frame, ordered by joint, identity and time.
    frame, row, joint = _entries(record)
    identity = np.searchsorted(record.truth_ids, np.concatenate([pair.truth.track_id for pair in record.frames]))[row]
    order = np.lexsort((frame, identity, joint))
    frame, identity, joint = frame[order], identity[order], joint[order]
    T = len(record.truth_ids)
    key, matches = (frame * K + joint) * T + identity, record.matches
    found = np.isin(key, (matches.frame * K + matches.joint) * T + matches.truth)
    begins = np.append(True, (joint[1:] != joint[:-1]) | (identity[1:] != identity[:-1]))[: len(key)]
    track = np.cumsum(begins) - 1
    share = np.bincount(track, weights=found) / np.maximum(np.bincount(track), 1)
    piece = found & (begins | ~np.append(False, found[:-1])[: len(key)])
    pieces = np.bincount(track, weights=piece)
    of_joint = joint[begins]
    return TrackCounts(
        tracks=np.bincount(of_joint, minlength=K),
        mostly_tracked=np.bincount(of_joint[share >= _MOSTLY], minlength=K),
        mostly_lost=np.bincount(of_joint[share < _HARDLY], minlength=K),
        fragments=np.bincount(of_joint, weights=np.maximum(pieces - 1, 0), minlength=K).astype(np.int64),
        objects=np.bincount(joint, minlength=K),
        predictions=np.sum([pair.predicted.found.sum(axis=0) for pair in record.frames], axis=0),
        identified=_identified(record.near),
    )


def _entries(record: Record) -> tuple[Integers, Integers, Integers]:
    """Frame, row among all people, and joint of each annotated joint."""
    lengths = [len(pair.truth) for pair in record.frames]
    row, joint = np.concatenate([pair.truth.found for pair in record.frames]).nonzero()
    return np.repeat(np.arange(len(lengths)), lengths)[row], row, joint


def _identified(near: JointPairs) -> Integers:
    """(15,): of each joint the most pairs that a one-to-one choice of identities has in common."""
    total = np.zeros(K, dtype=np.int64)
    for j in range(K):
        of_joint = near.joint == j
        if not of_joint.any():
            continue
        truth_ids, truth = np.unique(near.truth[of_joint], return_inverse=True)
        predicted_ids, predicted = np.unique(near.predicted[of_joint], return_inverse=True)
        shape = (len(truth_ids), len(predicted_ids))
        together = np.bincount(truth * shape[1] + predicted, minlength=shape[0] * shape[1]).reshape(shape)
        total[j] = together[linear_sum_assignment(together, maximize=True)].sum()
    return total
