"""Poses as PoseTrack2017 JSON, the form of `annolist`: 15 joints, no ears and no eyes; people need an identity.

Coordinates stay as they are: pixels with (0, 0) the centre of the top left one. Times are lost, and so is how poses
came to be.
"""

from __future__ import annotations

from pathlib import Path

from posetrack_app.formats import annolist
from posetrack_app.formats.labelled import LabelledFrame
from posetrack_app.formats.predicted import predicted_frame
from posetrack_app.formats.sequence import PosedFrame, PoseSequence

__all__ = ["write"]


def write(path: Path, sequence: PoseSequence) -> None:
    """Write the people of a video; those without an identity are left out. Frames are named and numbered from 1.

    Raises:
        OutputError: the file cannot be written.
    """
    annolist.write(path, [_labelled(frame, sequence) for frame in sequence.frames])


def _labelled(frame: PosedFrame, sequence: PoseSequence) -> LabelledFrame:
    return predicted_frame(
        frame.poses[frame.poses.track_id >= 0],
        sequence.skeleton,
        image_id=frame.index + 1,
        file_name=f"images/{sequence.video}/{frame.name or f'{frame.index + 1:08d}.jpg'}",
    )
