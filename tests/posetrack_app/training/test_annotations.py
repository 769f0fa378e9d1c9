"""Reading labelled photos: what counts as known, unknown and absent, in each form; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models.skeleton import COCO17, POSETRACK15
from posetrack_app.errors import InputError
from posetrack_app.training.annotations import read_photos
from posetrack_app.training.photos import LabelledPhoto

FACE = [COCO17.index(name) for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]
POSETRACK17 = [*POSETRACK15.joints[:3], "left_ear", "right_ear", *POSETRACK15.joints[3:]]


def _keypoints(places: dict[str, tuple[float, float]], names: tuple[str, ...] | list[str]) -> list[float]:
    return [number for name in names for number in ((*places[name], 2) if name in places else (0, 0, 0))]


def _body(left: float, top: float, *, without: tuple[str, ...] = ()) -> dict[str, tuple[float, float]]:
    """Every joint of any skeleton at a place of its own."""
    names = dict.fromkeys([*COCO17.joints, *POSETRACK17])
    return {name: (left + n, top + 2 * n) for n, name in enumerate(names) if name not in without}


def _write(
    folder: Path, annotations: list[dict[str, Any]], *, names: tuple[str, ...] | list[str] = COCO17.joints, **image: Any
) -> Path:
    """A file with one photo of 120 x 90 pixels."""
    cv2.imwrite(str(folder / "a.png"), np.zeros((90, 120, 3), dtype=np.uint8))
    content = {
        "images": [{"id": 7, "file_name": "a.png", "width": 120, "height": 90, **image}],
        "annotations": [{"id": 40 + n, "image_id": 7, **annotation} for n, annotation in enumerate(annotations)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(names)}],
    }
    path = folder / "labels.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _photo(path: Path) -> LabelledPhoto:
    (photo,) = read_photos(path, skeleton=COCO17)
    return photo


def test_photo_without_people_is_background(tmp_path: Path) -> None:
    photo = _photo(_write(tmp_path, [], source="wood"))
    assert (photo.path, photo.width, photo.height, photo.source) == (tmp_path / "a.png", 120, 90, "wood")
    assert photo.xy.shape == (0, 17, 2)
    assert photo.boxes.shape == (0, 4)
    assert photo.discs.shape == (0, 3)
    assert photo.disc_joints.shape == (0, 17)


def test_joint_that_a_human_left_out_is_unknown_in_the_box(tmp_path: Path) -> None:
    body = _body(10, 10, without=("left_wrist",))
    person = {"keypoints": _keypoints(body, COCO17.joints), "bbox": [10, 10, 40, 60], "area": 900}
    photo = _photo(_write(tmp_path, [person, {"keypoints": _keypoints(_body(30, 5), COCO17.joints), "area": 1}]))
    wrist = COCO17.index("left_wrist")
    assert photo.labelled[0].sum() == 16
    assert not photo.labelled[0, wrist]
    assert photo.xy[0, 0].tolist() == [10, 10]
    assert photo.area.tolist() == [900, 1]
    # Grown by a tenth of its sides each way.
    assert photo.boxes.tolist() == [[6, 4, 54, 76]]
    assert np.flatnonzero(photo.box_joints[0]).tolist() == [wrist]


@pytest.mark.parametrize("person", [{"iscrowd": 1, "keypoints": [1] * 51}, {"keypoints": [0] * 51}, {"keypoints": []}])
def test_crowd_and_people_without_joints_are_unknown(tmp_path: Path, person: dict[str, Any]) -> None:
    photo = _photo(_write(tmp_path, [{**person, "bbox": [20, 30, 50, 40]}]))
    assert len(photo.xy) == 0
    left, top, right, bottom = photo.boxes[0].tolist()
    assert left <= 20
    assert top <= 30
    assert (right, bottom) == (70, 70)
    assert photo.box_joints.all()


def test_machine_labels(tmp_path: Path) -> None:
    """What a machine does not see is absent; what it is unsure of is unknown around the place that it names."""
    body = _body(10, 10, without=("left_wrist", "left_ankle"))
    wrist, ankle = COCO17.index("left_wrist"), COCO17.index("left_ankle")
    person = {
        "keypoints": _keypoints(body, COCO17.joints),
        "bbox": [10, 10, 40, 60],
        "area": 400,
        "label": "machine",
        "uncertain": [[wrist, 50, 60]],
    }
    others = {"keypoints": _keypoints(_body(0, 0), COCO17.joints), "bbox": [0, 0, 20, 40], "label": "machine"}
    photo = _photo(_write(tmp_path, [person, others]))
    assert len(photo.boxes) == 0
    (x, y, radius) = photo.discs[0].tolist()
    assert (x, y) == (50, 60)
    assert 2 <= radius <= 10  # a share of the person's 20 pixels
    assert np.flatnonzero(photo.disc_joints[0]).tolist() == [wrist]
    assert not photo.labelled[0, ankle]


def test_faces_by_machine(tmp_path: Path) -> None:
    """Sure joints of a face are labels, unsure ones unknown in the head's box only, those elsewhere not believed."""
    body = _body(10, 30, without=tuple(COCO17.joints[k] for k in FACE))
    face = [[32, 12, 0.6], [34, 10, 0.26], [30, 10, 0.24], [100, 80, 0.9], [28, 11, 0.25]]
    person = {
        "keypoints": _keypoints(body, COCO17.joints),
        "bbox": [10, 5, 40, 80],
        "head_region": [25, 5, 20, 10],
        "machine_face": face,
    }
    photo = _photo(_write(tmp_path, [person]))
    assert photo.labelled[0, FACE].tolist() == [True, True, False, False, True]
    assert photo.xy[0, 0].tolist() == [32, 12]
    assert np.flatnonzero(photo.box_joints[0]).tolist() == [COCO17.index("right_eye"), COCO17.index("left_ear")]
    np.testing.assert_allclose(photo.boxes, [[23, 4, 47, 16]])
    # One more demanding: fewer labels.
    (strict,) = read_photos(tmp_path / "labels.json", skeleton=COCO17, face_score=0.5)
    assert strict.labelled[0, FACE].sum() == 1


def test_coco_for_another_skeleton(tmp_path: Path) -> None:
    """What both have is matched by name; what COCO does not have is unknown in the box, also of a machine's people."""
    person = {"keypoints": _keypoints(_body(10, 10), COCO17.joints), "bbox": [10, 10, 20, 40], "label": "machine"}
    (photo,) = read_photos(_write(tmp_path, [person]), skeleton=POSETRACK15)
    missing = [POSETRACK15.index("head_bottom"), POSETRACK15.index("head_top")]
    assert np.flatnonzero(~photo.labelled[0]).tolist() == missing
    assert np.flatnonzero(photo.box_joints[0]).tolist() == missing
    for joint, name in enumerate(POSETRACK15.joints):
        if joint not in missing:
            assert photo.xy[0, joint].tolist() == list(_body(10, 10)[name])


def test_posetrack_form(tmp_path: Path) -> None:
    """Sizes come from the pictures; ignore regions are boxes; ears are in no file, and unknown in the head's box."""
    body = _body(30, 30, without=("left_ear", "right_ear"))
    person = {
        "track_id": 3,
        "keypoints": _keypoints(body, POSETRACK17),
        "bbox": [25, 25, 40, 50],
        "bbox_head": [30, 30, 10, 10],
        "scores": [],
    }
    regions: dict[str, Any] = {"ignore_regions_x": [[1, 9, 5], []], "ignore_regions_y": [[2, 3, 8], []]}
    path = _write(tmp_path, [person], names=POSETRACK17, width=0, height=0, **regions)
    (photo,) = read_photos(path, skeleton=POSETRACK15)
    assert (photo.width, photo.height) == (120, 90)
    assert photo.labelled.all()
    assert photo.boxes.tolist() == [[1, 2, 9, 8]]
    assert photo.box_joints.all()
    assert photo.area[0] > 0
    (photo,) = read_photos(path, skeleton=COCO17)
    assert photo.boxes.tolist() == [[1, 2, 9, 8], [29, 29, 41, 41]]
    assert [COCO17.joints[k] for k in np.flatnonzero(photo.box_joints[1])] == [COCO17.joints[k] for k in FACE[1:]]


def test_folder_of_files_and_frames_without_labels(tmp_path: Path) -> None:
    """Photos of all files, in order; frames that nobody labelled are no photos of nobody."""
    images = tmp_path / "images"
    (images / "clip").mkdir(parents=True)
    for name in ("000000.png", "000001.png"):
        cv2.imwrite(str(images / "clip" / name), np.zeros((20, 30, 3), dtype=np.uint8))
    for name in ("b.json", "a.json"):
        frames = [
            {"id": n, "file_name": f"val/clip/00000{n}.png", "is_labeled": n == int(name == "b.json")} for n in (0, 1)
        ]
        category = {"name": "person", "keypoints": POSETRACK17}
        content = {"images": frames, "annotations": [], "categories": [category]}
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    photos = read_photos(tmp_path, images, skeleton=POSETRACK15)
    assert [photo.path.name for photo in photos] == ["000000.png", "000001.png"]
    assert (photos[0].width, photos[0].height) == (30, 20)


def test_joints_outside_the_photo_are_no_labels(tmp_path: Path) -> None:
    body = {**_body(10, 10), "nose": (119.4, 89.4), "left_eye": (119.6, 5), "right_eye": (-0.6, 5)}
    photo = _photo(_write(tmp_path, [{"keypoints": _keypoints(body, COCO17.joints), "bbox": [0, 0, 9, 9]}]))
    assert np.flatnonzero(~photo.labelled[0]).tolist() == [1, 2]
    assert photo.beyond == 2


@pytest.mark.parametrize(
    ("person", "says"),
    [
        ({"keypoints": [1] * 50}, "annotation 40 has 50 numbers in `keypoints`, for 17 joints it needs 51"),
        ({"image_id": 8}, "annotation 40 is of photo 8, which `images` does not name"),
        ({"bbox": [1, 2, 3]}, "annotation 40 has 3 numbers in `bbox`, it needs 4"),
        ({"uncertain": [[17, 1, 1]]}, "annotation 40 has joint 17 in `uncertain`"),
        ({"machine_face": [[1, 1, 1]]}, "annotation 40 has 1 joints in `machine_face`"),
        ({"keypoints": "nose"}, "annotations[0].keypoints"),
    ],
)
def test_broken_annotation_is_named(tmp_path: Path, person: dict[str, Any], says: str) -> None:
    path = _write(tmp_path, [person])
    with pytest.raises(InputError) as raised:
        read_photos(path, skeleton=COCO17)
    assert says in str(raised.value)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_broken_files_are_named(tmp_path: Path) -> None:
    path = _write(tmp_path, [], file_name="b.png")
    with pytest.raises(InputError, match=r"labels\.json: photo 7, b\.png, is not in .*--images"):
        read_photos(path, skeleton=COCO17)
    _write(tmp_path, [], names=["tail"])
    with pytest.raises(InputError, match="names no joint of coco17"):
        read_photos(path, skeleton=COCO17)
    _write(tmp_path, [], ignore_regions_x=[[1, 2]], ignore_regions_y=[])
    with pytest.raises(InputError, match="image 7: `ignore_regions_x` and `ignore_regions_y` differ"):
        read_photos(path, skeleton=COCO17)
    _write(tmp_path, [], width=0)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"photo .*a\.png cannot be read as a picture"):
        read_photos(path, skeleton=COCO17)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="is not JSON"):
        read_photos(path, skeleton=COCO17)
    with pytest.raises(InputError, match="does not exist"):
        read_photos(tmp_path / "none.json", skeleton=COCO17)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no JSON file"):
        read_photos(tmp_path / "empty", skeleton=COCO17)


def test_real_photos(shared: Path) -> None:
    """Every joint that a human labelled in a part of COCO is there, at its place."""
    path = shared / "data" / "people" / "dev.json"
    if not path.is_file():
        pytest.skip(f"no {path}")
    photos = read_photos(path, skeleton=COCO17)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert len(photos) == len(content["images"])
    said = {
        (photo["file_name"].rpartition("/")[2], *person["keypoints"][3 * k : 3 * k + 2], k)
        for photo in content["images"]
        for person in content["annotations"]
        for k in range(17)
        if person["image_id"] == photo["id"] and not person["iscrowd"] and person["keypoints"][3 * k + 2]
    }
    read = {
        (photo.path.name, *photo.xy[n, k].tolist(), k)
        for photo in photos
        for n, k in np.argwhere(photo.labelled).tolist()
    }
    assert read == said
