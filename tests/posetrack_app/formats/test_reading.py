"""Poses of other programs: each form is known by its content, and what is wrong in it is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.skeleton import COCO17, POSETRACK15
from posetrack_app.errors import InputError, UserError
from posetrack_app.formats.assembly import COCO_18
from posetrack_app.formats.parquet import ParquetWriter
from posetrack_app.formats.reading import read_poses
from posetrack_app.jobs.merged import merge_poses
from posetrack_app.types import Poses

X = [float(10 * k + 10) for k in range(17)]
Y = [float(5 * k + 20) for k in range(17)]
SCORE = [0.5 + k / 100 for k in range(17)]


def flat(joints: int = 17) -> list[float]:
    """x, y, score of 17 joints, then of others."""
    points = [value for point in zip(X, Y, SCORE, strict=True) for value in point]
    return points + [1.0, 2.0, 0.9] * (joints - 17)


def coco_person(image: object, **more: object) -> dict[str, Any]:
    return {"image_id": image, "category_id": 1, "keypoints": flat(), "score": 0.75, **more}


def mmpose_person(**more: object) -> dict[str, Any]:
    points = [[x, y] for x, y in zip(X, Y, strict=True)]
    return {"keypoints": points, "keypoint_scores": SCORE, "bbox": [[1, 2, 3, 4]], "bbox_score": 0.5, **more}


def ultralytics_person(**more: object) -> dict[str, Any]:
    box = {"x1": 1.0, "y1": 2.0, "x2": 3.0, "y2": 4.0}
    points = {"x": X, "y": Y, "visible": SCORE}
    return {"name": "person", "class": 0, "confidence": 0.75, "box": box, "keypoints": points, **more}


def openpose_file(joints: int = 18) -> dict[str, Any]:
    points = [0.0] * (3 * joints)
    for k, joint in enumerate(COCO17.joints):
        points[3 * COCO_18.index(joint) : 3 * COCO_18.index(joint) + 3] = X[k], Y[k], SCORE[k]
    return {"version": 1.3, "people": [{"person_id": [3], "pose_keypoints_2d": points}]}


def store(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def lines(path: Path, contents: list[Any]) -> Path:
    path.write_text("".join(json.dumps(content) + "\n" for content in contents))
    return path


CLIPS: dict[str, tuple[Any, float]] = {
    "coco": ([coco_person(1, track_id=3)], 0.75),
    "alphapose": ([coco_person("1.jpg", idx=3, box=[1, 2, 3, 4])], 0.75),
    "mmpose inferencer": (
        [{"frame_id": 0, "instances": []}, {"frame_id": 1, "instances": [mmpose_person(track_id=3)]}],
        0.5 * np.mean(SCORE),
    ),
    "mmpose, numbered as by its demos": (
        [{"frame_id": 1, "instances": []}, {"frame_id": 2, "instances": [mmpose_person(track_id=3)]}],
        0.5 * np.mean(SCORE),
    ),
    "mmpose demo": (
        {
            "meta_info": {"dataset_name": "coco", "keypoint_id2name": dict(enumerate(COCO17.joints))},
            "instance_info": [
                {"frame_id": 1, "instances": []},
                {"frame_id": 2, "instances": [mmpose_person(track_id=3, bbox_score=[0.5])]},
            ],
        },
        0.5 * np.mean(SCORE),
    ),
    "mmpose, bare": ([[], [mmpose_person(track_id=3)]], 0.5 * np.mean(SCORE)),
    "ultralytics": ([[], [ultralytics_person(track_id=3)]], 0.75),
}
"""A video of two frames; in the second is person 3. And the person's score."""


def check(path: Path, score: float, *, track: int = 3) -> None:
    clip = read_poses(path, rate=50)
    assert clip.skeleton is COCO17
    assert [len(frame.poses) for frame in clip.frames] == [0, 1]
    assert [frame.seconds for frame in clip.frames] == [0, 0.02]
    poses = clip.frames[1].poses
    np.testing.assert_allclose(poses.xy[0], np.stack([X, Y], axis=1))
    np.testing.assert_allclose(poses.joint_score[0], SCORE, rtol=1e-6)
    assert poses.track_id.tolist() == [track]
    assert poses.score[0] == pytest.approx(score)


@pytest.mark.parametrize("form", CLIPS)
def test_a_video_in_a_file(form: str, tmp_path: Path) -> None:
    content, score = CLIPS[form]
    check(store(tmp_path / "clip.json", content), score)


@pytest.mark.parametrize(
    "form", ["coco", "mmpose inferencer", "mmpose, numbered as by its demos", "mmpose, bare", "ultralytics"]
)
def test_a_frame_a_line(form: str, tmp_path: Path) -> None:
    content, score = CLIPS[form]
    check(lines(tmp_path / "clip.jsonl", content), score)


@pytest.mark.parametrize("form", ["mmpose, bare", "ultralytics"])
def test_a_frame_a_file_in_the_order_of_their_numbers(form: str, tmp_path: Path) -> None:
    content, score = CLIPS[form]
    store(tmp_path / "clip_9.json", content[0])
    store(tmp_path / "clip_10.json", content[1])
    check(tmp_path, score)


def test_a_picture(tmp_path: Path) -> None:
    for person in (mmpose_person(), ultralytics_person()):
        clip = read_poses(store(tmp_path / "picture.json", [person]))
        assert [frame.poses.track_id.tolist() for frame in clip.frames] == [[-1]]


@pytest.mark.parametrize("joints", [18, 25])
def test_openpose_of_both_models(joints: int, tmp_path: Path) -> None:
    content = openpose_file()
    if joints == 25:  # the 17 joints have other places there: the middle of the hips comes between
        points = content["people"][0]["pose_keypoints_2d"]
        content["people"][0]["pose_keypoints_2d"] = [*points[:24], 7.0, 8.0, 0.9, *points[24:], *[0.0] * 18]
    store(tmp_path / "clip_000000000000_keypoints.json", {"version": 1.3, "people": []})
    store(tmp_path / "clip_000000000001_keypoints.json", content)
    check(tmp_path, float(np.mean(SCORE)))
    assert read_poses(tmp_path).video == "clip"


def test_more_joints_than_ours(tmp_path: Path) -> None:
    for joints in (26, 133, 136):
        person = {**coco_person(0), "keypoints": flat(joints)}
        poses = read_poses(store(tmp_path / "clip.json", [person])).frames[0].poses
        np.testing.assert_allclose(poses.xy[0], np.stack([X, Y], axis=1))


def test_mmpose_names_its_joints(tmp_path: Path) -> None:
    names = ["nose", "head_bottom", "head_top", "left_ear", "right_ear", *COCO17.joints[5:]]
    content = {
        "meta_info": {"keypoint_id2name": {str(k): name for k, name in enumerate(names)}},
        "instance_info": [{"frame_id": 1, "instances": [mmpose_person()]}],
    }
    clip = read_poses(store(tmp_path / "clip.json", content))
    assert clip.skeleton is POSETRACK15
    assert clip.frames[0].poses.xy[0, POSETRACK15.index("head_top"), 0] == X[2]
    assert clip.frames[0].poses.xy[0, POSETRACK15.index("left_ankle"), 0] == X[15]


def test_flags_that_nobody_set(tmp_path: Path) -> None:
    """COCO's evaluation ignores the third number, and some leave it at 0."""
    person = coco_person(0)
    person["keypoints"][2::3] = [0] * 17
    person["keypoints"][:2] = [0, 0]
    found = read_poses(store(tmp_path / "clip.json", [person])).frames[0].poses.joint_score[0] > 0
    assert found.tolist() == [False, *[True] * 16]


def test_joints_that_ultralytics_did_not_find(tmp_path: Path) -> None:
    person = ultralytics_person()
    person["keypoints"]["x"] = [0.0, *X[1:]]
    person["keypoints"]["y"] = [0.0, *Y[1:]]
    found = read_poses(store(tmp_path / "clip.json", [[person]])).frames[0].poses.joint_score[0] > 0
    assert found.tolist() == [False, *[True] * 16]


def test_posetrack_ground_truth(shared: Path) -> None:
    for path in sorted((shared / "data" / "posetrack" / "gt").glob("*.json"))[:3]:
        content = json.loads(path.read_text())
        clip = read_poses(path)
        assert len(clip.frames) == len(content["images"])
        assert sum(len(frame.poses) for frame in clip.frames) == len(content["annotations"])


NESTED = [[ultralytics_person()]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"clip has no form that is read: our Parquet or CSV, JSON with poses of PoseTrack, .*, XML of CVAT"),
        ("1,1,3.5,7.5,9,9,0.5,-1,-1,-1\n", r"clip has no form that is read: our Parquet or CSV, JSON .*, XML of CVAT"),
        ("[[", r"clip is not JSON"),
        ("{}", r"clip holds no poses of PoseTrack, .*: its fields are none of theirs"),
        ("[1]", r"clip holds no poses of .*: `\[0\]` is neither a person nor a frame"),
        ('[{"a": 1}]', r"the fields of `\[0\]` are none of theirs"),
        ("PAR1 and no more", r"clip is not a readable Parquet file"),
        ("frame,x\n1,2\n", r"clip is no CSV of poses of ours: .*seconds"),
        (json.dumps([coco_person(0, score="high")]), r"expected `float \| null`, got `str`, at `\[0\].score`"),
        (json.dumps([coco_person(0), {"image_id": 0}]), r"missing required field `keypoints`, at `\[1\]`"),
        (json.dumps([coco_person(10**10)]), r"\[0\]: `image_id` 10000000000 is no number of a frame"),
        (json.dumps([coco_person(7, frame_index=-1)]), r"\[0\]: `frame_index` -1 is no number of a frame"),
        (json.dumps([coco_person("photo")]), r"\[0\]: `image_id` 'photo' is no number of a frame"),
        (json.dumps([coco_person(0, keypoints=[1.0] * 50)]), r"\[0\]: `keypoints` has 50 numbers, 51 are three"),
        (json.dumps([coco_person(0), coco_person(0, keypoints=flat(26))]), r"\[1\] has 26 joints, \[0\] has 17"),
        (json.dumps([coco_person(0, keypoints=[1e300] * 51)]), r"\[0\]: nose at x = 1e\+300, .* is no place"),
        (json.dumps([coco_person(0, keypoints=[float("nan")] * 51)]), r"`\[0\].keypoints\[0\]` is no finite number"),
        (json.dumps([coco_person(0, track_id=1)] * 2), r"frame 0 has two people of track 1"),
        (json.dumps([coco_person(0, track_id=2**63)]), r"`int` <= 9223372036854775807, at `\[0\].track_id`"),
        (json.dumps([{"frame_id": -1, "instances": []}]), r"`int` >= 0, at `\[0\].frame_id`"),
        (
            json.dumps([[mmpose_person(keypoint_scores=[0.5])]]),
            r"\[0\]\[0\]: `keypoints` has 17 joints and `keypoint_scores` 1",
        ),
        (json.dumps([[mmpose_person(keypoints=[[1.0]] * 17)]]), r"a joint of `keypoints` has 1 numbers, it needs x"),
        (
            json.dumps([[mmpose_person(keypoints=[[1, 2]] * 21, keypoint_scores=[1] * 21)]]),
            r"people have 21 joints; without `meta_info` 17, 26, 133 and 136 are understood",
        ),
        (
            json.dumps([[ultralytics_person(keypoints={"x": [1], "y": [1, 2]})]]),
            r"\[0\]\[0\]\.keypoints has 1 `x`, 2 `y` and 1 `visible`, they must be as many",
        ),
        (
            json.dumps([[ultralytics_person(keypoints={"x": [0.5] * 17, "y": [0.25] * 17})]]),
            r"coordinates are parts of the picture, not pixels; write them with normalize=False",
        ),
        (json.dumps([[{"box": {}, "confidence": 1}]]), r"clip has boxes of people but no `keypoints`"),
        (
            json.dumps([[mmpose_person(keypoints=[[0.25, 0.5]] * 17)]]),
            r"coordinates are parts of the picture, not pixels",
        ),
        (json.dumps(openpose_file()), r"its name lacks the number of a frame"),
        ("<a", r"clip is not XML: unclosed token"),
        ("<a/>", r'clip is no "CVAT for video 1.1"'),
        ('<annotations><image id="0"/></annotations>', r'clip is no "CVAT for video 1.1"'),
        ('<annotations><track id="x"/></annotations>', r"a track: `id` is 'x', it must be a whole number"),
        (
            '<annotations><track id="7"><skeleton frame="-1"/></track></annotations>',
            r"track 7: `frame` is '-1', it must be a whole number",
        ),
        (
            '<annotations><track id="7"><skeleton frame="1"><points label="nose" points="1"/></skeleton></track>'
            "</annotations>",
            r"track 7, frame 1: `points` of nose is '1', it must be x,y",
        ),
        (
            '<annotations><track id="7"><skeleton frame="1"><points label="1" points="3,4"/></skeleton></track>'
            "</annotations>",
            r"the joints have names of their own; ours are nose, left_eye",
        ),
        (json.dumps({"annolist": [{}]}), r"missing required field `image`, at `annolist\[0\]`"),
    ],
)
def test_errors_name_the_place(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "clip").write_text(content)
    with pytest.raises(InputError, match=message) as raised:
        read_poses(tmp_path / "clip")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("form", "codec"),
    [("mp4", "mpeg4"), ("avi", "mpeg4"), ("matroska", "mpeg4"), ("mpegts", "mpeg2video"), ("mpeg", "mpeg2video"),
     ("flv", "flv1"), (".png", ""), (".jpg", "")],
)  # fmt: skip
def test_videos_and_pictures_are_told(form: str, codec: str, tmp_path: Path) -> None:
    path = tmp_path / "my clip"  # no ending: what is in it tells
    picture = np.zeros((48, 64, 3), dtype=np.uint8)
    if codec:
        with av.open(str(path), "w", format=form) as file:
            stream = file.add_stream(codec, rate=25, width=64, height=48, pix_fmt="yuv420p")  # type: ignore[call-overload]
            for frame in (av.VideoFrame.from_ndarray(picture), None):
                file.mux(stream.encode(frame))
    else:
        path.write_bytes(cv2.imencode(form, picture)[1].tobytes())
    with pytest.raises(InputError, match=r"my clip is a video or a picture, not poses: `run '.*my clip'` finds"):
        read_poses(path)


def test_a_run_that_is_not_finished_is_told(tmp_path: Path) -> None:
    writer = ParquetWriter(tmp_path / "poses.parquet", skeleton=COCO17, video="c", width=9, height=9)
    writer.add(0, 0.0, Poses.empty(17))
    (tmp_path / "doubts.partial.json").write_text('{"doubts": []}')
    going_on = "has a run that is not finished: the same `run` command goes on with it"
    with pytest.raises(InputError, match=f"{going_on}$"):  # killed, or still at it: nobody closed the table
        read_poses(tmp_path)
    writer.abort()
    with pytest.raises(InputError, match=rf"{going_on}; .*poses\.partial\.parquet has its 1 frames so far"):
        read_poses(tmp_path)
    assert len(read_poses(tmp_path / "poses.partial.parquet").frames) == 1
    (tmp_path / "poses.partial.parquet").unlink()
    (tmp_path / "seen.partial").mkdir()
    with pytest.raises(InputError, match=f"{going_on}$"):
        read_poses(tmp_path)


def test_many_runs_are_told(tmp_path: Path) -> None:
    folders = ["a", "more/b"]
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        writer = ParquetWriter(tmp_path / folder / "poses.parquet", skeleton=COCO17, video="c", width=9, height=9)
        writer.add(0, 0.0, Poses.untracked(xy=np.ones((1, 17, 2)), joint_score=np.ones((1, 17)), score=np.ones(1)))
        writer.close()
    with pytest.raises(InputError, match=r"has the folders of runs; name one of them: .*/a$"):
        read_poses(tmp_path)
    merge_poses(tmp_path, folders)
    for path in (tmp_path, tmp_path / "poses.parquet"):
        with pytest.raises(InputError, match="has the poses of many inputs; name .* of them: .*/a, .*/more/b$"):
            read_poses(path)


def test_a_damaged_table_is_told(tmp_path: Path) -> None:
    poses = Poses.untracked(xy=np.ones((3, 17, 2)), joint_score=np.ones((3, 17)), score=np.ones(3))
    writer = ParquetWriter(tmp_path / "poses.parquet", skeleton=COCO17, video="c", width=9, height=9)
    for index in range(200):
        writer.add(index, index / 30, poses)
    writer.close()
    whole = (tmp_path / "poses.parquet").read_bytes()
    assert len(read_poses(tmp_path).frames) == 200
    told = 0
    for place in range(4, 1004, 20):
        (tmp_path / "poses.parquet").write_bytes(whole[:place] + bytes(8) + whole[place + 8 :])
        try:
            read_poses(tmp_path)
        except UserError:
            told += 1
    assert told > 10


CSV = "frame,seconds,track,person_score,joint,x,y,score,origin\n"
ROWS = [f"0,0.5,1,0.9,{joint},1,2,0.5,observed\n" for joint in COCO17.joints]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS[1:], ROWS[0]], r"the names in `joint` are not those of coco17 or posetrack15"),
        ([*ROWS, ROWS[0]], r"the last person lacks joints: each has 17 rows"),
        ([*ROWS, ROWS[1]], r"row 18: `joint` is 'left_eye', 'nose' is due there"),
        ([ROWS[0].replace("observed", "seen"), *ROWS[1:]], r"`origin` 'seen' is none of observed, coasted"),
        ([*ROWS[:3], ROWS[3].replace(",1,2,", ",nan,2,"), *ROWS[4:]], r"row 4: `x` nan is out of range"),
        ([*ROWS[:3], ROWS[3].replace(",1,2,", ",,2,"), *ROWS[4:]], r"row 4 has no `x`"),
        ([*ROWS[:3], ROWS[3].replace(",1,2,", ",left,2,"), *ROWS[4:]], r"row 4: `x` is 'left', it must be a number"),
        ([ROWS[0].replace("0,0.5", "-1,0.5"), *ROWS[1:]], r"row 1: `frame` -1 is out of range"),
        ([ROWS[0].replace("0,0.5", "0,inf"), *ROWS[1:]], r"row 1: `seconds` inf is out of range"),
    ],
)
def test_errors_of_csv_name_the_row(rows: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "poses.csv").write_text(CSV + "".join(rows))
    with pytest.raises(InputError, match=message):
        read_poses(tmp_path / "poses.csv")


def test_csv_gives_frames_without_people_a_time(tmp_path: Path) -> None:
    (tmp_path / "poses.csv").write_text(
        CSV + "".join(row.replace("0,0.5", f"{n},{t}", 1) for n, t in ((1, 1.0), (4, 2.5)) for row in ROWS)
    )
    clip = read_poses(tmp_path / "poses.csv")
    assert [frame.seconds for frame in clip.frames] == pytest.approx([0.5, 1, 1.5, 2, 2.5])
    assert [len(frame.poses) for frame in clip.frames] == [0, 1, 0, 0, 1]


def test_errors_of_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none does not exist"):
        read_poses(tmp_path / "none")
    with pytest.raises(InputError, match=r"holds neither poses\.parquet nor a JSON file for each frame"):
        read_poses(tmp_path)
    store(tmp_path / "a_2_keypoints.json", {"people": [{"pose_keypoints_2d": [1, 2]}]})
    with pytest.raises(InputError, match=r"a_2_keypoints\.json: people\[0\]: `pose_keypoints_2d` has 2 numbers"):
        read_poses(tmp_path)
    store(tmp_path / "a_2_keypoints.json", {"persons": []})
    with pytest.raises(
        InputError, match=r"a_2_keypoints\.json is not OpenPose JSON: .*missing required field `people`"
    ):
        read_poses(tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
EXAMPLES = [content for content, _ in CLIPS.values()] + [openpose_file(), [], [[]], {"annolist": []}]


def spoiled(data: st.DataObject, value: Any) -> Any:
    """The value with one part of it, anywhere, replaced or taken away."""
    if isinstance(value, dict | list) and value and data.draw(st.integers(0, 5)):
        place = data.draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        copy = value.copy()
        if data.draw(st.integers(0, 5)):
            copy[place] = spoiled(data, value[place])
        else:
            del copy[place]
        return copy
    return data.draw(VALUES)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_is_in_a_file_gives_poses_or_one_line(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = spoiled(data, data.draw(st.sampled_from(EXAMPLES)))
    path = tmp_path_factory.getbasetemp() / "clip_000000000001_keypoints.json"
    path.write_text(json.dumps(content))
    said, frames = "", []
    try:
        frames = read_poses(path).frames
    except UserError as error:
        said = str(error)
    assert "\n" not in said
    assert [frame.index for frame in frames] == list(range(len(frames)))
    for frame in frames:
        assert np.isfinite(frame.poses.xy).all()
        assert ((frame.poses.score >= 0) & (frame.poses.score <= 1)).all()
