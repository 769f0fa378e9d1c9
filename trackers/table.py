"""The poses of a whole video in one table, for everything that is done after the fact.

Letters: T frames of the video, R rows (one pose each), K joints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace

import numpy as np
import numpy.typing as npt

from trackers.oks import body_size

__all__ = ["COASTED", "INTERPOLATED", "OBSERVED", "Mask", "Rows", "TrackTable", "usual_step"]

OBSERVED, COASTED, INTERPOLATED = 0, 1, 2
"""Values of `TrackTable.origin`."""

_OF_VIDEO = ("times", "cuts")
"""Fields of `TrackTable` that tell of the video; all others have a row a pose."""

Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


def usual_step(times: npt.NDArray[np.float64]) -> float:
    """Seconds from one of the times (T,) to the next, the median; 0 where there are fewer than two.

    >>> usual_step(np.array([0.0, 0.04, 0.08, 1.0]))
    0.04
    """
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class TrackTable:
    """All poses of a video, with and without identity, sorted by frame. R and T may be 0."""

    times: npt.NDArray[np.float64]
    """float64 (T,): presentation time of every frame of the video in seconds, also of those without anybody."""

    frame: npt.NDArray[np.int64]
    """int64 (R,): position in `times`, ascending."""

    xy: npt.NDArray[np.float32]
    """float32 (R, K, 2): pixels of the upright frame; 0 where not found."""

    joint_score: npt.NDArray[np.float32]
    """float32 (R, K): 0 means not found."""

    score: npt.NDArray[np.float32]
    """float32 (R,)."""

    track_id: npt.NDArray[np.int64]
    """int64 (R,): -1 means none; every other value at most once in a frame."""

    origin: npt.NDArray[np.uint8]
    """uint8 (R,): 0 observed, 1 coasted, 2 interpolated."""

    raw_xy: npt.NDArray[np.float32]
    """float32 (R, K, 2): places before smoothing; NaN where nothing was smoothed."""

    appearance: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.uint8))
    """uint8 (R, D): what each person looks like, 0 where that is not known; D may be 0."""

    cuts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """int64 (C,): positions in `times` at which new shots begin, ascending. Nobody is where they were before."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        rows, joints = self.joint_score.shape
        if not self.appearance.size:
            object.__setattr__(self, "appearance", np.zeros((rows, self.appearance.shape[-1]), dtype=np.uint8))
        shapes = {
            "frame": (rows,), "xy": (rows, joints, 2), "score": (rows,), "track_id": (rows,), "origin": (rows,),
            "raw_xy": (rows, joints, 2), "appearance": (rows, self.appearance.shape[-1]),
        }  # fmt: skip
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"TrackTable.{name} must be {shape}, got {getattr(self, name).shape}")
        if (np.diff(self.cuts, prepend=-1, append=max(len(self.times), 1)) <= 0).any():
            raise ValueError(f"TrackTable.cuts must ascend within the {len(self.times)} frames of the video")
        if rows and (self.frame[0] < 0 or self.frame[-1] >= len(self.times) or (np.diff(self.frame) < 0).any()):
            raise ValueError(f"TrackTable.frame must ascend within the {len(self.times)} frames of the video")

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """Presentation time of each row: float64 (R,)."""
        return self.times[self.frame]

    @property
    def found(self) -> Mask:
        """Which joints have a place: bool (R, K)."""
        return self.joint_score > 0

    @property
    def size(self) -> npt.NDArray[np.float64]:
        """Root of the area of each body, pixels: float64 (R,)."""
        return body_size(self.xy.astype(np.float64), self.found)

    @property
    def ids(self) -> list[int]:
        """All identities, ascending."""
        return [int(track) for track in np.unique(self.track_id) if track >= 0]

    def __getitem__(self, rows: Mask | Rows | slice) -> TrackTable:
        """Some of the rows; the video stays as it is."""
        parts = {item.name: getattr(self, item.name)[rows] for item in fields(self) if item.name not in _OF_VIDEO}
        return replace(self, **parts)

    def with_tracks(self, track_id: npt.NDArray[np.int64]) -> TrackTable:
        """The same poses with these identities (R,); predicted and filled poses that have none any more go."""
        return replace(self, track_id=track_id)[(track_id >= 0) | (self.origin == OBSERVED)]

    def renamed(self, track_id: npt.NDArray[np.int64]) -> TrackTable:
        """The same poses with these identities (R,), where some may come together: what was seen stays, what was only
        predicted or filled goes where the frame has another pose of the identity.

        Raises:
            ValueError: two poses that were seen have the same identity in a frame.
        """
        unseen = self.origin != OBSERVED
        order = np.lexsort((unseen, self.frame, track_id))
        same = (np.diff(track_id[order]) == 0) & (np.diff(self.frame[order]) == 0) & (track_id[order[1:]] >= 0)
        double = order[1:][same]
        if not unseen[double].all():
            row = double[~unseen[double]][0]
            raise ValueError(f"identity {track_id[row]} is seen twice in frame {self.frame[row]}")
        kept = track_id.copy()
        kept[double] = -1
        return self.with_tracks(kept)

    def joined_with(self, *others: TrackTable) -> TrackTable:
        """The rows of several tables of one video, sorted by frame."""
        parts = {
            item.name: np.concatenate([getattr(table, item.name) for table in (self, *others)])
            for item in fields(self)
            if item.name not in _OF_VIDEO
        }
        order = np.argsort(parts["frame"], kind="stable")
        return replace(self, **{name: values[order] for name, values in parts.items()})

    def shot(self, frame: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """The number of the shot of each position in `times`."""
        return np.searchsorted(self.cuts, frame, side="right")

    def tracks(self, *, observed: bool = False) -> Iterator[tuple[int, Rows]]:
        """Each identity, ascending, with its rows in order of time; only observed ones where asked for."""
        rows = np.flatnonzero((self.track_id >= 0) & ((self.origin == OBSERVED) | (not observed)))
        order = rows[np.argsort(self.track_id[rows], kind="stable")]
        edges = np.flatnonzero(np.diff(self.track_id[order])) + 1
        for part in np.split(order, edges):
            if len(part):
                yield int(self.track_id[part[0]]), part
