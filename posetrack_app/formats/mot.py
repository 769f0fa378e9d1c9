"""Boxes of people in the form of MOTChallenge: a line for each person in each frame.

    frame, id, left, top, width, height, confidence, -1, -1, -1

Frames, ids and pixels all count from 1 there: the top left corner of the picture, (-0.5, -0.5) with us, is (1, 1). A
box is that of the joints, 1.3 times as wide and high about its centre, as PoseTrack's, since hair, hands and feet lie
outside of the joints; at least a pixel each way. Joints, times and frames without people are lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from posetrack_app.formats.annotations import enlarged_box
from posetrack_app.formats.saving import save_file
from posetrack_app.formats.sequence import PoseSequence

__all__ = ["write"]


def write(path: Path, sequence: PoseSequence) -> None:
    """Write the boxes of a video. People without an identity get the id -1, those without a joint no line.

    Raises:
        OutputError: the file cannot be written.
    """
    save_file(path, _lines(sequence))


def _lines(sequence: PoseSequence) -> Iterator[str]:
    for frame in sequence.frames:
        poses = frame.poses
        for n in range(len(poses)):
            place = poses.xy[n, poses.joint_score[n] > 0].astype(np.float64)
            if not len(place):
                continue
            x, y, width, height = enlarged_box(place)
            x, width = (x, width) if width >= 1 else (x + (width - 1) / 2, 1.0)
            y, height = (y, height) if height >= 1 else (y + (height - 1) / 2, 1.0)
            identity = int(poses.track_id[n]) + 1 or -1
            yield (
                f"{frame.index + 1},{identity},{x + 1.5:.2f},{y + 1.5:.2f},{width:.2f},{height:.2f},"
                f"{poses.score[n]:.4f},-1,-1,-1\n"
            )
