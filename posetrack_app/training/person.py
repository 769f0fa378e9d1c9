"""What is known of the people of a photo, as `annotations` reads them: labels, and regions where nothing is known.

Letters: N persons, K joints of the skeleton, J joints of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from models.skeleton import Skeleton
from posetrack_app.training.photos import LabelledPhoto

__all__ = ["FACE", "PeopleReader", "PersonEntry", "PhotoEntry"]

FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
"""Joints of `machine_face`, in its order."""

_GROWTH = 0.1
"""Boxes are grown by so much of their sides, each way: joints lie outside the outline of labelled ones."""

_DISC = 0.2
"""Radius around a place that is not trusted, as a share of the root of the person's area."""

_FACE_REACH = 0.5
"""How far outside the head's box, in its sides, a machine's face may be and still be believed."""

_AREA = 0.53
"""Share of a person's box that is the person, where no area is given: what CrowdPose and others use."""

Box = tuple[float, float, float, float]
Point = tuple[float, float, float]


class PhotoEntry(msgspec.Struct, frozen=True):
    """An entry of `images`."""

    id: int
    file_name: str
    width: int = 0
    height: int = 0
    source: str = ""
    is_labeled: bool = True
    ignore_regions_x: list[list[float]] = []
    ignore_regions_y: list[list[float]] = []


class PersonEntry(msgspec.Struct, frozen=True):
    """An entry of `annotations`."""

    image_id: int
    keypoints: list[float] = []
    id: int | None = None
    bbox: list[float] | None = None
    area: float | None = None
    iscrowd: bool | int = 0
    label: str = "human"
    bbox_head: list[float] | None = None
    head_region: list[float] | None = None
    uncertain: list[Point] = []
    machine_face: list[Point] = []


@dataclass(frozen=True, slots=True)
class _Regions:
    """Parts of a photo where nothing is known; each with its joints, (K,)."""

    boxes: list[tuple[Box, npt.NDArray[np.bool_]]] = field(default_factory=list)
    discs: list[tuple[Point, npt.NDArray[np.bool_]]] = field(default_factory=list)


class PeopleReader:
    """Turns the people of a photo into labels."""

    def __init__(
        self, names: list[str], ever_labelled: npt.NDArray[np.bool_], skeleton: Skeleton, face_score: float
    ) -> None:
        self._joints = skeleton.joints
        self._theirs = [k for k, name in enumerate(skeleton.joints) if name in names]
        self._columns = [names.index(skeleton.joints[k]) for k in self._theirs]
        self._by_column = dict(zip(self._columns, self._theirs, strict=True))
        self._face = np.array([name in FACE for name in skeleton.joints])
        self._never = ~ever_labelled
        self._face_score = face_score

    def photo(self, photo: PhotoEntry, people: list[PersonEntry], path: Path, size: tuple[int, int]) -> LabelledPhoto:
        """The labels of a photo."""
        K = len(self._joints)
        regions = _Regions()
        everything = np.ones(K, dtype=bool)
        for xs, ys in zip(photo.ignore_regions_x, photo.ignore_regions_y, strict=True):
            if xs:
                regions.boxes.append(((min(xs), min(ys), max(xs), max(ys)), everything))
        xy, labelled, area = [], [], []
        beyond = 0
        for person in people:
            points = np.zeros((K, 3))
            if person.keypoints:
                points[self._theirs] = np.reshape(person.keypoints, (-1, 3))[self._columns]
            box = _box(person, points)
            if person.iscrowd or not (points[:, 2] > 0).any():
                if box[2] > box[0] and box[3] > box[1]:
                    regions.boxes.append((box, everything))
                continue
            places, known = self._labels(person, points, box, regions)
            # What lies outside the photo cannot be seen.
            inside = (places > -0.5).all(axis=1) & (places < np.array(size) - 0.5).all(axis=1)
            beyond += int((known & ~inside).sum())
            known &= inside
            xy.append(np.where(known[:, None], places, 0))
            labelled.append(known)
            area.append(_area(person, box))
        return LabelledPhoto(
            path=path,
            width=size[0],
            height=size[1],
            source=photo.source,
            xy=np.array(xy, dtype=np.float32).reshape(-1, K, 2),
            labelled=np.array(labelled, dtype=bool).reshape(-1, K),
            area=np.array(area, dtype=np.float32),
            boxes=np.array([box for box, _ in regions.boxes], dtype=np.float32).reshape(-1, 4),
            box_joints=np.array([joints for _, joints in regions.boxes], dtype=bool).reshape(-1, K),
            discs=np.array([disc for disc, _ in regions.discs], dtype=np.float32).reshape(-1, 3),
            disc_joints=np.array([joints for _, joints in regions.discs], dtype=bool).reshape(-1, K),
            beyond=beyond,
        )

    def _labels(
        self, person: PersonEntry, points: npt.NDArray[np.float64], box: Box, regions: _Regions
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Places (K, 2) and what of them is known (K,) of a person with joints; adds what is unknown to `regions`."""
        by_human = person.label != "machine"
        xy, known = points[:, :2].copy(), points[:, 2] > 0
        if by_human and person.machine_face:
            self._add_face(person, xy, known)
        unknown = ~known if by_human else ~known & self._never
        head = person.head_region or person.bbox_head
        if head and min(head[2:]) > 0 and (unknown & self._face).any():
            regions.boxes.append((_grown(_corners(head)), unknown & self._face))
            unknown = unknown & ~self._face
        if unknown.any():
            regions.boxes.append((_grown(box), unknown))
        radius = max(1.0, _DISC * _area(person, box) ** 0.5)
        for column, x, y in person.uncertain:
            joint = self._by_column.get(int(column))
            if joint is not None and not known[joint]:
                regions.discs.append(((x, y, radius), np.arange(len(self._joints)) == joint))
        return xy, known

    def _add_face(self, person: PersonEntry, xy: npt.NDArray[np.float64], known: npt.NDArray[np.bool_]) -> None:
        """Take the sure joints of a face found by a machine as labels, unless they are another head's."""
        left, top, right, bottom = -np.inf, -np.inf, np.inf, np.inf
        if person.head_region:
            left, top, right, bottom = _grown(_corners(person.head_region), by=_FACE_REACH)
        for name, (x, y, score) in zip(FACE, person.machine_face, strict=True):
            if name not in self._joints or score < self._face_score:
                continue
            joint = self._joints.index(name)
            if not known[joint] and left <= x <= right and top <= y <= bottom:
                xy[joint], known[joint] = (x, y), True


def _corners(box: Sequence[float]) -> Box:
    """Left, top, right, bottom of left, top, width, height."""
    left, top, width, height = box
    return left, top, left + width, top + height


def _box(person: PersonEntry, points: npt.NDArray[np.float64]) -> Box:
    """Left, top, right, bottom of a person: around its box and its joints."""
    known = points[points[:, 2] > 0, :2]
    corners: list[Sequence[float]] = [*known.tolist()]
    if person.bbox and min(person.bbox[2:]) > 0:
        left, top, right, bottom = _corners(person.bbox)
        corners += [(left, top), (right, bottom)]
    xs, ys = zip(*corners, strict=True) if corners else ((0.0,), (0.0,))
    return min(xs), min(ys), max(xs), max(ys)


def _grown(box: Box, *, by: float = _GROWTH) -> Box:
    """A box with some room around it: a share of its sides, each way."""
    left, top, right, bottom = box
    across, down = by * (right - left), by * (bottom - top)
    return left - across, top - down, right + across, bottom + down


def _area(person: PersonEntry, box: Box) -> float:
    """The person's area, pixels squared."""
    return person.area if person.area else _AREA * (box[2] - box[0]) * (box[3] - box[1])
