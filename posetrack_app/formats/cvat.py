"""Poses as "CVAT for video 1.1": an XML file of skeleton tracks, one for each identity.

To import it, make a task of the same video with a skeleton label `person` whose points have the names of our joints,
then upload the file as "CVAT 1.1". CVAT counts from the corner of the picture, half a pixel from our centres. Every
frame is a keyframe. A joint that was not found is `outside`, at its last place; a pose that was coasted or interpolated
is `occluded`. A person who is gone is `outside` until the next keyframe. Scores, times, and people without an identity
are lost. Frames of a stretch have the numbers of the whole video. Whether any come after its last one is not known, and
CVAT refuses a keyframe that the video does not have: there, who is in the last frame stays.

What comes out of CVAT is read back, with the frames between keyframes, which it writes too: a track is an identity, and
a joint that is not `outside` is sure, also an `occluded` one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import numpy.typing as npt

from posetrack_app.errors import InputError
from posetrack_app.formats.assembly import MAX_FRAMES, Draft
from posetrack_app.formats.labelled import load
from posetrack_app.formats.saving import save_file
from posetrack_app.formats.sequence import PoseSequence
from posetrack_app.types import Origin, Poses

__all__ = ["read", "write"]

_LABEL = "person"


def write(path: Path, sequence: PoseSequence) -> None:
    """Write the tracks of a video.

    Raises:
        OutputError: the file cannot be written.
    """
    save_file(path, _document(sequence))


def read(path: Path, *, rate: float = 25.0) -> PoseSequence:
    """The people of a video: its skeleton tracks.

    Raises:
        InputError: no such file, no XML, or not of this form; names the track and the frame.
    """
    try:
        root = ElementTree.fromstring(load(path))
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path} is not XML: {error}") from None
    if root.tag != "annotations" or (root.find("track") is None and root.find("image") is not None):
        raise InputError(
            f'{path} is no "CVAT for video 1.1": it must hold `annotations` with a `track` for each person'
        )
    joints: dict[str, int] = {}
    for point in root.iterfind("track/skeleton/points"):
        joints.setdefault(point.get("label", ""), len(joints))
    people: dict[tuple[int, int], list[float]] = {}
    for track in root.iterfind("track"):
        identity = _whole(track, "id", path, "a track")
        for skeleton in track.iterfind("skeleton"):
            frame = _whole(skeleton, "frame", path, f"track {identity}")
            points = _points(skeleton, joints, path, f"track {identity}, frame {frame}")
            if any(points[2::3]):
                people[identity, frame] = points
    draft = Draft(path)
    for (identity, frame), points in people.items():
        draft.add(f"track {identity}, frame {frame}", frame, points, track=identity)
    task = root.find("meta/task")
    size, video = (task.findtext("size"), task.findtext("name")) if task is not None else (None, None)
    frames = int(size) if size and size.isdecimal() and len(size) < 10 else 0
    sequence = draft.finish(list(joints), rate=rate, frames=min(frames, MAX_FRAMES), video=video)
    found = [root.findtext(f"meta/task/original_size/{axis}", "") for axis in ("width", "height")]
    width, height = (int(text) if text.isdecimal() and len(text) < 7 else 0 for text in found)
    return replace(sequence, width=width, height=height)


def _points(skeleton: Element, joints: dict[str, int], path: Path, place: str) -> list[float]:
    """x, y and 1 of each joint, 0 where it is outside."""
    points = [0.0] * (3 * len(joints))
    for point in skeleton.iterfind("points"):
        if point.get("outside") == "1":
            continue
        try:
            x, y = (float(text) - 0.5 for text in point.get("points", "").split(","))
        except ValueError:
            what = f"`points` of {point.get('label')} is '{point.get('points')}'"
            raise InputError(f"{path}: {place}: {what}, it must be x,y") from None
        column = 3 * joints[point.get("label", "")]
        points[column : column + 3] = x, y, 1.0
    return points


def _whole(element: Element, name: str, path: Path, place: str) -> int:
    """A whole number from 0 in an attribute."""
    text = element.get(name, "")
    if not (text.isascii() and text.isdecimal() and int(text[:10]) < MAX_FRAMES and len(text) < 10):
        raise InputError(f"{path}: {place}: `{name}` is '{text}', it must be a whole number below {MAX_FRAMES}")
    return int(text)


def _document(sequence: PoseSequence) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    end = sequence.frames[-1].index + 1 if sequence.frames else 0
    yield from _meta(sequence, end)
    tracks: dict[int, dict[int, Poses]] = {}
    for frame in sequence.frames:
        for n, track in enumerate(frame.poses.track_id.tolist()):
            if track >= 0 and (frame.poses.joint_score[n] > 0).any():
                tracks.setdefault(track, {})[frame.index] = frame.poses[n : n + 1]
    for track in sorted(tracks):
        yield f'  <track id="{track}" label="{_LABEL}" source="file">\n'
        yield from _skeletons(tracks[track], sequence.skeleton.joints, end)
        yield "  </track>\n"
    yield "</annotations>\n"


def _meta(sequence: PoseSequence, end: int) -> Iterator[str]:
    """What CVAT tells of a task; `end` is how many frames the video has, as far as is known of a stretch."""
    yield "  <meta>\n    <task>\n"
    yield f"      <name>{escape(sequence.video)}</name>\n      <size>{end}</size>\n"
    yield "      <mode>interpolation</mode>\n      <overlap>0</overlap>\n      <flipped>False</flipped>\n"
    yield f"      <start_frame>0</start_frame>\n      <stop_frame>{max(end - 1, 0)}</stop_frame>\n"
    yield "      <labels>\n"
    yield f"        <label><name>{_LABEL}</name><type>skeleton</type><attributes></attributes></label>\n"
    for joint in sequence.skeleton.joints:
        yield f"        <label><name>{joint}</name><type>points</type><attributes></attributes>"
        yield f"<parent>{_LABEL}</parent></label>\n"
    yield "      </labels>\n"
    if sequence.width and sequence.height:
        size = f"<width>{sequence.width}</width><height>{sequence.height}</height>"
        yield f"      <original_size>{size}</original_size>\n"
    yield "    </task>\n  </meta>\n"


def _skeletons(poses: dict[int, Poses], joints: tuple[str, ...], end: int) -> Iterator[str]:
    """The keyframes of a person, by frame; `end` is how many frames the video has."""
    first = poses[min(poses)]
    centre = first.xy[0, first.joint_score[0] > 0].mean(axis=0)
    place = np.tile(centre, (len(joints), 1)).astype(np.float64)  # where each joint was last
    for frame, person in sorted(poses.items()):
        found = person.joint_score[0] > 0
        place[found] = person.xy[0, found]
        yield _skeleton(frame, joints, place, outside=~found, occluded=int(person.origin[0]) != Origin.OBSERVED)
        if frame + 1 not in poses and frame + 1 < end:
            yield _skeleton(frame + 1, joints, place, outside=np.ones(len(joints), dtype=np.bool_), occluded=False)


def _skeleton(
    frame: int,
    joints: tuple[str, ...],
    place: npt.NDArray[np.float64],
    *,
    outside: npt.NDArray[np.bool_],
    occluded: bool,
) -> str:
    points = "".join(
        f'      <points label={quoteattr(joint)} keyframe="1" outside="{int(gone)}" occluded="{int(occluded)}" '
        f'points="{x:.2f},{y:.2f}"/>\n'
        for joint, (x, y), gone in zip(joints, (place + 0.5).tolist(), outside.tolist(), strict=True)
    )
    return f'    <skeleton frame="{frame}" keyframe="1" z_order="0">\n{points}    </skeleton>\n'
