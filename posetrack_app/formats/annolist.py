"""The older form of PoseTrack, of 2017: a structure of Matlab turned into JSON, scalars in lists of one.

It names 15 joints by numbers and has no ears. A person has a list of joints, possibly an empty one, or none at all,
and the evaluator tells the two apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from posetrack_app.errors import InputError
from posetrack_app.formats.annotations import JOINTS
from posetrack_app.formats.labelled import LabelledFrame, decode, load, save

__all__ = ["POINTS", "parse", "read", "write"]

POINTS = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
    "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
    "head_bottom", "nose", "head_top",
)  # fmt: skip
"""The joint of each point `id`, under the names of `JOINTS`."""

_COLUMNS = [JOINTS.index(joint) for joint in POINTS]

T = TypeVar("T")
_Int = int | float | list[int | float]
_Float = float | list[float]


class _Point(msgspec.Struct, frozen=True):
    x: _Float
    y: _Float
    id: _Int | None = None
    score: _Float | None = None
    is_visible: Any = None


class _Points(msgspec.Struct, frozen=True):
    point: list[_Point] | _Point | None = None


class _Person(msgspec.Struct, frozen=True):
    track_id: _Int | None = None
    score: _Float | None = None
    x1: _Float | None = None
    y1: _Float | None = None
    x2: _Float | None = None
    y2: _Float | None = None
    annopoints: list[_Points] | _Points | None = None


class _Name(msgspec.Struct, frozen=True):
    name: str


class _Frame(msgspec.Struct, frozen=True):
    image: list[_Name] | _Name
    annorect: list[_Person] = []
    imgnum: _Int | None = None
    is_labeled: bool | list[bool | int] | int = True
    ignore_regions: list[_Points] | _Points | None = None


class _File(msgspec.Struct, frozen=True):
    annolist: msgspec.Raw


def read(path: Path) -> list[LabelledFrame]:
    """The frames of a file of ground truth or of predictions, in its order.

    Raises:
        InputError: no such file, no JSON, or not of this form; names the person and the field.
    """
    data = load(path)
    return parse(decode(data, _File, path=path, form="PoseTrack's annolist JSON").annolist, path=path)


def parse(annolist: bytes | msgspec.Raw, *, path: Path) -> list[LabelledFrame]:
    """The frames of the content of `annolist`; `path` is for messages.

    Raises:
        InputError: as `read`.
    """
    frames = decode(annolist, list[_Frame], path=path, form="PoseTrack's annolist JSON", within="annolist")
    return [_labelled(frame, number, path) for number, frame in enumerate(frames)]


def write(path: Path, frames: Sequence[LabelledFrame]) -> None:
    """Write the frames of one video. Ears, and scores of joints that are missing, are left out.

    Raises:
        OutputError: the file cannot be written.
    """
    save(path, {"annolist": [_frame(frame) for frame in frames]})


def _labelled(frame: _Frame, number: int, path: Path) -> LabelledFrame:
    image = _first(frame.image)
    if image is None:
        raise InputError(f"{path}: annolist[{number}]: `image` is empty")
    N = len(frame.annorect)
    xy, found = np.zeros((N, len(JOINTS), 2)), np.zeros((N, len(JOINTS)), dtype=np.bool_)
    hidden, score = np.zeros_like(found), np.full((N, len(JOINTS)), np.nan)
    head_box, person_score = np.full((N, 4), np.nan), np.full(N, np.nan)
    track_id, listed = np.full(N, -1, dtype=np.int64), np.zeros(N, dtype=np.bool_)
    for n, person in enumerate(frame.annorect):
        points = _points(person.annopoints)
        listed[n] = points is not None
        wrong = _what_is_wrong(person, listed=points is not None)
        if wrong:
            raise InputError(f"{path}: annolist[{number}].annorect[{n}]: {wrong}")
        person_score[n] = _number(person.score)
        track_id[n] = -1 if person.track_id is None else int(_first(person.track_id) or 0)
        head_box[n] = [_number(value) for value in (person.x1, person.y1, person.x2, person.y2)]
        for point in points or ():
            place = _first(point.id)
            if place is None or place not in range(len(POINTS)):
                continue  # others have more joints than are evaluated
            j = _COLUMNS[int(place)]
            if found[n, j]:
                continue  # of two points of a joint the first counts
            x, y = _number(point.x), _number(point.y)
            if x != x or y != y:
                raise InputError(f"{path}: annolist[{number}].annorect[{n}]: point {int(place)} has no `x` or no `y`")
            xy[n, j], found[n, j], score[n, j] = (x, y), True, _number(point.score)
            hidden[n, j] = str(_first(point.is_visible)) in ("0", "0.0", "False")
    numbered, is_labelled = _first(frame.imgnum), _first(frame.is_labeled)
    return LabelledFrame(
        image_id=number + 1 if numbered is None else int(numbered),
        file_name=image.name,
        is_labelled=is_labelled is None or bool(is_labelled),
        track_id=track_id,
        xy=xy,
        found=found,
        visible=found & ~hidden,
        score=score,
        head_box=head_box,
        ignore_regions=_regions(frame.ignore_regions),
        person_score=None if np.isnan(person_score).all() else person_score,
        listed=None if listed.all() else listed,
        entry=np.arange(N),
    )


def _what_is_wrong(person: _Person, *, listed: bool) -> str | None:
    """What makes a person unreadable, or None."""
    track_id = None if person.track_id is None else _first(person.track_id)
    if track_id is None:
        return "`track_id` is missing" if listed else None
    if track_id % 1 or abs(track_id) >= 2**63:
        return "`track_id` is no whole number of 64 bits"
    return None


def _points(lists: list[_Points] | _Points | None) -> list[_Point] | None:
    """The points of a person or of a polygon; None where the file has no list of them."""
    first = _first(lists)
    if first is None or first.point is None:
        return None
    return first.point if isinstance(first.point, list) else [first.point]


def _regions(regions: list[_Points] | _Points | None) -> tuple[npt.NDArray[np.float64], ...]:
    polygons = [_points(region) or [] for region in (regions if isinstance(regions, list) else [regions])]
    return tuple(
        np.array([(_number(point.x), _number(point.y)) for point in points], dtype=np.float64)
        for points in polygons
        if points
    )


def _first(value: T | list[T] | None) -> T | None:
    """What stands in a list of one, bare, or nowhere."""
    if isinstance(value, list):
        return value[0] if value else None
    return value


def _number(value: _Float | None) -> float:
    first = _first(value)
    return float("nan") if first is None else first


def _frame(frame: LabelledFrame) -> dict[str, Any]:
    """One frame in the file's words."""
    content: dict[str, Any] = {
        "image": [{"name": frame.file_name}],
        "imgnum": [frame.image_id],
        "is_labeled": [int(frame.is_labelled)],
        "annorect": [_person(frame, n) for n in range(len(frame))],
    }
    if frame.ignore_regions:
        content["ignore_regions"] = [
            {"point": [{"x": [x], "y": [y]} for x, y in region.tolist()]} for region in frame.ignore_regions
        ]
    return content


def _person(frame: LabelledFrame, n: int) -> dict[str, Any]:
    person: dict[str, Any] = {"track_id": [int(frame.track_id[n])]}
    if not np.isnan(frame.head_box[n]).any():
        person |= {
            name: [value] for name, value in zip(("x1", "y1", "x2", "y2"), frame.head_box[n].tolist(), strict=True)
        }
    if frame.person_score is not None and not np.isnan(frame.person_score[n]):
        person["score"] = [float(frame.person_score[n])]
    points: list[dict[str, Any]] = []
    for place, column in enumerate(_COLUMNS):
        if frame.found[n, column]:
            x, y = frame.xy[n, column].tolist()
            point = {"id": [place], "x": [x], "y": [y], "is_visible": [int(frame.visible[n, column])]}
            if not np.isnan(frame.score[n, column]):
                point["score"] = [float(frame.score[n, column])]
            points.append(point)
    listed = frame.listed is None or bool(frame.listed[n])
    return person | {"annopoints": [{"point": points}] if listed else []}
