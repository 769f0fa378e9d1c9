"""The people of a whole video, as saved poses hold them."""

from __future__ import annotations

from dataclasses import dataclass

from models.skeleton import Skeleton
from posetrack_app.types import Poses

__all__ = ["PoseSequence", "PosedFrame"]


@dataclass(frozen=True, slots=True, eq=False)
class PosedFrame:
    """The people of one frame."""

    index: int
    """Position in the stream, from 0."""

    seconds: float
    """Presentation time on the clock of the input."""

    poses: Poses
    """The people; possibly nobody."""

    name: str | None = None
    """File name of the picture where the input was a folder of pictures, else None."""

    cut: bool = False
    """Whether it begins a new shot."""


@dataclass(frozen=True, slots=True, eq=False)
class PoseSequence:
    """The people of every frame of a video."""

    video: str
    """Name of the video."""

    skeleton: Skeleton
    """The joints that the poses have."""

    width: int
    """Of the upright frame, pixels; 0 where it is not known."""

    height: int
    """Of the upright frame, pixels; 0 where it is not known."""

    frames: list[PosedFrame]
    """Every frame in order, also those in which nobody is."""

    every: int = 1
    """The network saw every so-manieth frame, and the first and last of each shot."""

    is_stretch: bool = False
    """Whether the frames are those of a part of the video only; indices and times are those of the whole."""

    @property
    def appearance_size(self) -> int:
        """Numbers that tell what a person looks like; 0 where that is known of nobody."""
        known = (frame.poses.appearance for frame in self.frames)
        return max((looks.shape[1] for looks in known if looks is not None), default=0)
