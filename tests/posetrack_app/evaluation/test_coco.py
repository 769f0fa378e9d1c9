"""COCO AP: truth against itself is perfect, and what a user can get wrong is told in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models.skeleton import COCO17, POSETRACK15
from posetrack_app.errors import InputError, UsageError, UserError
from posetrack_app.evaluation import coco
from posetrack_app.evaluation.coco import average_precision, evaluate_coco, read_truth, to_results
from posetrack_app.formats.photos import read_photo
from posetrack_app.types import Frame, Poses

pytest.importorskip("pycocotools")

_BODY = np.array(
    [(0, 0), (4, -4), (-4, -4), (9, 0), (-9, 0), (18, 26), (-18, 26), (27, 50), (-27, 50), (27, 74), (-27, 74),
     (11, 78), (-11, 78), (12, 118), (-12, 118), (13, 156), (-13, 156)], dtype=float,
)  # fmt: skip


class Knower:
    """Stands in for the network: knows the people by the colour of the photo."""

    skeleton = COCO17

    def __init__(self, people: dict[int, np.ndarray]) -> None:
        self.people = people
        self.seen: list[int] = []

    def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
        found = []
        for frame in frames:
            photo = int(frame.image[0, 0, 0]) // 50
            self.seen.append(photo)
            keypoints = self.people[photo]
            found.append(
                Poses.untracked(
                    xy=keypoints[..., :2], joint_score=keypoints[..., 2], score=np.linspace(0.9, 0.5, len(keypoints))
                )
            )
        return found


def keypoints(*places: tuple[float, float, float]) -> np.ndarray:
    """(N, 17, 3): people by the place of the nose and their size."""
    people = [np.column_stack([_BODY * size + [x, y], np.ones(17)]) for x, y, size in places]
    return np.array(people).reshape(-1, 17, 3)


PEOPLE = {1: keypoints((60, 40, 1.0), (150, 60, 0.8)), 2: keypoints((100, 30, 1.2)), 3: keypoints()}


def write(folder: Path, people: dict[int, np.ndarray] = PEOPLE, **changes: Any) -> Path:
    """Photos of one colour each, in a folder `photos`, and a truth file with people in them."""
    (folder / "photos" / "a").mkdir(parents=True)
    images, annotations = [], []
    for photo, persons in people.items():
        name = f"a/{photo}.png"
        picture = np.zeros((240, 320, 3), dtype=np.uint8)
        picture[..., 2] = photo * 50  # red, as OpenCV writes it
        cv2.imwrite(str(folder / "photos" / name), picture)
        images.append({"id": photo, "file_name": name, "width": 320, "height": 240})
        for person in persons:
            low, high = person[:, :2].min(axis=0), person[:, :2].max(axis=0)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": photo, "category_id": 1, "iscrowd": 0,
                    "keypoints": np.where([True, True, False], person, 2).ravel().tolist(), "num_keypoints": 17,
                    "bbox": [*low, *(high - low)], "area": float(np.prod(high - low)) * 0.6,
                }
            )  # fmt: skip
    path = folder / "truth.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [], **changes}))
    return path


def test_truth_against_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    knower = Knower(PEOPLE)
    report = evaluate_coco(write(tmp_path), tmp_path / "photos", knower)
    assert knower.seen == [1, 2, 3]
    assert report.photos == 3
    assert report.seconds_per_photo > 0
    for value in (report.ap, report.ap50, report.ap75, report.ar):
        assert value == pytest.approx(100)
    assert capsys.readouterr().out == "", "pycocotools talks, but not here"


def test_sizes_that_nobody_has_are_none(tmp_path: Path) -> None:
    people = {1: keypoints((40, 20, 0.5))}  # 82 x 27 pixels: medium
    report = evaluate_coco(write(tmp_path, people), tmp_path / "photos", Knower(people))
    assert report.ap_medium == pytest.approx(100)
    assert report.ap_large is None
    assert "-" in report.table().split("\n")[1].split()


def test_the_figures_are_those_of_pycocotools_from_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same people through files, as the reference's own example reads them."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(0)
    truth_file = write(tmp_path)
    json_truth = json.loads(truth_file.read_text())
    json_truth["categories"] = [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}]
    (tmp_path / "full.json").write_text(json.dumps(json_truth))
    results = []
    for photo, persons in PEOPLE.items():
        found = persons.copy()
        found[..., :2] += rng.normal(0, 5, found[..., :2].shape)
        stray = keypoints((200, 50, 0.7))
        found = np.concatenate([found, stray])
        results += to_results(
            Poses.untracked(xy=found[..., :2], joint_score=found[..., 2], score=rng.random(len(found))), photo
        )
    (tmp_path / "results.json").write_text(json.dumps(results))
    reference = COCO(str(tmp_path / "full.json"))
    measure = COCOeval(reference, reference.loadRes(str(tmp_path / "results.json")), "keypoints")
    measure.evaluate()
    measure.accumulate()
    measure.summarize()
    capsys.readouterr()
    ours = average_precision(read_truth(truth_file), results)
    expected = [None if value < 0 else 100 * value for value in measure.stats[:6]]
    assert ours == pytest.approx(expected)
    assert 10 < (ours[0] or 0) < 95


def test_people_who_are_not_in_the_photos_cost(tmp_path: Path) -> None:
    truth = write(tmp_path)
    stray = {**PEOPLE, 3: keypoints((50, 50, 1.0))}
    assert (evaluate_coco(truth, tmp_path / "photos", Knower(stray)).ap or 0) < 100
    nobody = dict.fromkeys(PEOPLE, keypoints())
    assert evaluate_coco(truth, tmp_path / "photos", Knower(nobody)).ap == 0


def test_no_people_in_the_truth(tmp_path: Path) -> None:
    people = {1: keypoints()}
    report = evaluate_coco(write(tmp_path, people), tmp_path / "photos", Knower(people))
    assert report.ap is None
    assert report.ar is None


def test_joints_not_found_are_zero() -> None:
    found = keypoints((60, 40, 1.0))
    found[0, 3:, 2] = 0
    (result,) = to_results(Poses.untracked(xy=found[..., :2], joint_score=found[..., 2], score=[0.5]), 7)
    numbers = np.array(result["keypoints"]).reshape(17, 3)
    assert (numbers[3:] == 0).all()
    np.testing.assert_allclose(numbers[:3], found[0, :3])
    assert result["bbox"] == pytest.approx([56, 36, 8, 4])
    assert result["image_id"] == 7


def test_photos_are_found_below_the_folder_or_beside_their_names(tmp_path: Path) -> None:
    truth = write(tmp_path)
    for folder in ("photos", "photos/a"):
        assert evaluate_coco(truth, tmp_path / folder, Knower(PEOPLE)).photos == 3


def test_photos_that_are_missing_are_named(tmp_path: Path) -> None:
    truth = write(tmp_path)
    (tmp_path / "photos/a/2.png").unlink()
    with pytest.raises(InputError, match=r"1 of 3 photos are not in .*photos: a/2.png; --images"):
        evaluate_coco(truth, tmp_path / "photos", Knower(PEOPLE))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_a_photo_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    truth = write(tmp_path)
    (tmp_path / "photos/a/2.png").write_bytes(content)
    with pytest.raises(InputError, match=r"2.png cannot be read"):
        evaluate_coco(truth, tmp_path / "photos", Knower(PEOPLE))


def test_the_stored_pixels_count_whatever_exif_says(tmp_path: Path) -> None:
    _, encoded = cv2.imencode(".jpg", np.zeros((20, 30, 3), dtype=np.uint8))
    jpeg = encoded.tobytes()
    # Orientation 6, "turn right", as a camera held upright writes it.
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    exif = b"Exif\x00\x00" + tiff
    path = tmp_path / "turned.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    assert cv2.imread(str(path)).shape == (30, 20, 3), "OpenCV does see the orientation"
    assert read_photo(path).image.shape == (20, 30, 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no file of COCO keypoints"),
        ("[]", "no file of COCO keypoints"),
        ('{"images": []}', "annotations"),
        ('{"images": [], "annotations": []}', "names no photos"),
        ('{"images": [{"id": 1}], "annotations": []}', "file_name"),
        (
            '{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}], "annotations": []}',
            "2 photos of id 1",
        ),
    ],
)
def test_a_truth_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "truth.json"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        read_truth(path)
    assert "truth.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("change", "said"), [({"keypoints": [1, 2, 3]}, "3 numbers"), ({"image_id": 9}, "photo 9")])
def test_an_annotation_that_does_not_fit(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    truth = json.loads(write(tmp_path).read_text())
    truth["annotations"][1] |= change
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(truth))
    with pytest.raises(InputError, match=f"annotation 2 .*{said}"):
        read_truth(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_truth(tmp_path / "absent.json")


def test_another_skeleton_is_refused(tmp_path: Path) -> None:
    knower = Knower(PEOPLE)
    knower.skeleton = POSETRACK15
    with pytest.raises(UsageError, match=r"posetrack15.*coco17"):
        evaluate_coco(write(tmp_path), tmp_path / "photos", knower)


def test_without_pycocotools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(UserError, match=r"pip install 'posetrack-app\[coco\]'"):
        evaluate_coco(write(tmp_path), tmp_path / "photos", Knower(PEOPLE))


def test_the_command(tmp_path: Path) -> None:
    truth, out = write(tmp_path), tmp_path / "figures.json"
    command = [sys.executable, "-m", "posetrack_app", "evaluate", "coco", "--gt", truth, "--images"]
    common = {"capture_output": True, "text": True, "check": False, "timeout": 120}
    done = subprocess.run([*command, tmp_path / "photos", "--json", out, "--short-side", "64"], **common)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.split()[:3] == ["AP", "AP50", "AP75"]
    figures = json.loads(out.read_text())
    assert list(figures) == [field.name for field in fields(coco.CocoReport)]
    assert figures["ap"] == 0, "one colour is nobody"
    assert figures["photos"] == 3
    done = subprocess.run([*command, tmp_path], **common)
    assert done.returncode == 1
    assert done.stderr.startswith("error: 3 of 3 photos are not in")
    assert done.stderr.count("\n") == 1


def test_first_weights_on_photos(shared: Path) -> None:
    """A dozen photos are no measure, but below 20 the network or its decoder is out of order."""
    from posetrack_app.estimator import PoseEstimator

    truth = json.loads((shared / "data/people/dev.json").read_text())
    chosen = {image["id"] for image in truth["images"][:12]}
    truth["images"] = [image for image in truth["images"] if image["id"] in chosen]
    people = coco.CocoTruth(
        images=[coco.Photo(id=image["id"], file_name=image["file_name"]) for image in truth["images"]],
        annotations=[
            coco.Person(**{key: a[key] for key in ("id", "image_id", "area", "bbox", "keypoints", "iscrowd")})
            for a in truth["annotations"]
            if a["image_id"] in chosen
        ],
    )
    estimator = PoseEstimator(device="cpu", precision="float32", short_side=256)
    results = []
    for photo, path in zip(people.images, coco._find_photos(people, shared / "data/people"), strict=True):
        results += to_results(estimator.estimate([read_photo(path)])[0], photo.id)
    assert (average_precision(people, results)[0] or 0) > 20
