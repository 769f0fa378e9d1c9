"""The labels of all photos in a few arrays, and those of the pictures of a batch out of them.

Letters: B batch, V views (see `augmentation`), N persons of a picture, K joints, T people or regions of many photos,
one after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from models.skeleton import Skeleton
from posetrack_app.training.augmentation import CELL, Views
from posetrack_app.training.photos import LabelledPhoto

__all__ = ["LabelTable", "People", "Regions"]

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The people of the pictures of a batch; nobody whose joints are all outside."""

    xy: npt.NDArray[np.float32]
    """float32 (B, N, K, 2): cells."""

    labelled: npt.NDArray[np.bool_]
    """bool (B, N, K): the place is known, and seen."""

    size: npt.NDArray[np.float32]
    """float32 (B, N): root of the area, cells; 0 where it is not known."""

    def part(self, start: int, stop: int) -> People:
        """The people of some of the pictures."""
        return People(self.xy[start:stop], self.labelled[start:stop], self.size[start:stop])


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Where nothing is known, in the photos of views, one after another."""

    view: npt.NDArray[np.intp]
    """(T,): the view that shows the photo."""

    shape: npt.NDArray[np.float32]
    """float32 (T, 4) left, top, right, bottom of boxes, or (T, 3) x, y, radius of discs; pixels of the photo."""

    joints: npt.NDArray[np.bool_]
    """bool (T, K): of which joints of the picture."""


class LabelTable:
    """Everything that is known of the people of all photos; people without a labelled joint are left out.

    They have no centre by which a picture could be laid.
    """

    def __init__(self, photos: Sequence[LabelledPhoto], *, skeleton: Skeleton) -> None:
        """Put the labels of photos one after another; memory is that of the labels, without padding."""
        K = len(skeleton.joints)
        self._mirror = skeleton.mirror
        self.photo_size = np.array([(photo.width, photo.height) for photo in photos], dtype=np.int64).reshape(-1, 2)
        """int64 (P, 2): width and height, pixels."""
        seen = [photo.labelled.any(axis=1) for photo in photos]
        self.first_person = _starts([int(one.sum()) for one in seen])
        """int64 (P + 1,): where the people of each photo begin."""
        self._first_box = _starts([len(photo.boxes) for photo in photos])
        self._first_disc = _starts([len(photo.discs) for photo in photos])
        several = list(zip(photos, seen, strict=True))
        self._xy = _joined([photo.xy[one] for photo, one in several], (K, 2), np.float32)
        self._labelled = _joined([photo.labelled[one] for photo, one in several], (K,), np.bool_)
        self._area = _joined([photo.area[one] for photo, one in several], (), np.float32)
        self._boxes = _joined([photo.boxes for photo in photos], (4,), np.float32)
        self._box_joints = _joined([photo.box_joints for photo in photos], (K,), np.bool_)
        self._discs = _joined([photo.discs for photo in photos], (3,), np.float32)
        self._disc_joints = _joined([photo.disc_joints for photo in photos], (K,), np.bool_)
        known = self._labelled.sum(axis=1)
        self.centres = (self._xy * self._labelled[..., None]).sum(axis=1, dtype=np.float64) / known[:, None]
        """float64 (T, 2): mean of the labelled joints of each person, pixels of the photo."""

    def people(self, views: Views) -> People:
        """The people of pictures, in cells of their maps."""
        B = len(views.colour)
        view, person = _members(self.first_person, views.photo)
        K = len(self._mirror)
        xy = np.einsum("tij,tkj->tki", views.forward[view, :, :2], self._xy[person]) + views.forward[view, None, :, 2]
        labelled = self._labelled[person]
        mirrored = views.mirrored[view]
        xy[mirrored] = xy[mirrored][:, self._mirror]
        labelled[mirrored] = labelled[mirrored][:, self._mirror]
        window = views.window[view, None, :]
        labelled &= ((xy >= window[..., :2] - 0.5) & (xy < window[..., 2:] - 0.5)).all(axis=2)
        size = np.sqrt(self._area[person]) * views.scale[view] / CELL

        seen = np.flatnonzero(labelled.any(axis=1))
        seen = seen[np.argsort(views.picture[view[seen]], kind="stable")]
        picture = views.picture[view[seen]]
        number = np.bincount(picture, minlength=B)
        place = np.arange(len(seen)) - _starts(number)[picture]
        N = int(number.max(initial=0))
        people = People(
            xy=np.zeros((B, N, K, 2), dtype=np.float32),
            labelled=np.zeros((B, N, K), dtype=bool),
            size=np.zeros((B, N), dtype=np.float32),
        )
        cells = (xy[seen] + 0.5) / CELL - 0.5
        people.xy[picture, place] = np.where(labelled[seen, :, None], cells, 0)
        people.labelled[picture, place] = labelled[seen]
        people.size[picture, place] = size[seen]
        return people

    def boxes(self, views: Views) -> Regions:
        """The boxes in the photos of views, as far as they are seen."""
        view, box = _members(self._first_box, views.photo)
        shape = self._boxes[box]
        middle: npt.NDArray[np.float32] = (shape[:, :2] + shape[:, 2:]) * np.float32(0.5)
        radius = np.hypot(shape[:, 2] - shape[:, 0], shape[:, 3] - shape[:, 1]) / 2
        return self._regions(views, view, shape, middle, radius, self._box_joints[box])

    def discs(self, views: Views) -> Regions:
        """The discs in the photos of views, as far as they are seen."""
        view, disc = _members(self._first_disc, views.photo)
        shape = self._discs[disc]
        return self._regions(views, view, shape, shape[:, :2], shape[:, 2], self._disc_joints[disc])

    def _regions(
        self,
        views: Views,
        view: npt.NDArray[np.intp],
        shape: npt.NDArray[np.float32],
        middle: npt.NDArray[np.float32],
        radius: npt.NDArray[np.float32],
        joints: npt.NDArray[np.bool_],
    ) -> Regions:
        """Regions without those whose surrounding circle is outside of the view's window."""
        place = np.einsum("tij,tj->ti", views.forward[view, :, :2], middle) + views.forward[view, :, 2]
        reach = (radius * views.scale[view])[:, None]
        window = views.window[view]
        near = ((place + reach >= window[:, :2]) & (place - reach < window[:, 2:])).all(axis=1)
        joints = np.where(views.mirrored[view, None], joints[:, self._mirror], joints)
        return Regions(view=view[near], shape=shape[near], joints=joints[near])


def _starts(counts: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each of several parts begins, and where the last ends.

    >>> _starts([2, 0, 3]).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def _joined(parts: list[npt.NDArray[Scalar]], shape: tuple[int, ...], kind: type[Scalar]) -> npt.NDArray[Scalar]:
    """Parts of (n, *shape) one after another; also where there is none."""
    return np.concatenate([np.zeros((0, *shape), dtype=kind), *parts])


def _members(
    first: npt.NDArray[np.int64], photo: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """For each member of the photo of each view: the view, and the member's row.

    >>> view, row = _members(np.array([0, 2, 2, 5]), np.array([2, 0]))
    >>> view.tolist(), row.tolist()
    ([0, 0, 0, 1, 1], [2, 3, 4, 0, 1])
    """
    number = first[photo + 1] - first[photo]
    view = np.repeat(np.arange(len(photo)), number)
    within = np.arange(len(view)) - _starts(number)[view]
    return view, first[photo][view] + within
