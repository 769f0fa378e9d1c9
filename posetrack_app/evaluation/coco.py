"""OKS average precision of the network on photos with COCO keypoints, as pycocotools computes it.

Letters: N persons, K joints.
"""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from models.skeleton import COCO17, Skeleton
from posetrack_app.errors import InputError, UsageError, UserError, some_of
from posetrack_app.formats.photos import PhotoFinder, read_photo
from posetrack_app.types import Frame, Poses

__all__ = ["CocoReport", "CocoTruth", "average_precision", "evaluate_coco", "read_truth", "to_results"]


class Photo(msgspec.Struct, frozen=True):
    """An entry of `images`."""

    id: int
    file_name: str


class Person(msgspec.Struct, frozen=True):
    """An entry of `annotations`."""

    id: int
    image_id: int
    area: float
    bbox: list[float]
    keypoints: list[float]
    iscrowd: int = 0


class CocoTruth(msgspec.Struct, frozen=True):
    """A file of COCO keypoints, as far as the measure needs it."""

    images: list[Photo]
    annotations: list[Person]


@dataclass(frozen=True, kw_only=True)
class CocoReport:
    """What COCO calls the keypoint metrics, in percent; None where it has none, as no person of that size."""

    ap: float | None
    """Average precision, mean over OKS thresholds from 0.50 to 0.95."""

    ap50: float | None
    """Average precision at OKS 0.50."""

    ap75: float | None
    """Average precision at OKS 0.75."""

    ap_medium: float | None
    """As `ap`, of people between 32 x 32 and 96 x 96 pixels."""

    ap_large: float | None
    """As `ap`, of people above 96 x 96 pixels."""

    ar: float | None
    """Average recall with at most 20 people a photo, mean over the same thresholds."""

    photos: int
    """Photos that were looked at."""

    seconds_per_photo: float
    """Seconds from pixels to people, mean over photos; reading and decoding are not in it."""

    def table(self) -> str:
        """The figures for the terminal."""
        head = ("AP", "AP50", "AP75", "AP medium", "AP large", "AR")
        values = (self.ap, self.ap50, self.ap75, self.ap_medium, self.ap_large, self.ar)
        cells = ["-" if value is None else f"{value:.1f}" for value in values]
        return "\n".join(
            [
                "  ".join(f"{name:>9}" for name in head),
                "  ".join(f"{cell:>9}" for cell in cells),
                f"{self.photos} photos, {self.seconds_per_photo:.3f} s each",
            ]
        )


class Estimator(Protocol):
    """What is measured; `posetrack_app.estimator.PoseEstimator` is one."""

    skeleton: Skeleton

    def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
        """The people of each frame."""


def evaluate_coco(truth: Path, images: Path, estimator: Estimator) -> CocoReport:
    """Run the estimator over the photos that a file of COCO keypoints names, and measure what it finds.

    Raises:
        InputError: truth is no COCO file, or photos are missing or unreadable.
        UsageError: the estimator has other joints than COCO.
        UserError: pycocotools is not installed.
    """
    _pycocotools()
    if estimator.skeleton is not COCO17:
        raise UsageError(f"the network finds joints of '{estimator.skeleton.name}', COCO has those of '{COCO17.name}'")
    people = read_truth(truth)
    paths = _find_photos(people, images)
    results: list[dict[str, Any]] = []
    seconds = 0.0
    for photo, path in zip(people.images, paths, strict=True):
        frame = read_photo(path)
        started = time.perf_counter()
        (poses,) = estimator.estimate([frame])
        seconds += time.perf_counter() - started
        results += to_results(poses, photo.id)
    ap, ap50, ap75, ap_medium, ap_large, ar = average_precision(people, results)
    return CocoReport(
        ap=ap,
        ap50=ap50,
        ap75=ap75,
        ap_medium=ap_medium,
        ap_large=ap_large,
        ar=ar,
        photos=len(paths),
        seconds_per_photo=seconds / len(paths),
    )


def read_truth(path: Path) -> CocoTruth:
    """Photos and people of a COCO file.

    Raises:
        InputError: unreadable, no JSON, or not of COCO's form.
    """
    try:
        truth = msgspec.json.decode(path.read_bytes(), type=CocoTruth)
    except OSError as error:
        raise InputError(f"ground truth {path} cannot be read: {error.strerror or error}") from None
    except msgspec.DecodeError as error:
        raise InputError(f"ground truth {path} is no file of COCO keypoints: {error}") from None
    photos = Counter(photo.id for photo in truth.images)
    if not photos:
        raise InputError(f"ground truth {path} names no photos: 'images' is empty")
    for number, count in photos.items():
        if count > 1:
            raise InputError(f"ground truth {path} has {count} photos of id {number}")
    for person in truth.annotations:
        if len(person.keypoints) != 3 * len(COCO17.joints):
            what = f"{len(person.keypoints)} numbers in 'keypoints', not {3 * len(COCO17.joints)}"
            raise InputError(f"ground truth {path}: annotation {person.id} has {what}")
        if person.image_id not in photos:
            what = f"is of photo {person.image_id}, which 'images' does not name"
            raise InputError(f"ground truth {path}: annotation {person.id} {what}")
    return truth


def to_results(poses: Poses, photo: int) -> list[dict[str, Any]]:
    """The people of a photo as COCO's results: joints that were not found are (0, 0, 0)."""
    results = []
    for xy, joint_score, score in zip(poses.xy, poses.joint_score, poses.score, strict=True):
        found = joint_score > 0
        keypoints = np.column_stack([np.where(found[:, None], xy, 0), joint_score])
        low, high = (xy[found].min(axis=0), xy[found].max(axis=0)) if found.any() else (xy[0], xy[0])
        results.append(
            {
                "image_id": photo,
                "category_id": 1,
                "keypoints": keypoints.astype(float).ravel().tolist(),
                "score": float(score),
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "area": float(np.prod(high - low)),
            }
        )
    return results


def average_precision(
    truth: CocoTruth, results: list[dict[str, Any]], *, skeleton: Skeleton = COCO17
) -> tuple[float | None, ...]:
    """AP, AP50, AP75, AP medium, AP large and AR in percent of COCO results against a ground truth.

    Of another skeleton than COCO's, keypoints are in its order, and its own sigmas count.
    """
    coco, evaluation = _pycocotools()
    categories = [{"id": 1, "name": "person", "keypoints": list(skeleton.joints)}]
    images = [{"id": photo.id} for photo in truth.images]
    people = [
        {
            **msgspec.structs.asdict(person),
            "category_id": 1,
            "num_keypoints": sum(visible > 0 for visible in person.keypoints[2::3]),
        }
        for person in truth.annotations
    ]
    found = [{**result, "id": number, "iscrowd": 0} for number, result in enumerate(results, start=1)]
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sides = []
        for annotations in (people, found):
            side = coco()
            side.dataset = {"images": images, "annotations": annotations, "categories": categories}
            side.createIndex()
            sides.append(side)
        measure = evaluation(*sides, iouType="keypoints")
        measure.params.kpt_oks_sigmas = np.array(skeleton.sigmas)
        measure.params.imgIds = sorted(photo.id for photo in truth.images)
        measure.evaluate()
        measure.accumulate()
        measure.summarize()
    values = [None if value < 0 else 100 * float(value) for value in measure.stats]
    return (*values[:5], values[5])


def _pycocotools() -> tuple[Any, Any]:
    """COCO and COCOeval of pycocotools, which is an optional dependency."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        raise UserError("evaluate coco needs pycocotools: pip install 'posetrack-app[coco]'") from None
    return COCO, COCOeval


def _find_photos(truth: CocoTruth, folder: Path) -> list[Path]:
    """Where each photo lies.

    Raises:
        InputError: photos are missing.
    """
    finder = PhotoFinder(folder)
    paths = [finder.find(photo.file_name) for photo in truth.images]
    missing = [photo.file_name for photo, path in zip(truth.images, paths, strict=True) if path is None]
    if missing:
        what = f"{len(missing)} of {len(paths)} photos are not in {folder}"
        raise InputError(f"{what}: {some_of(missing)}; --images names the folder of the photos")
    return [path for path in paths if path is not None]
