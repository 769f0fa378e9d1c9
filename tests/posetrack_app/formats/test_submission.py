"""The check of submissions: a right one passes, and whatever is wrong is named."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from posetrack_app.errors import InputError, OutputError
from posetrack_app.formats import submission
from posetrack_app.formats.annotations import CATEGORY
from posetrack_app.formats.submission import check, pack

NAME = "000342_mpii_test.json"


def content(frames: int = 3, *, name: str = NAME) -> dict[str, Any]:
    """A right file: two people in each frame."""
    folder = name.removesuffix(".json")
    point = [5.0, 6.0, 1.0]
    return {
        "images": [{"file_name": f"images/val/{folder}/{n:06d}.jpg", "id": 100 + n} for n in range(frames)],
        "annotations": [
            {"image_id": 100 + n, "track_id": track, "keypoints": point * 17, "scores": [0.5] * 17}
            for n in range(frames)
            for track in (0, 999)
        ],
        "categories": [CATEGORY],
    }


def old_content(frames: int = 3) -> dict[str, Any]:
    point = {"id": [3], "x": [5.0], "y": [6.0], "score": [0.5]}
    person = {"track_id": [4], "annopoints": [{"point": [point]}]}
    return {
        "annolist": [
            {"image": [{"name": f"images/bonn/000342_mpii/{n:08d}.jpg"}], "annorect": [person, {"annopoints": []}]}
            for n in range(1, frames + 1)
        ]
    }


def archive(path: Path, files: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, inside in files.items():
            file.writestr(name, inside if isinstance(inside, bytes) else json.dumps(inside))
    return path


def the_line(path: Path, gt: Path | None = None) -> str:
    (line,) = check(path, gt=gt)
    assert "\n" not in line
    return line


def test_what_is_right_passes(tmp_path: Path) -> None:
    assert check(archive(tmp_path / "a.zip", {NAME: content()})) == []
    assert check(archive(tmp_path / "b.zip", {"000342_mpii.json": old_content()})) == []


def test_what_is_packed_passes_and_is_the_same_each_time(tmp_path: Path) -> None:
    files = [tmp_path / NAME, tmp_path / "000343_mpii_test.json"]
    for file in files:
        file.write_text(json.dumps(content(name=file.name)))
    pack(tmp_path / "a.zip", files)
    pack(tmp_path / "b.zip", files[::-1])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert check(tmp_path / "a.zip") == []
    assert not list(tmp_path.glob("*.partial*"))
    with pytest.raises(OutputError, match="cannot write"):
        pack(tmp_path / "none" / "a.zip", files)


def first(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda file: file["annotations"][0].update({key: value})


def drop(key: str, place: int) -> Callable[[dict[str, Any]], None]:
    return lambda file: file[key].pop(place) and None


def joints(names: list[str]) -> Callable[[dict[str, Any]], None]:
    return lambda file: file.update(categories=[{**CATEGORY, "keypoints": names}])


def rename(place: int, name: str) -> Callable[[dict[str, Any]], None]:
    return lambda file: file["images"][place].update(file_name=name)


def each(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda file: [person.update({key: value}) for person in file["annotations"]] and None


FIFTEEN = [name for name in CATEGORY["keypoints"] if "ear" not in name]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (first("track_id", 1000), "000000.jpg: annotations[0]: `track_id` 1000 must be 0 to 999"),
        (first("track_id", -1), "`track_id` -1 must be 0 to 999"),
        (first("track_id", 1.5), "`track_id` is no whole number"),
        (first("track_id", 999), "000000.jpg: annotations[1]: `track_id` 999 is there twice in this frame"),
        (first("scores", []), "annotations[0]: no score of 'nose'"),
        (each("scores", []), "annotations[0]: no score of 'nose': precision is ranked by the scores of joints, each "
                             "needs one (and 5 more like this)"),
        (first("scores", [0.5] * 16), "`scores` has 16 numbers"),
        (first("scores", [float("nan")] * 17), "`annotations[0].scores[0]` is no finite number"),
        (first("keypoints", [float("inf")] * 51), "`annotations[0].keypoints[0]` is no finite number"),
        (first("keypoints", [1.0] * 45), "`keypoints` has 45 numbers"),
        (first("image_id", 7), "`image_id` 7 is none of `images`"),
        (joints(FIFTEEN[1:]), "must name 'nose' once"),
        (drop("images", 1), "is none of `images`"),
        (rename(0, "images/val/000342_mpii_test/first.jpg"), "must be like images/val/000342_mpii_test/000001.jpg"),
        (rename(2, "images/val/000342_mpii_test/000004.jpg"), "2 frames are missing, the first after 000001.jpg"),
        (rename(0, "images/val/000342_mpii_test/000002.jpg"), "not in the order of their numbers"),
        (rename(0, "images/val/000343_mpii_test/000000.jpg"), "holds frames of 2 sequences"),
        (lambda file: file.update(content(name="000777_mpii_test.json")), "its frames are of 000777_mpii_test"),
        (lambda file: file.pop("images"), "missing required field `images`"),
        (lambda file: file.update(images=[], annotations=[]), "has no frames"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_named(spoil: Callable[[dict[str, Any]], None], said: str, tmp_path: Path) -> None:
    file = content()
    spoil(file)
    line = the_line(archive(tmp_path / "s.zip", {NAME: file, "000001_bonn_train.json": content(name="000001_bonn_")}))
    assert line.startswith(NAME)
    assert said in line


def test_fifteen_joints_in_their_own_order_are_right(tmp_path: Path) -> None:
    file = content()
    joints(FIFTEEN[::-1])(file)
    for person in file["annotations"]:
        person.update(keypoints=person["keypoints"][:45], scores=person["scores"][:15])
    assert check(archive(tmp_path / "s.zip", {NAME: file})) == []


def test_mistakes_of_several_kinds_are_all_named(tmp_path: Path) -> None:
    file = content()
    first("scores", [])(file)
    each("track_id", 1234)(file)
    lines = check(
        archive(tmp_path / "s.zip", {f"preds/{NAME}": file, "preds/notes.txt": b"", "__MACOSX/._x.json": b""})
    )
    assert len(lines) == 5
    for said in (
        "notes.txt, __MACOSX/._x.json",
        "preds/: 1 JSON files lie in this folder",
        "(and 5 more",
        "twice",
        "no",
    ):
        assert any(said in line for line in lines), said


def test_the_ground_truth_is_what_must_be_there(tmp_path: Path) -> None:
    gt = tmp_path / "gt"
    gt.mkdir()
    for name in (NAME, "000001_bonn_train.json", "000002_bonn_train.json", "000003_bonn_train.json"):
        (gt / name).write_text(json.dumps(content(name=name)))
    shifted = content(name="000003_bonn_train.json")
    shifted["images"].reverse()
    lines = check(
        archive(
            tmp_path / "s.zip",
            {
                NAME: content(2),
                "000001_bonn_train.json": content(4, name="000001_bonn_train.json"),
                "000003_bonn_train.json": shifted,
                "000009_bonn_train.json": content(name="000009_bonn_train.json"),
            },
        ),
        gt=gt,
    )
    assert lines == [
        "1 of 4 files are missing: 000002_bonn_train.json",
        "000009_bonn_train.json: no sequence of the ground truth has this name; take it out, or name it as there",
        f"{NAME}: 1 of 3 frames are missing: 000002.jpg",
        "000001_bonn_train.json: 1 frames are none of the ground truth: 000003.jpg",
        "000003_bonn_train.json: images[0] is 000002.jpg, the ground truth has 000000.jpg there: keep its order",
    ]


def test_frame_numbers_end_at_9999(tmp_path: Path) -> None:
    file = content()
    for place, number in enumerate((9998, 9999, 10000)):
        rename(place, f"images/val/000342_mpii_test/{number}.jpg")(file)
    assert "`file_name` images/val/000342_mpii_test/10000.jpg: must" in the_line(
        archive(tmp_path / "s.zip", {NAME: file})
    )


def test_forms_are_not_mixed(tmp_path: Path) -> None:
    both = archive(tmp_path / "s.zip", {NAME: content(), "000343_mpii.json": old_content()})
    assert "two challenges" in the_line(both)
    (tmp_path / NAME).write_text(json.dumps(content()))
    old = archive(tmp_path / "t.zip", {NAME: old_content()})
    assert "must have that of the ground truth, 2018" in the_line(old, tmp_path / NAME)


def test_old_form_is_judged_too(tmp_path: Path) -> None:
    file = json.loads(json.dumps(old_content()))  # people are not shared by the frames then
    file["annolist"][1]["annorect"][0]["track_id"] = [1000]
    del file["annolist"][2]["annorect"][0]["annopoints"][0]["point"][0]["score"]
    lines = check(archive(tmp_path / "s.zip", {"000342_mpii.json": file}))
    assert [line.partition("annorect")[0] for line in lines] == [
        "000342_mpii.json: 00000002.jpg: ",
        "000342_mpii.json: 00000003.jpg: ",
    ]


def test_what_is_no_zip(tmp_path: Path) -> None:
    path = tmp_path / "s.zip"
    path.write_bytes(b"{}")
    assert "no zip" in the_line(path)
    archive(path, {})
    assert "no JSON file is in the zip" in the_line(path)
    archive(path, {NAME: b"{"})
    assert "is not JSON" in the_line(path)
    archive(path, {NAME: b"[" * 100_000})
    assert NAME in the_line(path)
    with pytest.raises(InputError, match="does not exist"):
        check(tmp_path / "none.zip")
    with pytest.raises(InputError, match="ground truth"):
        check(path, gt=tmp_path / "none")


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "s.zip", {NAME: b" " * 300_000})
    monkeypatch.setattr(submission, "_FILE_BYTES", 200_000)
    assert "not looked into" in the_line(path)
    monkeypatch.setattr(submission, "_ALL_BYTES", 250_000)
    assert "unpacked it would be larger" in the_line(path)


def test_a_bomb_that_tells_another_size(tmp_path: Path) -> None:
    """The sizes in the directory say 10 bytes, the data unpacks to 50 million."""
    path = archive(tmp_path / "s.zip", {NAME: b" " * 50_000_000})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    assert "cannot be unpacked" in the_line(path)


def test_damaged_data(tmp_path: Path) -> None:
    path = archive(tmp_path / "s.zip", {NAME: content()})
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(data)
    assert "cannot be unpacked" in the_line(path)


def test_encrypted_and_doubled_files(tmp_path: Path) -> None:
    path = archive(tmp_path / "s.zip", {NAME: content()})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    assert "encrypted" in the_line(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(NAME, json.dumps(content()))
        file.writestr(f"a/{NAME}", json.dumps(content()))
    assert [line for line in check(path) if "more than once" in line]


def test_any_bytes_are_answered(tmp_path: Path) -> None:
    """Cut anywhere, a zip gives lines and no traceback."""
    whole = archive(tmp_path / "s.zip", {NAME: content(1)}).read_bytes()
    for end in range(0, len(whole), 7):
        (tmp_path / "cut.zip").write_bytes(whole[:end])
        assert check(tmp_path / "cut.zip")
