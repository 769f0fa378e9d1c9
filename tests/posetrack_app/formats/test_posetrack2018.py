"""PoseTrack2018 JSON: what is written is what the official form asks for, streamed, and comes back."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.skeleton import COCO17, POSETRACK15, Skeleton
from posetrack_app.errors import InputError, OutputError
from posetrack_app.formats.annotations import JOINTS
from posetrack_app.formats.posetrack2018 import PoseTrack2018Writer, read
from posetrack_app.types import Poses

# As in the official files (categories[0] of 003418_mpii_test.json).
OFFICIAL = [
    "nose", "head_bottom", "head_top", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
]  # fmt: skip


def people(count: int, seed: int = 0, *, skeleton: Skeleton = COCO17, missing: float = 0.2) -> Poses:
    random = np.random.default_rng(seed)
    joints = len(skeleton.joints)
    score = random.uniform(0.01, 1, (count, joints)) * (random.random((count, joints)) >= missing)
    poses = Poses.untracked(
        xy=random.normal(300, 200, (count, joints, 2)) * (score > 0)[..., None],
        joint_score=score,
        score=random.random(count),
    )
    return poses.with_tracks(random.permutation(1000)[:count])


def write(path: Path, frames: list[Poses], *, video: str = "clip", skeleton: Skeleton = COCO17) -> dict[str, Any]:
    writer = PoseTrack2018Writer(path, video=video, skeleton=skeleton)
    for index, poses in enumerate(frames):
        writer.add(index, None, poses)
    writer.close()
    content: dict[str, Any] = json.loads(path.read_text())
    return content


@settings(max_examples=20, deadline=None)
@given(counts=st.lists(st.integers(0, 12), max_size=20), skeleton=st.sampled_from([COCO17, POSETRACK15]))
def test_what_is_written_comes_back(
    counts: list[int], skeleton: Skeleton, tmp_path_factory: pytest.TempPathFactory
) -> None:
    frames = [people(count, seed, skeleton=skeleton) for seed, count in enumerate(counts)]
    path = tmp_path_factory.mktemp("json") / "poses.json"
    write(path, frames, skeleton=skeleton)
    back = read(path)
    assert len(back) == len(frames)
    for frame, poses in zip(back, frames, strict=True):
        np.testing.assert_array_equal(frame.track_id, poses.track_id)
        for row, joint in enumerate(skeleton.joints):
            if joint not in JOINTS:
                continue  # the eyes of COCO17
            column = JOINTS.index(joint)
            np.testing.assert_array_equal(frame.found[:, column], poses.joint_score[:, row] > 0)
            np.testing.assert_allclose(frame.xy[:, column], poses.xy[:, row], atol=0.006)
            np.testing.assert_allclose(frame.score[:, column], poses.joint_score[:, row], atol=6e-5)


def test_posetrack15_passes_through_and_reads_as_poses(tmp_path: Path) -> None:
    poses = people(4, skeleton=POSETRACK15)
    write(tmp_path / "poses.json", [poses], skeleton=POSETRACK15)
    (frame,) = read(tmp_path / "poses.json")
    again = frame.poses()
    np.testing.assert_allclose(again.xy, poses.xy, atol=0.006)
    np.testing.assert_allclose(again.joint_score, poses.joint_score, atol=6e-5)
    np.testing.assert_array_equal(again.track_id, poses.track_id)
    assert not frame.found[:, [JOINTS.index("left_ear"), JOINTS.index("right_ear")]].any()


def test_every_field_is_as_in_official_predictions(tmp_path: Path) -> None:
    poses = people(3, missing=0)
    content = write(tmp_path / "poses.json", [poses, Poses.empty(17)], video="003418_mpii_test")
    assert content.keys() == {"images", "annotations", "categories"}
    (category,) = content["categories"]
    assert (category["id"], category["name"], category["keypoints"]) == (1, "person", OFFICIAL)
    assert len(category["skeleton"]) == 19
    assert content["images"][1] == {
        "file_name": "images/003418_mpii_test/000001.jpg",
        "id": 10034180001,
        "frame_id": 10034180001,
        "vid_id": "003418",
        "is_labeled": True,
        "nframes": 2,
    }
    assert len({annotation["id"] for annotation in content["annotations"]}) == 3
    for row, annotation in enumerate(content["annotations"]):
        assert annotation["image_id"] == 10034180000
        assert annotation["category_id"] == 1
        assert annotation["track_id"] == poses.track_id[row]
        assert len(annotation["scores"]) == 17
        points = np.array(annotation["keypoints"]).reshape(17, 3)
        assert (points[:, 2] == 1).all()
        knee = points[OFFICIAL.index("left_knee")]
        np.testing.assert_allclose(knee[:2], poses.xy[row, COCO17.index("left_knee")], atol=0.006)
        x, y, width, height = annotation["bbox"]
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        np.testing.assert_allclose([x + width / 2, y + height / 2], (low + high) / 2, atol=0.03)
        np.testing.assert_allclose([width, height], 1.3 * (high - low), atol=0.03)


def test_missing_joints_are_zeros(tmp_path: Path) -> None:
    poses = people(5, missing=0.5)
    content = write(tmp_path / "poses.json", [poses])
    for annotation in content["annotations"]:
        points, scores = np.array(annotation["keypoints"]).reshape(17, 3), np.array(annotation["scores"])
        assert not points[scores == 0].any()
        assert (points[scores > 0, 2] == 1).all()


def test_people_without_identity_are_left_out(tmp_path: Path) -> None:
    poses = people(4).with_tracks([7, -1, 3, -1])
    content = write(tmp_path / "poses.json", [poses])
    assert [annotation["track_id"] for annotation in content["annotations"]] == [7, 3]


def test_an_unsure_joint_stays_found_and_a_person_without_joints_has_no_box(tmp_path: Path) -> None:
    poses = people(2, missing=0)
    score = np.stack([np.full(17, 1e-6), np.zeros(17)])
    poses = Poses.untracked(xy=poses.xy, joint_score=score, score=[1, 1]).with_tracks([0, 1])
    content = write(tmp_path / "poses.json", [poses])
    unsure, nothing = content["annotations"]
    assert min(unsure["scores"]) > 0
    assert nothing["bbox"] == [0, 0, 0, 0]
    assert not any(nothing["keypoints"])


def test_names_of_pictures_give_names_and_numbers_of_frames(tmp_path: Path) -> None:
    names = ["000007.jpg", "000009.png", "last.jpg", None, "000002.jpg"]
    writer = PoseTrack2018Writer(tmp_path / "poses.json", video="000342_bonn_x", skeleton=COCO17)
    for index, name in enumerate(names):
        writer.add(index, name, Poses.empty(17))
    writer.close()
    frames = read(tmp_path / "poses.json")
    assert [frame.file_name.rsplit("/", 1)[1] for frame in frames] == [*names[:3], "000003.jpg", "000002.jpg"]
    assert [frame.image_id - 20003420000 for frame in frames] == [7, 9, 10, 11, 12]  # they rise, so none comes twice


def test_no_frames_and_an_interrupted_video_are_complete_files(tmp_path: Path) -> None:
    assert write(tmp_path / "none.json", [])["images"] == []
    writer = PoseTrack2018Writer(tmp_path / "poses.json", video="clip", skeleton=COCO17)
    writer.add(0, None, people(3))
    writer.abort()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["none.json", "poses.partial.json"]
    (frame,) = read(tmp_path / "poses.partial.json")
    assert len(frame) == 3
    writer.abort()  # again changes nothing
    assert len(read(tmp_path / "poses.partial.json")) == 1


def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    poses = people(10)
    writer = PoseTrack2018Writer(tmp_path / "poses.json", video="clip", skeleton=COCO17)
    tracemalloc.start()
    for index in range(500):
        writer.add(index, None, poses)
    writer.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (tmp_path / "poses.json").stat().st_size / 10


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*poses\.partial\.json: No such file"):
        PoseTrack2018Writer(tmp_path / "no" / "poses.json", video="c", skeleton=COCO17)


def _file() -> dict[str, Any]:
    region = {"ignore_regions_x": [[0, 9, 9]], "ignore_regions_y": [[0, 0, 9]]}
    return {
        "images": [
            {"id": 3, "file_name": "images/a/000003.jpg", **region},
            {"id": 4, "file_name": "images/a/000004.jpg", "is_labeled": False},
        ],
        "annotations": [
            {"image_id": 3, "track_id": 0, "keypoints": [0, 0, 0, *[1.5, 2, 1] * 16], "bbox_head": [1, 2, 3, 4]},
            {"image_id": 3, "track_id": 5, "keypoints": [0, 0, 1, *[0] * 48], "scores": [0.5] * 17},
        ],
        "categories": [{"name": "person", "keypoints": OFFICIAL}],
    }  # fmt: skip


def test_ground_truth_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(_file()))
    first, second = read(tmp_path / "a.json")
    assert (len(first), len(second)) == (2, 0)
    assert (first.is_labelled, second.is_labelled) == (True, False)
    assert first.track_id.tolist() == [0, 5]
    assert first.found[0].tolist() == [False] + [True] * 16
    assert first.found[1].tolist() == [True] + [False] * 16  # a joint at 0, 0 whose flag is 1
    assert np.isnan(first.score[0]).all()
    assert (first.score[1] == 0.5).all()
    assert first.head_box[0].tolist() == [1, 2, 4, 6]
    assert np.isnan(first.head_box[1]).all()
    (region,) = first.ignore_regions
    assert region.tolist() == [[0, 0], [9, 0], [9, 9]]


def test_fifteen_joints_in_another_order_and_odd_points(tmp_path: Path) -> None:
    names = [name for name in reversed(OFFICIAL) if "ear" not in name]
    points = np.zeros((15, 3))
    points[names.index("nose")] = 0, 0, 1  # a joint at the origin
    points[names.index("left_knee")] = 0, 7, 0  # a joint, whatever its flag
    person = {"image_id": 3, "track_id": 1.0, "keypoints": points.ravel().tolist(), "scores": list(range(15))}
    content = _file() | {"annotations": [person], "categories": [{"name": "person", "keypoints": names}]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    frame, _ = read(tmp_path / "a.json")
    found = [OFFICIAL.index("nose"), OFFICIAL.index("left_knee")]
    assert frame.found[0].nonzero()[0].tolist() == found
    assert frame.xy[0, found].tolist() == [[0, 0], [0, 7]]
    assert frame.score[0, found].tolist() == [names.index("nose"), names.index("left_knee")]
    assert np.isnan(frame.score[0, [OFFICIAL.index("left_ear"), OFFICIAL.index("right_ear")]]).all()


def _break(change: Callable[[dict[str, Any]], object]) -> str:
    content = _file()
    change(content)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is not PoseTrack2018 JSON: expected `object`, got `array`"),
        (_break(lambda c: c["annotations"][1].pop("track_id")), r"required field `track_id`, at `annotations\[1\]`"),
        (_break(lambda c: c["annotations"][1].update(track_id="a")), r"got `str`, at `annotations\[1\]\.track_id`"),
        (_break(lambda c: c["annotations"][1]["keypoints"].pop()), r"annotations\[1\] \(track 5\): `keypoints` has 50"),
        (_break(lambda c: c["annotations"][1]["scores"].pop()), r"annotations\[1\] .*`scores` has 16 numbers"),
        (_break(lambda c: c["annotations"][0]["bbox_head"].pop()), r"annotations\[0\] .*`bbox_head` has 3 numbers"),
        (_break(lambda c: c["annotations"][0].update(visible=[True])), r"annotations\[0\] .*`visible` has 1 values"),
        (_break(lambda c: c["annotations"][0].update(image_id=9)), r"annotations\[0\] .*`image_id` 9 is none of"),
        (_break(lambda c: c["images"][1].update(id=3)), "two of `images` have the same `id`"),
        (_break(lambda c: c["images"][0]["ignore_regions_x"][0].pop()), r"images\[0\]: `ignore_regions_x` and"),
        (_break(lambda c: c["categories"].clear()), "`categories` must hold one"),
        (_break(lambda c: c["categories"][0].update(keypoints=OFFICIAL[1:])), "must name 'nose' once"),
        (_break(lambda c: c["categories"][0].update(keypoints=[*OFFICIAL, "tail"])), "names 18 joints"),
        (_break(lambda c: c["annotations"][1].update(track_id=2.5)), r"annotations\[1\] .*`track_id` is no whole"),
        (_break(lambda c: c["annotations"][1].update(track_id=2**70)), r"annotations\[1\] .*`track_id` is no whole"),
        (_break(lambda c: c["annotations"][0]["keypoints"].__setitem__(4, float("nan"))),
         r"`annotations\[0\]\.keypoints\[4\]` is no finite number"),
        (_break(lambda c: c["annotations"][1]["scores"].__setitem__(0, float("inf"))),
         r"`annotations\[1\]\.scores\[0\]` is no finite number"),
    ],
)  # fmt: skip
def test_errors_name_the_file_the_annotation_and_the_field(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(InputError, match=rf"bad\.json.*{message}") as error:
        read(tmp_path / "bad.json")
    assert "\n" not in str(error.value)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json does not exist"):
        read(tmp_path / "none.json")


def test_official_files_are_read(shared: Path) -> None:
    files = sorted((shared / "data" / "posetrack" / "fixtures" / "gt_oneframe").glob("*.json"))
    assert files
    for path in files:
        content = json.loads(path.read_text())
        frames = read(path)
        assert len(frames) == len(content["images"])
        assert sum(len(frame) for frame in frames) == len(content["annotations"])
        joints = sum(sum(flag > 0 for flag in person["keypoints"][2::3]) for person in content["annotations"])
        assert sum(int(frame.found.sum()) for frame in frames) == joints
        for frame, image in zip(frames, content["images"], strict=True):
            assert len(frame.ignore_regions) == len(image.get("ignore_regions_x", []))
