"""Photos in, a file of labels by a machine out: the form that `annotations` reads.

Letters: N persons, K joints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.skeleton import Skeleton
from posetrack_app.estimator import PoseEstimator
from posetrack_app.formats.saving import save_file
from posetrack_app.training.label_journal import KeptPhoto, LabelJournal
from posetrack_app.training.teacher import Taught, TeacherConfig, fuse
from posetrack_app.types import Frame
from trackers.oks import body_boxes, body_size

__all__ = ["Labelled", "described", "label_photos", "to_annotations"]

_MARGIN = 0.15
"""Room of a person's box around the joints, as a share of the root of the area: heads and feet lie outside of them."""


@dataclass(slots=True)
class Labelled:
    """What was labelled."""

    photos: int = 0
    """How many, those without people too."""

    people: int = 0
    """Labelled people."""

    unsure: int = 0
    """People of whom nothing is learned."""

    joints: int = 0
    """Their labelled joints."""

    uncertain: int = 0
    """Their joints of which nothing is learned."""

    stopped: bool = False
    """Whether it was asked to stop before the photos came to their end."""


def label_photos(
    photos: Iterable[Frame],
    out: Path,
    *,
    journal: LabelJournal,
    estimators: Sequence[PoseEstimator],
    config: TeacherConfig,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[], object] = lambda: None,
) -> Labelled:
    """Label photos, each of which has a name, and write the file of all that the journal has then.

    Args:
        photos: Those that the journal lacks. They are read a batch ahead, and may differ in size.
        out: The file; stopped before the end, what is done lies at its partial name.
        journal: Keeps each photo as it is done; once the file is complete it is cleared.
        estimators: The network at each size, at least one.
        config: What is sure enough.
        stop: Asked after each photo; from True on no other begins.
        progress: Called after each photo.

    Raises:
        OutputError: something cannot be written.
    """
    skeleton = estimators[0].skeleton
    done = Labelled()
    for photo, taught in _taught(photos, estimators, config):
        height, width = photo.image.shape[:2]
        people = to_annotations(taught, size=(width, height), skeleton=skeleton)
        journal.add(KeptPhoto(name=str(photo.name), size=(width, height), people=people))
        progress()
        if stop():
            done.stopped = True
            break
    info = {"info": described(estimators, config), "categories": [_category(skeleton)]}
    save_file(out, _text(info, journal, done), complete=not done.stopped)
    if not done.stopped:
        journal.clear()
    return done


def to_annotations(taught: Taught, *, size: tuple[int, int], skeleton: Skeleton) -> list[dict[str, Any]]:
    """The people of a photo of `size` (width, height) as entries of `annotations`, without their numbers.

    Who has no sure joint becomes a box that training leaves out.
    """
    xy, found = taught.xy.astype(np.float64), taught.joint_score > 0
    areas = body_size(xy, found) ** 2
    boxes = body_boxes(xy, found, np.maximum(_MARGIN * np.sqrt(areas), 1))
    # Boxes count from the corner of the picture, joints from the centre of its first pixel.
    boxes = (boxes + 0.5).clip(0, np.tile(size, 2))
    return [
        _entry(taught, row, box=_rounded([*box[:2], *(box[2:] - box[:2])]), area=round(float(area), 1))
        for row, (box, area) in enumerate(zip(boxes, areas, strict=True))
        if (box[2:] > box[:2]).all()
    ]


def _entry(taught: Taught, row: int, *, box: list[float], area: float) -> dict[str, Any]:
    sure = taught.sure[row]
    is_label = bool(sure.any())
    points = np.concatenate([taught.xy[row], np.full((len(sure), 1), 2)], axis=1) * sure[:, None]
    guessed = np.flatnonzero((taught.joint_score[row] > 0) & ~sure & is_label)
    return {
        "category_id": 1,
        "keypoints": _rounded(points.ravel()),
        "num_keypoints": int(sure.sum()),
        "uncertain": [[joint, *_rounded(taught.xy[row, joint])] for joint in guessed.tolist()],
        "bbox": box,
        "area": area,
        "iscrowd": int(not is_label),
        "label": "machine",
        "score": round(float(taught.score[row]), 4),
    }


def _rounded(values: npt.ArrayLike) -> list[float]:
    rounded: list[float] = np.asarray(values, dtype=np.float64).round(2).tolist()
    return rounded


def _text(info: dict[str, Any], journal: LabelJournal, done: Labelled) -> Iterator[str]:
    """The file in parts; counts what is in it."""
    encode = msgspec.json.Encoder().encode
    yield encode(info).decode()[:-1] + ',\n"annotations":['
    total = 0
    for number, photo in enumerate(journal.photos(), start=1):
        done.photos += 1
        for entry in photo.people:
            comma = "," if total else ""
            total += 1
            yield f"{comma}\n{encode({'id': total, 'image_id': number, **entry}).decode()}"
            _count(entry, done)
    yield '\n],\n"images":['
    for number, photo in enumerate(journal.photos(), start=1):
        width, height = photo.size
        image = {"id": number, "file_name": photo.name, "width": width, "height": height}
        yield f"{',' if number > 1 else ''}\n{encode(image).decode()}"
    yield "\n]}\n"


def _count(entry: dict[str, Any], done: Labelled) -> None:
    if entry["iscrowd"]:
        done.unsure += 1
    else:
        done.people += 1
        done.joints += entry["num_keypoints"]
        done.uncertain += len(entry["uncertain"])


def _taught(
    photos: Iterable[Frame], estimators: Sequence[PoseEstimator], config: TeacherConfig
) -> Iterator[tuple[Frame, Taught]]:
    """Each photo with its people, in order."""
    skeleton = estimators[0].skeleton
    for batch in _ahead(iter(photos), max(estimator.batch for estimator in estimators)):
        views = [estimator.estimate(batch) for estimator in estimators]
        for photo, *of_photo in zip(batch, *views, strict=True):
            yield photo, fuse(of_photo, skeleton=skeleton, config=config)


def _ahead(photos: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    """Batches, of which the next one is read while one is in use."""
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lambda: list(islice(photos, size)))
        while batch := reading.result():
            reading = pool.submit(lambda: list(islice(photos, size)))
            yield batch


def described(estimators: Sequence[PoseEstimator], config: TeacherConfig) -> dict[str, Any]:
    """How the labels come to be, as the file says it."""
    return {
        "description": "labels by a machine",
        "weights": Path(estimators[0].weights).name,
        "short_sides": [estimator.short_side for estimator in estimators],
        "mirror": estimators[0].mirror,
        "thresholds": asdict(config),
    }


def _category(skeleton: Skeleton) -> dict[str, Any]:
    return {
        "id": 1,
        "name": "person",
        "keypoints": list(skeleton.joints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.limbs],
    }
