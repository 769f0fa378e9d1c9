"""Annotated people as PoseTrack's evaluation sees them: 15 joints in its own order, of the ground truth and of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import shapely

from posetrack_app.formats.annolist import POINTS
from posetrack_app.formats.annotations import JOINTS as FILE_JOINTS
from posetrack_app.formats.labelled import NO_SCORE, LabelledFrame

__all__ = [
    "JOINTS", "NO_SCORE", "AnnotatedFrame", "FramePair", "People", "Protocol", "annotate", "head_sizes", "pair_frames",
]  # fmt: skip

Protocol = Literal["poseval", "strict"]
"""`poseval` computes what the reference does; `strict` mends its quirks (docs/evaluation.md)."""

JOINTS = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
    "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
    "neck", "nose", "head_top",
)  # fmt: skip
"""The evaluated joints in the order of every table; `neck` is `head_bottom` in files of 2018."""

_COLUMNS = [FILE_JOINTS.index(joint) for joint in POINTS]  # the same joints among those of `LabelledFrame`

_HEAD_SHARE = 0.6  # of the diagonal of the head box: the head size, as in MPII's PCKh


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """N people of one frame. N may be 0."""

    xy: npt.NDArray[np.float64]
    """float64 (N, 15, 2): pixels, as in the file."""

    found: npt.NDArray[np.bool_]
    """bool (N, 15): the file has this joint."""

    score: npt.NDArray[np.float64]
    """float64 (N, 15): how sure each joint is, `NO_SCORE` where the file says nothing."""

    track_id: npt.NDArray[np.int64]
    """int64 (N,): identity."""

    head_size: npt.NDArray[np.float64]
    """float64 (N,): 0.6 of the diagonal of the head box, pixels; NaN without a box."""

    listed: npt.NDArray[np.bool_]
    """bool (N,): the file has a list of joints for this person, possibly an empty one."""

    def __len__(self) -> int:
        return len(self.track_id)

    def __getitem__(self, keep: npt.NDArray[np.bool_] | slice) -> People:
        """Some of the people."""
        return People(**{item.name: getattr(self, item.name)[keep] for item in fields(self)})

    @classmethod
    def build(
        cls,
        *,
        xy: npt.ArrayLike,
        found: npt.ArrayLike,
        track_id: npt.ArrayLike,
        score: npt.ArrayLike | None = None,
        head_box: npt.ArrayLike | None = None,
        listed: npt.ArrayLike | None = None,
    ) -> People:
        """From lists; `head_box` is (N, 4) x1, y1, x2, y2 with NaN where there is none."""
        ids = np.asarray(track_id, dtype=np.int64).reshape(-1)
        N, K = len(ids), len(JOINTS)
        boxes = np.full((N, 4), np.nan) if head_box is None else np.asarray(head_box, dtype=np.float64).reshape(N, 4)
        return cls(
            xy=np.asarray(xy, dtype=np.float64).reshape(N, K, 2),
            found=np.asarray(found, dtype=np.bool_).reshape(N, K),
            score=np.full((N, K), NO_SCORE) if score is None else np.asarray(score, dtype=np.float64).reshape(N, K),
            track_id=ids,
            head_size=head_sizes(boxes),
            listed=np.ones(N, dtype=np.bool_) if listed is None else np.asarray(listed, dtype=np.bool_).reshape(N),
        )


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedFrame:
    """One frame of a file."""

    name: str
    """Name of the picture, for messages."""

    people: People
    """Everybody whom the file lists."""

    ignore_regions: tuple[npt.NDArray[np.float64], ...] = ()
    """Polygons, each float64 (V, 2) in pixels, in which nothing is judged."""

    is_labelled: bool = True
    """Whether the file says that somebody looked for people here."""


def annotate(frames: Sequence[LabelledFrame]) -> list[AnnotatedFrame]:
    """The frames of a file, with the evaluated joints only."""
    if not frames:
        return []
    # All frames at once, then cut: much faster than one by one.
    score = np.concatenate([frame.score for frame in frames])[:, _COLUMNS]
    listed = [np.ones(len(frame), dtype=np.bool_) if frame.listed is None else frame.listed for frame in frames]
    everybody = People(
        xy=np.concatenate([frame.xy for frame in frames])[:, _COLUMNS],
        found=np.concatenate([frame.found for frame in frames])[:, _COLUMNS],
        score=np.where(np.isnan(score), NO_SCORE, score),
        track_id=np.concatenate([frame.track_id for frame in frames]),
        head_size=head_sizes(np.concatenate([frame.head_box for frame in frames])),
        listed=np.concatenate(listed),
    )
    ends = np.cumsum([len(frame) for frame in frames]).tolist()
    return [
        AnnotatedFrame(frame.file_name, everybody[end - len(frame) : end], frame.ignore_regions, frame.is_labelled)
        for frame, end in zip(frames, ends, strict=True)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class FramePair:
    """What is judged in one frame."""

    truth: People
    """The G annotated people."""

    predicted: People
    """The P people to judge."""

    distance: npt.NDArray[np.float64]
    """float64 (P, G, 15): distance of each predicted joint from the true one, in head sizes; NaN where either person
    lacks the joint."""

    name: str = ""
    """The ground truth's name of the picture."""

    is_labelled: bool = True
    """Whether the ground truth says that somebody looked for people here."""

    @classmethod
    def of(cls, truth: People, predicted: People, *, name: str = "", is_labelled: bool = True) -> FramePair:
        """With the distances of everybody from everybody."""
        gap = predicted.xy[:, None] - truth.xy[None]
        both = predicted.found[:, None] & truth.found[None]
        with np.errstate(divide="ignore", invalid="ignore"):  # a head box may be empty
            away = np.hypot(gap[..., 0], gap[..., 1]) / truth.head_size[None, :, None]
        away[~both] = np.nan
        return cls(truth, predicted, away, name, is_labelled)


def pair_frames(
    truth: Sequence[AnnotatedFrame], predicted: Sequence[AnnotatedFrame], *, protocol: Protocol = "poseval"
) -> list[FramePair]:
    """The frames of one sequence that count, paired by position, without what the ignore regions hide.

    For `poseval` a frame counts where the ground truth lists anybody, for `strict` where it is labelled. A frame that
    loses all its people here stays.

    Raises:
        ValueError: the numbers of frames differ, a person who is to be judged has no head box, or a region has fewer
            than three corners.
    """
    if len(truth) != len(predicted):
        raise ValueError(f"the ground truth has {len(truth)} frames, the prediction {len(predicted)}")
    pairs = []
    for true, seen in zip(truth, predicted, strict=True):
        if not (true.is_labelled if protocol == "strict" else len(true.people)):
            continue
        for region in true.ignore_regions:
            if len(region) < 3:
                raise ValueError(f"{true.name}: an ignore region has {len(region)} corners, it needs 3 or more")
        people = _outside(_listed(true.people), true.ignore_regions)
        others = _outside(_listed(seen.people), true.ignore_regions)
        # The reference asks for head boxes only where there is something to measure.
        without_head = np.isnan(people.head_size)
        if len(others) and without_head.any():
            raise ValueError(f"{true.name}: person {people.track_id[without_head][0]} has no head box")
        pairs.append(FramePair.of(people, others, name=true.name, is_labelled=true.is_labelled))
    return pairs


def head_sizes(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N,): sizes of heads from boxes (N, 4) x1, y1, x2, y2.

    >>> head_sizes(np.array([[10.0, 10.0, 40.0, 50.0]]))
    array([30.])
    """
    return _HEAD_SHARE * np.hypot(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])


def _listed(people: People) -> People:
    return people if people.listed.all() else people[people.listed]


def _outside(people: People, regions: Sequence[npt.NDArray[np.float64]]) -> People:
    """Without the joints strictly inside a region, and where there are regions without people who have no joint."""
    if not regions:
        return people
    inside = np.zeros(people.found.shape, dtype=np.bool_)
    for region in regions:
        inside |= shapely.contains_xy(shapely.Polygon(region), people.xy[..., 0], people.xy[..., 1])
    found: npt.NDArray[np.bool_] = people.found & ~inside
    return replace(people, found=found)[np.any(found, axis=1)]
