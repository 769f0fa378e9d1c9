"""The worst frames as pictures: the right picture, the right marks in the right places."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from posetrack_app.errors import InputError
from posetrack_app.evaluation.annotated import JOINTS
from posetrack_app.evaluation.clear_mot import follow
from posetrack_app.evaluation.posetrack import Evaluation, WorstFrame, evaluate, read_pairs
from posetrack_app.evaluation.report import report_of
from posetrack_app.evaluation.worst import WorstPicture, draw_worst, find_picture, mistakes
from posetrack_app.formats.annotations import JOINTS as NAMES
from posetrack_app.formats.posetrack import read_labelled

NOSE, KNEE = JOINTS.index("nose"), JOINTS.index("left_knee")
MISS, FALSE, SWITCH = np.array([255, 176, 32]), np.array([77, 148, 255]), np.array([255, 64, 129])
WIDTH, HEIGHT, FRAMES = 1280, 720, 3


def person(track_id: int, **joints: tuple[int, int]) -> dict[str, Any]:
    points = [[*joints.get(name, (0, 0)), int(name in joints)] for name in NAMES]
    keypoints = [number for point in points for number in point]
    return {"track_id": track_id, "keypoints": keypoints, "bbox_head": [0, 0, 30, 40]}


def write(path: Path, frames: list[list[dict[str, Any]]], video: str = "000001_mpii_test") -> None:
    path.parent.mkdir(exist_ok=True)
    images = [{"id": t, "file_name": f"images/val/{video}/{t:06d}.jpg"} for t in range(len(frames))]
    people = [{"image_id": t, **someone} for t, frame in enumerate(frames) for someone in frame]
    categories = [{"name": "person", "keypoints": list(NAMES)}]
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": categories}))


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    """Three frames; in the middle one the nose switches, the knee is missed, and somebody is made up."""
    right = {"nose": (200, 200), "left_knee": (200, 500)}
    write(tmp_path / "gt" / "one.json", [[person(4, **right)]] * FRAMES)
    wrong = [person(8, nose=(200, 200)), person(9, nose=(800, 300))]
    write(tmp_path / "pred" / "one.json", [[person(7, **right)], wrong, [person(8, **right)]])
    return evaluate(tmp_path / "gt", tmp_path / "pred", protocol="strict")


def grey(path: Path, *, width: int = WIDTH, height: int = HEIGHT, shade: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), shade, dtype=np.uint8))


def draw(evaluation: Evaluation, folder: Path, images: Path) -> tuple[list[WorstPicture], list[str]]:
    return draw_worst(evaluation.worst, folder / "gt", folder / "pred", images, protocol="strict", alone=True)


def pixels(uri: str) -> npt.NDArray[np.uint8]:
    kind, data = uri.split(",")
    assert kind == "data:image/webp;base64"
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), dtype=np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def is_there(image: npt.NDArray[np.uint8], colour: npt.NDArray[np.int64], at: tuple[int, int]) -> bool:
    """Whether this colour, as far as WebP keeps it, is near a place of the full picture."""
    x, y = at[0] // 2, at[1] // 2
    around = image[max(y - 12, 0) : y + 13, max(x - 12, 0) : x + 13].astype(int)
    return bool((np.abs(around - colour).max(axis=2) < 45).any())


def test_marks_stand_where_the_mistakes_are(evaluation: Evaluation, tmp_path: Path) -> None:
    assert evaluation.worst[0] == WorstFrame(
        3, "one", "images/val/000001_mpii_test/000001.jpg", misses=1, false_positives=1, switches=1
    )
    for t in range(FRAMES):
        grey(tmp_path / "pictures" / "val" / "000001_mpii_test" / f"{t:06d}.jpg", shade=60 + 30 * t)
    pictures, notes = draw(evaluation, tmp_path, tmp_path / "pictures")
    assert notes == []
    assert [picture.frame for picture in pictures] == evaluation.worst
    worst = pictures[0]
    truth, predicted = pixels(worst.truth), pixels(worst.predicted)
    assert truth.shape == predicted.shape == (360, 640, 3)
    assert (worst.width, worst.height) == (640, 360)
    assert abs(int(np.median(truth)) - 90) <= 2  # the picture of this frame
    assert is_there(truth, MISS, (200, 500))
    assert not is_there(truth, MISS, (200, 200))
    assert is_there(predicted, SWITCH, (200, 200))
    assert not is_there(predicted, SWITCH, (800, 300))
    assert is_there(predicted, FALSE, (800, 300))
    assert not is_there(predicted, FALSE, (200, 200))
    html = report_of(evaluation, tmp_path / "gt", tmp_path / "pred", images=tmp_path / "pictures")
    assert html.count("<img ") == 2 * len(evaluation.worst)
    assert worst.truth in html


def test_which_joints_went_wrong(evaluation: Evaluation, tmp_path: Path) -> None:
    _, _, pairs = read_pairs(tmp_path / "gt" / "one.json", tmp_path / "pred" / "one.json", "strict")
    record = follow(pairs, protocol="strict")
    wrong = mistakes(record, 1)
    assert np.argwhere(wrong.missed).tolist() == [[0, KNEE]]
    assert np.argwhere(wrong.switched).tolist() == [[0, NOSE]]
    assert np.argwhere(wrong.false).tolist() == [[1, NOSE]]
    for row in range(FRAMES):
        wrong, counts = mistakes(record, row), record.counts
        for marked, counted in (
            (wrong.missed, counts.misses), (wrong.false, counts.false_positives), (wrong.switched, counts.switches),
        ):  # fmt: skip
            assert marked.sum(axis=0).tolist() == counted[row].tolist()


def frame(name: str, sequence: str = "one") -> WorstFrame:
    return WorstFrame(1, sequence, name, 1, 0, 0)


def test_where_a_picture_lies(evaluation: Evaluation, tmp_path: Path) -> None:
    truth = read_labelled(tmp_path / "gt" / "one.json")
    name = truth.frames[1].file_name
    for place in ("a/images/val/000001_mpii_test", "b/000001_mpii_test", "c/one", "d"):
        grey(tmp_path / place / "000001.jpg")
        folder = tmp_path / place[0]
        assert find_picture(folder, truth, frame(name), alone=True) == tmp_path / place / "000001.jpg"
    assert find_picture(tmp_path / "d", truth, frame(name), alone=False) is None  # whose 000001 is it?
    # A folder of another name that begins with the video's number, where it is the only one.
    numbered = replace(frame(name), sequence="000001_mpii_test")
    grey(tmp_path / "f" / "000001979" / "000001.jpg")
    assert find_picture(tmp_path / "f", truth, numbered, alone=False) == tmp_path / "f" / "000001979" / "000001.jpg"
    (tmp_path / "f" / "000001980").mkdir()
    assert find_picture(tmp_path / "f", truth, numbered, alone=False) is None
    # Other names: their order tells, where there are as many pictures as frames.
    for t in range(FRAMES):
        grey(tmp_path / "e" / f"{t + 5:03d}.png")
    (tmp_path / "e" / "notes.txt").write_text("no picture")
    assert find_picture(tmp_path / "e", truth, frame(name), alone=True) == tmp_path / "e" / "006.png"
    grey(tmp_path / "e" / "999.png")
    assert find_picture(tmp_path / "e", truth, frame(name), alone=True) is None


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "x/../../secret.jpg", "/secret.jpg", "..\\secret.jpg", "", "\0", "a" * 5000, "{here}"]
)
def test_never_outside_of_the_folder(name: str, evaluation: Evaluation, tmp_path: Path) -> None:
    grey(tmp_path / "secret.jpg")
    (tmp_path / "pictures").mkdir()
    truth = read_labelled(tmp_path / "gt" / "one.json")
    hostile = name.replace("{here}", str(tmp_path / "secret.jpg"))
    found = find_picture(tmp_path / "pictures", truth, frame(hostile, sequence="one"), alone=True)
    assert found is None


def test_what_is_missing_is_said(evaluation: Evaluation, tmp_path: Path) -> None:
    images = tmp_path / "pictures" / "one"
    grey(images / "000001.jpg", width=30, height=900)  # high and narrow, smaller than the people in it
    (images / "000002.jpg").write_bytes(b"no picture")
    pictures, notes = draw(evaluation, tmp_path, tmp_path / "pictures")
    assert [(picture.width, picture.height) for picture in pictures] == [(21, 640)]
    assert len(evaluation.worst) == 2
    assert notes[0].startswith("one of the worst frames has no picture in ")
    assert draw(evaluation, tmp_path, tmp_path / "gt")[0] == []
    with pytest.raises(InputError, match="none is not there; --images must be a folder"):
        draw(evaluation, tmp_path, tmp_path / "none")
    with pytest.raises(InputError, match=r"one\.json is no folder"):
        draw(evaluation, tmp_path, tmp_path / "gt" / "one.json")
