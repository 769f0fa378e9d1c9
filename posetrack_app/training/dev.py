"""The dev set: photos that are not learned from, on which weights are measured during a training.

Letters: N persons, K joints, R regions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from models.skeleton import COCO17, Skeleton
from posetrack_app.errors import InputError
from posetrack_app.estimator import PoseEstimator
from posetrack_app.evaluation.coco import (
    CocoTruth,
    Estimator,
    Person,
    Photo,
    average_precision,
    evaluate_coco,
    read_truth,
    to_results,
)
from posetrack_app.formats.photos import read_photo
from posetrack_app.training.annotations import read_photos
from posetrack_app.training.config import DevSettings
from posetrack_app.training.photos import LabelledPhoto

__all__ = ["DevSet", "measure_photos"]


class DevSet:
    """Photos on which weights are measured: for COCO's joints as `evaluate coco` does it, else by `measure_photos`."""

    def __init__(
        self, settings: DevSettings, skeleton: Skeleton, *, device: Literal["auto", "cpu", "cuda", "mps"]
    ) -> None:
        """Look whether it is there, so that no training fails by it after hours.

        Raises:
            InputError: no such file or folder, or no truth.
        """
        self._truth = Path(settings.annotations)
        if not self._truth.exists():
            raise InputError(f"dev.annotations: nothing at {self._truth.absolute()}")
        self._images = Path(settings.images) if settings.images else self._truth.parent
        if not self._images.is_dir():
            raise InputError(f"dev.images: no folder at {self._images.absolute()}")
        self._photos: list[LabelledPhoto] | None = None
        if skeleton is COCO17:
            read_truth(self._truth)
        else:
            self._photos = read_photos(self._truth, self._images, skeleton=skeleton)
        self._short_side, self._device = settings.short_side, device

    def average_precision(self, path: Path) -> float:
        """AP of weights, percent; 0 where there is none, as nobody is in the photos."""
        estimator = PoseEstimator(weights=path, device=self._device, short_side=self._short_side)
        if self._photos is None:
            return evaluate_coco(self._truth, self._images, estimator).ap or 0.0
        return measure_photos(self._photos, estimator) or 0.0


def measure_photos(photos: Sequence[LabelledPhoto], estimator: Estimator) -> float | None:
    """OKS average precision of an estimator on labelled photos of any skeleton, percent.

    Who is found where nothing is known of any joint counts neither as right nor as wrong. The figure is for comparing
    weights with one another: it is COCO's measure on other joints, not PoseTrack's.
    """
    skeleton = estimator.skeleton
    people = [person for number, photo in enumerate(photos) for person in _truth(number, photo, len(skeleton.joints))]
    truth = CocoTruth(
        images=[Photo(id=number, file_name=photo.path.name) for number, photo in enumerate(photos)],
        annotations=[
            Person(id=number, image_id=image, area=area, bbox=box, keypoints=keypoints, iscrowd=int(crowd))
            for number, (image, area, box, keypoints, crowd) in enumerate(people, start=1)
        ],
    )
    results = []
    for number, photo in enumerate(photos):
        (poses,) = estimator.estimate([read_photo(photo.path)])
        results += to_results(poses, number)
    return average_precision(truth, results, skeleton=skeleton)[0]


def _truth(
    number: int, photo: LabelledPhoto, joints: int
) -> Iterator[tuple[int, float, list[float], list[float], bool]]:
    """Photo, area, box, keypoints of each person; at last the crowds, of whom no joint is known."""
    for xy, labelled, area in zip(photo.xy, photo.labelled, photo.area, strict=True):
        if labelled.any():
            low, high = xy[labelled].min(axis=0), xy[labelled].max(axis=0)
            keypoints = np.where(labelled[:, None], np.column_stack([xy, np.full(joints, 2)]), 0)
            box = [*low.tolist(), *(high - low).tolist()]
            yield number, float(area) or float(np.prod(high - low)), box, keypoints.ravel().tolist(), False
    for (left, top, right, bottom), unknown in zip(photo.boxes.tolist(), photo.box_joints, strict=True):
        if unknown.all():
            size = [right - left, bottom - top]
            yield number, float(np.prod(size)), [left, top, *size], [0.0] * (3 * joints), True
