"""The dev set: the same figure as `evaluate coco`, for any skeleton."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models.skeleton import COCO17, POSETRACK15, Skeleton
from posetrack_app.errors import InputError
from posetrack_app.evaluation.coco import evaluate_coco
from posetrack_app.training.annotations import read_photos
from posetrack_app.training.config import DevSettings
from posetrack_app.training.dev import DevSet, measure_photos
from posetrack_app.types import Frame, Poses

pytest.importorskip("pycocotools")


class Knower:
    """Stands in for a network: knows the people by the colour of the photo."""

    def __init__(self, skeleton: Skeleton, people: dict[int, np.ndarray]) -> None:
        self.skeleton, self.people = skeleton, people

    def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
        return [self._of(self.people[int(frame.image[0, 0, 0]) // 20]) for frame in frames]

    def _of(self, xy: np.ndarray) -> Poses:
        ones = np.ones(xy.shape[:2])
        return Poses.untracked(xy=xy, joint_score=ones, score=np.linspace(0.9, 0.5, len(xy)))


def write(folder: Path, skeleton: Skeleton, people: dict[int, np.ndarray], crowds: dict[int, list[float]]) -> Path:
    """A COCO file and its photos, each of one colour."""
    annotations: list[dict[str, Any]] = []
    for photo, bodies in people.items():
        cv2.imwrite(str(folder / f"{photo}.png"), np.full((300, 300, 3), 20 * photo, np.uint8))
        for xy in bodies:
            low, size = xy.min(axis=0), np.ptp(xy, axis=0)
            keypoints = np.column_stack([xy, np.full(len(xy), 2.0)]).ravel().tolist()
            box = [*low.tolist(), *size.tolist()]
            annotations.append({"image_id": photo, "keypoints": keypoints, "bbox": box, "area": float(np.prod(size))})
    for photo, box in crowds.items():
        keypoints = [0.0] * (3 * len(skeleton.joints))
        annotations.append(
            {"image_id": photo, "keypoints": keypoints, "bbox": box, "area": box[2] * box[3], "iscrowd": 1}
        )
    truth = {
        "images": [{"id": photo, "file_name": f"{photo}.png", "width": 300, "height": 300} for photo in people],
        "annotations": [{**one, "id": number} for number, one in enumerate(annotations, start=1)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(skeleton.joints)}],
    }
    path = folder / "truth.json"
    path.write_text(json.dumps(truth))
    return path


def bodies(chance: np.random.Generator, count: int, joints: int) -> np.ndarray:
    return chance.uniform(20, 280, (count, 1, 2)) * 0.5 + chance.uniform(0, 120, (count, joints, 2))


def test_the_figure_is_that_of_evaluate_coco(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    people = {photo: bodies(chance, photo % 4, 17) for photo in range(1, 8)}
    path = write(tmp_path, COCO17, people, {3: [200.0, 200.0, 90.0, 90.0]})
    found = {photo: xy + chance.normal(0, 8, xy.shape) for photo, xy in people.items()}
    found[3] = np.concatenate([found[3], chance.uniform(215, 270, (1, 17, 2))])  # in the crowd
    found[4] = bodies(chance, 2, 17)  # nobody is there
    estimator = Knower(COCO17, found)
    expected = evaluate_coco(path, tmp_path, estimator).ap
    assert expected is not None
    assert 5 < expected < 95
    assert measure_photos(read_photos(path, skeleton=COCO17), estimator) == pytest.approx(expected)


def test_other_skeletons_have_a_figure_too(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    people = {photo: bodies(chance, 2, 15) for photo in (1, 2)}
    path = write(tmp_path, POSETRACK15, people, {})
    photos = read_photos(path, skeleton=POSETRACK15)
    assert measure_photos(photos, Knower(POSETRACK15, people)) == pytest.approx(100)
    far = {photo: xy + 200 for photo, xy in people.items()}
    assert measure_photos(photos, Knower(POSETRACK15, far)) == 0


def test_nobody_in_the_photos_has_no_figure(tmp_path: Path) -> None:
    nobody = {1: np.zeros((0, 15, 2))}
    photos = read_photos(write(tmp_path, POSETRACK15, nobody, {}), skeleton=POSETRACK15)
    assert measure_photos(photos, Knower(POSETRACK15, nobody)) is None


def test_what_is_missing_is_told_before_the_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dev.annotations: nothing at .*none.json"):
        DevSet(DevSettings(annotations=str(tmp_path / "none.json")), COCO17, device="cpu")
    path = write(tmp_path, COCO17, {1: np.zeros((0, 17, 2))}, {})
    with pytest.raises(InputError, match=r"dev.images: no folder at .*photos"):
        DevSet(DevSettings(annotations=str(path), images=str(tmp_path / "photos")), COCO17, device="cpu")
