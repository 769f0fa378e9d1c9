"""The two structures that cross every stage: a frame of a video, and the people in it.

Letters: N persons, K joints, H W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt

__all__ = ["Frame", "Origin", "Poses"]


class Origin(IntEnum):
    """How a pose came to be."""

    OBSERVED = 0
    """Seen by the network in this very frame."""
    COASTED = 1
    """Predicted forward by the tracker while the person could not be seen."""
    INTERPOLATED = 2
    """Filled in afterwards between two observations."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a video, as a viewer sees it: upright and with square pixels."""

    index: int
    """Position in the stream, counted from 0 over every frame that was decoded."""

    pts: float
    """Presentation time in seconds on the clock of the input; may be negative, need not start at 0."""

    image: npt.NDArray[np.uint8]
    """uint8 (H, W, 3), RGB 0..255, upright, square pixels."""

    name: str | None = None
    """File name of the picture where the input is a folder of pictures, else None."""

    cut: bool = False
    """Whether it begins a new shot: nobody in it is where they were in the frame before."""

    def __post_init__(self) -> None:
        """Refuse an image of another shape or type."""
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(f"Frame.image must be uint8 (H, W, 3), got {self.image.dtype} {self.image.shape}")

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return f"Frame(index={self.index}, pts={self.pts:.6f}, {width}x{height})"


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """The people of one frame, as a structure of arrays. N may be 0."""

    xy: npt.NDArray[np.float32]
    """float32 (N, K, 2): x, y in pixels of the upright frame; (0, 0) is the centre of the top left pixel.
    Where `joint_score` is 0 the values mean nothing (they are 0)."""

    joint_score: npt.NDArray[np.float32]
    """float32 (N, K), 0..1: how sure each joint is; 0 means not found."""

    score: npt.NDArray[np.float32]
    """float32 (N,), 0..1: how sure each person is."""

    track_id: npt.NDArray[np.int64]
    """int64 (N,): identity from 0, unique in a frame, never used twice in a video; -1 means none."""

    origin: npt.NDArray[np.uint8]
    """uint8 (N,): a value of `Origin`."""

    appearance: npt.NDArray[np.uint8] | None = None
    """uint8 (N, D): what each person looks like, as `posetrack_app.appearance` makes it; a row of zeros tells nothing.
    None where it is known of nobody."""

    def __post_init__(self) -> None:
        """Refuse arrays whose shapes or types do not belong together."""
        if self.xy.ndim != 3 or self.xy.shape[2] != 2:
            raise ValueError(f"Poses.xy must be (N, K, 2), got {self.xy.shape}")
        persons, joints = self.xy.shape[:2]
        expected: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
            "xy": ((persons, joints, 2), np.float32),
            "joint_score": ((persons, joints), np.float32),
            "score": ((persons,), np.float32),
            "track_id": ((persons,), np.int64),
            "origin": ((persons,), np.uint8),
        }
        if self.appearance is not None:
            expected["appearance"] = ((persons, self.appearance.shape[-1]), np.uint8)
        for name, (shape, dtype) in expected.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != dtype:
                raise ValueError(f"Poses.{name} must be {dtype.__name__} {shape}, got {array.dtype} {array.shape}")

    @classmethod
    def empty(cls, joints: int) -> Poses:
        """Nobody, of a skeleton with `joints` joints."""
        return cls.untracked(xy=np.zeros((0, joints, 2)), joint_score=np.zeros((0, joints)), score=np.zeros(0))

    @classmethod
    def untracked(
        cls,
        *,
        xy: npt.ArrayLike,
        joint_score: npt.ArrayLike,
        score: npt.ArrayLike,
        appearance: npt.NDArray[np.uint8] | None = None,
    ) -> Poses:
        """Observed people without identities: shapes as the fields, any real type."""
        scores = np.asarray(score, dtype=np.float32)
        return cls(
            xy=np.asarray(xy, dtype=np.float32),
            joint_score=np.asarray(joint_score, dtype=np.float32),
            score=scores,
            track_id=np.full(len(scores), -1, dtype=np.int64),
            origin=np.full(len(scores), Origin.OBSERVED, dtype=np.uint8),
            appearance=appearance,
        )

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, keep: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice) -> Poses:
        """Some of the people, in the given order: a mask, indices or a slice."""
        known = (field.name for field in fields(self) if getattr(self, field.name) is not None)
        return Poses(**{name: getattr(self, name)[keep] for name in known})

    def with_tracks(self, track_id: npt.ArrayLike) -> Poses:
        """The same people with these identities, (N,)."""
        return replace(self, track_id=np.asarray(track_id, dtype=np.int64))

    def __repr__(self) -> str:
        return f"Poses(N={len(self)}, K={self.xy.shape[1]}, track_id={self.track_id.tolist()})"
