"""Poses as OpenSim's .trc: a file for each person, a marker for each joint.

Markers have the names of Pose2Sim and Sports2D (RShoulder, LAnkle, ...), so that their models find them. X points
right and Y down in pixels of the picture, with (0, 0) the centre of the top left one, Z is 0: as Sports2D's files in
pixels, but the header says `px`. Bring them to metres before inverse kinematics. Times are the video's own, also where
frames are not evenly spaced, while the header has one rate, the mean. A joint that was not found, or a frame without
the person, is blank, which OpenSim and pandas read as NaN. Scores are lost, and so is how poses came to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.skeleton import Skeleton
from posetrack_app.formats.saving import save_folder
from posetrack_app.formats.sequence import PoseSequence
from posetrack_app.types import Poses

__all__ = ["PATTERN", "markers", "write"]

PATTERN = "*_person*.trc"
"""Names of the files."""

_NAMES = {"head_bottom": "Neck", "head_top": "HeadTop"}
_KEYS = (
    "DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate", "OrigDataStartFrame", "OrigNumFrames",
)  # fmt: skip


def markers(skeleton: Skeleton) -> list[str]:
    """A marker's name for each joint.

    >>> from models.skeleton import COCO17
    >>> markers(COCO17)[4:6]
    ['REar', 'LShoulder']
    """
    names = []
    for joint in skeleton.joints:
        side, _, part = joint.rpartition("_")
        plain = side in ("left", "right")
        names.append(_NAMES.get(joint) or (side[0].upper() if plain else "") + (part if plain else joint).capitalize())
    return names


def write(path: Path, sequence: PoseSequence) -> None:
    """Write a folder with a file for each identity, from its first frame to its last.

    Raises:
        OutputError: it cannot be written.
    """
    people: dict[int, dict[int, Poses]] = {}
    for position, frame in enumerate(sequence.frames):
        for n, track in enumerate(frame.poses.track_id.tolist()):
            if track >= 0:
                people.setdefault(track, {})[position] = frame.poses[n : n + 1]
    video = Path(sequence.video).name or "video"
    digits = max(2, len(str(max(people, default=0))))
    names = {track: f"{video}_person{track:0{digits}d}.trc" for track in sorted(people)}
    save_folder(
        path,
        ((name, _text(name, people[track], sequence)) for track, name in names.items()),
        pattern=PATTERN,
    )


def _text(name: str, poses: dict[int, Poses], sequence: PoseSequence) -> Iterator[str]:
    """The lines of a file, laid out as OpenSim's own writer does: a tab after each cell, also the last.

    Without that tab its reader drops a blank cell at the end of a line, and then refuses the line.
    """
    labels, first, last = markers(sequence.skeleton), min(poses), max(poses)
    count, rate = last - first + 1, f"{_rate(sequence):.6g}"
    start = sequence.frames[first].index + 1
    yield f"PathFileType\t4\t(X/Y/Z)\t{name}\n"
    yield "\t".join(_KEYS) + "\n"
    yield "\t".join([rate, rate, str(count), str(len(labels)), "px", rate, str(start), str(count)]) + "\n"
    yield "Frame#\tTime\t" + "".join(f"{label}\t\t\t" for label in labels) + "\n"
    yield "\t\t" + "".join(f"X{k}\tY{k}\tZ{k}\t" for k in range(1, len(labels) + 1)) + "\n"
    yield "\n"
    blank = "\t\t\t"
    for position in range(first, last + 1):
        frame, person = sequence.frames[position], poses.get(position)
        if person is None:
            cells = [blank] * len(labels)
        else:
            places = zip(person.xy[0].tolist(), person.joint_score[0].tolist(), strict=True)
            cells = [f"{x:.3f}\t{y:.3f}\t0\t" if score > 0 else blank for (x, y), score in places]
        yield f"{frame.index + 1}\t{frame.seconds:.6f}\t{''.join(cells)}\n"


def _rate(sequence: PoseSequence) -> float:
    """Frames a second, on the mean; 30 where there is one frame or none."""
    seconds = np.array([frame.seconds for frame in sequence.frames])
    length = float(seconds[-1] - seconds[0]) if len(seconds) > 1 else 0.0
    return (len(seconds) - 1) / length if length > 0 else 30.0
