"""What is written is what was given: read back by us, and by readers that know nothing of us."""

from __future__ import annotations

import contextlib
import io
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.skeleton import COCO17, POSETRACK15, SKELETONS, Skeleton
from posetrack_app.errors import OutputError
from posetrack_app.formats import trc
from posetrack_app.formats.assembly import BODY_25
from posetrack_app.formats.forms import Form
from posetrack_app.formats.reading import read_poses
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.formats.writing import write_poses
from posetrack_app.types import Poses


def sequence(counts: list[int], *, skeleton: Skeleton = COCO17, seed: int = 0, start: float = 0.0) -> PoseSequence:
    """A video with so many people in each frame, at uneven times; a third of the joints is missing."""
    random = np.random.default_rng(seed)
    K = len(skeleton.joints)
    frames, seconds = [], start
    for index, count in enumerate(counts):
        score = (random.random((count, K)) * (random.random((count, K)) > 1 / 3)).astype(np.float32)
        xy = random.normal(300, 200, (count, K, 2)).astype(np.float32)
        poses = Poses(
            xy=np.where(score[..., None] > 0, xy, np.float32(0)),
            joint_score=score,
            score=random.random(count, dtype=np.float32),
            track_id=random.permutation(2 * max(counts))[:count].astype(np.int64),
            origin=random.integers(0, 3, count).astype(np.uint8),
        )
        frames.append(PosedFrame(index, seconds, poses))
        seconds += float(random.uniform(0.01, 0.1))
    return PoseSequence(video="a clip", skeleton=skeleton, width=640, height=360, frames=frames)


COUNTS = st.lists(st.integers(0, 6), max_size=12).map(lambda counts: [*counts, 1])
"""The last frame has somebody: some forms have no place for frames after the last person."""


def written(folder: Path, form: Form, poses: PoseSequence) -> Path:
    path = folder / form
    write_poses(path, poses, form)
    return path


@pytest.mark.parametrize("form", ["coco", "openpose", "csv", "parquet"])
@settings(max_examples=20, deadline=None)
@given(counts=COUNTS, skeleton=st.sampled_from(list(SKELETONS.values())), seed=st.integers(0, 1000))
def test_what_is_written_comes_back(
    form: Form, counts: list[int], skeleton: Skeleton, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = sequence(counts, skeleton=skeleton, seed=seed, start=-1.5)
    after = read_poses(written(tmp_path_factory.mktemp("poses"), form, before), rate=10)
    assert [len(frame.poses) for frame in after.frames] == counts
    both = [joint for joint in after.skeleton.joints if joint in skeleton.joints]
    ours, theirs = [skeleton.index(joint) for joint in both], [after.skeleton.index(joint) for joint in both]
    assert len(both) >= 13
    exact = form in ("csv", "parquet")
    for frame, back in zip(before.frames, after.frames, strict=True):
        poses, read = frame.poses, back.poses
        assert back.index == frame.index
        if len(poses) or form == "parquet":
            assert back.seconds == pytest.approx(frame.seconds if exact else frame.index / 10, abs=1e-12)
        np.testing.assert_array_equal(read.track_id, poses.track_id)
        np.testing.assert_array_equal(read.joint_score[:, theirs] > 0, poses.joint_score[:, ours] > 0)
        np.testing.assert_allclose(read.xy[:, theirs], poses.xy[:, ours], atol=0 if exact else 0.0051)
        np.testing.assert_allclose(read.joint_score[:, theirs], poses.joint_score[:, ours], atol=0 if exact else 1e-4)
        if form != "openpose":
            np.testing.assert_allclose(read.score, poses.score, atol=0 if exact else 5.1e-5)
        if exact:
            np.testing.assert_array_equal(read.origin, poses.origin)


@pytest.mark.parametrize("form", ["posetrack2018", "posetrack2017"])
def test_posetrack_comes_back(form: Form, tmp_path: Path) -> None:
    before = sequence([3, 0, 2, 0], skeleton=POSETRACK15)
    after = read_poses(written(tmp_path, form, before), rate=20)
    assert after.video == "a clip"
    assert [frame.seconds for frame in after.frames] == [0, 0.05, 0.1, pytest.approx(0.15)]
    for frame, back in zip(before.frames, after.frames, strict=True):
        np.testing.assert_array_equal(back.poses.track_id, frame.poses.track_id)
        np.testing.assert_allclose(back.poses.xy, frame.poses.xy, atol=0.0051)
        np.testing.assert_allclose(back.poses.joint_score, frame.poses.joint_score, atol=1e-4)
        np.testing.assert_allclose(back.poses.score, frame.poses.score, atol=1e-4)


def test_both_forms_of_posetrack_say_the_same(tmp_path: Path) -> None:
    poses = sequence([3, 0, 2, 4])
    old, new = (read_poses(written(tmp_path, form, poses)) for form in ("posetrack2017", "posetrack2018"))
    assert len(old.frames) == len(new.frames) == 4
    for a, b in zip(old.frames, new.frames, strict=True):
        np.testing.assert_allclose(a.poses.xy, b.poses.xy, atol=1e-6)
        np.testing.assert_allclose(a.poses.joint_score, b.poses.joint_score, atol=1e-4)
        np.testing.assert_array_equal(a.poses.track_id, b.poses.track_id)


@pytest.mark.parametrize(
    "form", ["posetrack2018", "posetrack2017", "coco", "openpose", "csv", "parquet", "trc", "mot", "cvat"]
)
@pytest.mark.parametrize("counts", [[], [0, 0, 0]], ids=["no frames", "nobody"])
def test_nobody_is_ordinary(form: Form, counts: list[int], tmp_path: Path) -> None:
    path = tmp_path / form
    empty = PoseSequence("c", COCO17, 0, 0, [PosedFrame(n, n / 9, Poses.empty(17)) for n in range(len(counts))])
    write_poses(path, empty, form)
    if form == "openpose" and not counts:
        assert list(path.iterdir()) == []
    elif form not in ("trc", "mot", "cvat"):
        assert sum(len(frame.poses) for frame in read_poses(path).frames) == 0


def test_pycocotools_finds_every_person_of_the_coco_results(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    poses = sequence([3, 0, 5, 1])
    annotations, images = [], [{"id": frame.index} for frame in poses.frames]
    for frame in poses.frames:
        for n in range(len(frame.poses)):
            visible = frame.poses.joint_score[n] > 0
            points = np.concatenate([frame.poses.xy[n], 2 * visible[:, None]], axis=1).astype(float)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": frame.index,
                    "category_id": 1,
                    "iscrowd": 0,
                    "area": 1e4,
                    "bbox": [0, 0, 100, 100],
                    "keypoints": points.ravel().tolist(),
                    "num_keypoints": int(visible.sum()),
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
        truth.createIndex()
        found = truth.loadRes(str(written(tmp_path, "coco", poses)))
        measure = cocoeval.COCOeval(truth, found, "keypoints")
        measure.evaluate()
        measure.accumulate()
        measure.summarize()
    assert measure.stats[0] == pytest.approx(1)
    assert measure.stats[5] == pytest.approx(1)


def test_coco_images_are_numbered_as_their_files_are(tmp_path: Path) -> None:
    clip = sequence([1, 1])
    named = [PosedFrame(frame.index, 0.0, frame.poses, f"{7 + frame.index:012d}.jpg") for frame in clip.frames]
    path = written(tmp_path, "coco", PoseSequence("c", COCO17, 0, 0, named))
    assert [person["image_id"] for person in json.loads(path.read_text())] == [7, 8]


@pytest.mark.parametrize(
    ("first", "ids"), [(100, [100, 102]), (10**10, [10**10, 10**10 + 2])], ids=["numbers", "numbers beyond frames"]
)
def test_numbered_pictures_come_back_from_coco(first: int, ids: list[int], tmp_path: Path) -> None:
    clip = sequence([2, 0, 1, 0])
    names = [f"{first + frame.index:06d}.png" for frame in clip.frames]
    named = [replace(frame, name=name) for frame, name in zip(clip.frames, names, strict=True)]
    back = read_poses(written(tmp_path, "coco", replace(clip, frames=named)), rate=5)
    assert [frame.name for frame in back.frames] == [names[0], None, names[2]]
    assert [frame.seconds for frame in back.frames] == [0, 0.2, 0.4]
    for frame, before in zip(back.frames, clip.frames[:3], strict=True):
        np.testing.assert_array_equal(frame.poses.track_id, before.poses.track_id)
    write_poses(tmp_path / "again.json", back, "coco")
    assert (tmp_path / "again.json").read_text() == (tmp_path / "coco").read_text()
    assert sorted({person["image_id"] for person in json.loads((tmp_path / "again.json").read_text())}) == ids


def test_openpose_folder_is_laid_out_as_openpose_does(tmp_path: Path) -> None:
    poses = sequence([2, 0])
    path = written(tmp_path, "openpose", poses)
    names = sorted(file.name for file in path.iterdir())
    assert names == ["a clip_000000000000_keypoints.json", "a clip_000000000001_keypoints.json"]
    people = json.loads((path / names[0]).read_text())["people"]
    assert json.loads((path / names[1]).read_text()) == {"version": 1.3, "people": []}
    frame = poses.frames[0].poses
    for n, person in enumerate(people):
        assert person["person_id"] == [int(frame.track_id[n])]
        points = np.array(person["pose_keypoints_2d"]).reshape(25, 3)
        for name, left, right in (("neck", 5, 6), ("mid_hip", 11, 12)):
            middle = points[BODY_25.index(name)]
            if min(frame.joint_score[n, [left, right]]) > 0:
                np.testing.assert_allclose(middle[:2], (frame.xy[n, left] + frame.xy[n, right]) / 2, atol=1e-3)
            else:
                assert (middle == 0).all()
        # Of poseParametersRender and the documentation: 4 is the right wrist, 16 the left eye.
        np.testing.assert_allclose(points[4, :2], frame.xy[n, COCO17.index("right_wrist")], atol=1e-3)
        np.testing.assert_allclose(points[16, :2], frame.xy[n, COCO17.index("left_eye")], atol=1e-3)
        assert (points[19:] == 0).all()


def opensim_rows(text: str) -> tuple[list[str], list[list[float]]]:
    """Markers and numbers of a .trc, cut as OpenSim 4's TRCFileAdapter does: no cell follows a tab at the end."""

    def cells(line: str) -> list[str]:
        parts = line.split("\t")
        return parts[:-1] if parts[-1] == "" else parts

    lines = text.split("\n")
    assert lines[0].startswith("PathFileType")
    keys, values = ([cell for cell in cells(line) if cell] for line in lines[1:3])
    header = dict(zip(keys, values, strict=True))
    assert keys == [
        "DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate", "OrigDataStartFrame",
        "OrigNumFrames",
    ]  # fmt: skip
    labels = [cell for cell in cells(lines[3]) if cell]
    assert labels[:2] == ["Frame#", "Time"]
    assert len(labels) == int(header["NumMarkers"]) + 2
    axes = [cell for cell in cells(lines[4]) if cell]
    assert axes == [f"{axis}{k + 1}" for k in range(len(labels) - 2) for axis in "XYZ"]
    rows = []
    for line in lines[6:]:
        if not line:
            break
        row = cells(line)
        assert len(row) == 3 * (len(labels) - 2) + 2
        rows.append([float(cell) if cell else np.nan for cell in row])
    assert len(rows) == int(header["NumFrames"])
    assert header["Units"] == "px"
    return labels[2:], rows


def test_opensim_reads_the_trc_files(tmp_path: Path) -> None:
    poses = sequence([2, 0, 4, 1, 3], start=2.5)
    path = written(tmp_path, "trc", poses)
    tracks = sorted({int(track) for frame in poses.frames for track in frame.poses.track_id})
    assert sorted(file.name for file in path.iterdir()) == [f"a clip_person{track:02d}.trc" for track in tracks]
    for track in tracks:
        labels, rows = opensim_rows((path / f"a clip_person{track:02d}.trc").read_text())
        assert labels == trc.markers(COCO17)
        present = [frame for frame in poses.frames if track in frame.poses.track_id]
        assert [int(row[0]) - 1 for row in rows] == list(range(present[0].index, present[-1].index + 1))
        for row in rows:
            frame = poses.frames[int(row[0]) - 1]
            assert row[1] == pytest.approx(frame.seconds, abs=1e-6)
            expected = np.full((17, 3), np.nan)
            for n in np.flatnonzero(frame.poses.track_id == track):
                found = frame.poses.joint_score[n] > 0
                expected[found, :2], expected[found, 2] = frame.poses.xy[n, found], 0
            np.testing.assert_allclose(np.array(row[2:]).reshape(17, 3), expected, atol=1e-3)


def test_mot_boxes_count_from_one(tmp_path: Path) -> None:
    poses = Poses.untracked(xy=np.zeros((3, 17, 2)), joint_score=np.zeros((3, 17)), score=[0.5, 0.25, 1])
    poses.xy[0, 5], poses.xy[0, 12] = (9.5, 19.5), (29.5, 59.5)
    poses.joint_score[0, [5, 12]] = 1
    poses.xy[1, 5], poses.joint_score[1, 5] = (0, 0), 1
    clip = PoseSequence(
        "c", COCO17, 640, 360, [PosedFrame(0, 0, Poses.empty(17)), PosedFrame(1, 0.04, poses.with_tracks([0, -1, 4]))]
    )
    lines = written(tmp_path, "mot", clip).read_text().splitlines()
    # 20 x 40 pixels from the corner (10, 20), 1.3 times as large, counted from 1; a pixel's centre is half a pixel off.
    assert lines == ["2,1,8.00,15.00,26.00,52.00,0.5000,-1,-1,-1", "2,-1,1.00,1.00,1.00,1.00,0.2500,-1,-1,-1"]


def cvat_tracks(path: Path) -> dict[int, dict[int, dict[str, Any]]]:
    """Keyframes of tracks by frame, read as CVAT's own importer reads them, from the attributes that it demands."""
    root = ET.parse(path).getroot()
    assert root.tag == "annotations"
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/mode") == "interpolation"
    tracks: dict[int, dict[int, dict[str, Any]]] = {}
    for track in root.iter("track"):
        assert track.attrib["label"] == "person"
        frames = tracks.setdefault(int(track.attrib["id"]), {})
        for skeleton in track:
            assert (skeleton.tag, skeleton.attrib["keyframe"]) == ("skeleton", "1")
            frames[int(skeleton.attrib["frame"])] = {
                point.attrib["label"]: (
                    *(float(value) for value in point.attrib["points"].split(",")),
                    point.attrib["outside"] == "1",
                    point.attrib["occluded"] == "1",
                )
                for point in skeleton
                if point.attrib["keyframe"] == "1"
            }
    return tracks


def test_cvat_reads_the_tracks(tmp_path: Path) -> None:
    poses = sequence([2, 0, 4, 1, 3], seed=4)
    tracks = cvat_tracks(written(tmp_path, "cvat", poses))
    expected = {int(track) for frame in poses.frames for track in frame.poses.track_id}
    assert set(tracks) == expected
    for track, frames in tracks.items():
        for frame in poses.frames:
            rows = np.flatnonzero(frame.poses.track_id == track)
            keyframe = frames.get(frame.index)
            if not len(rows):
                # Gone: said once, by a keyframe after the last, and nothing until they are back.
                assert (keyframe is not None) == (
                    frame.index > 0 and track in poses.frames[frame.index - 1].poses.track_id
                )
                assert keyframe is None or all(gone for _, _, gone, _ in keyframe.values())
                continue
            assert keyframe is not None
            assert list(keyframe) == list(COCO17.joints)
            found, xy = frame.poses.joint_score[rows[0]] > 0, frame.poses.xy[rows[0]]
            for k, (x, y, outside, occluded) in enumerate(keyframe.values()):
                assert outside == (not found[k])
                assert occluded == (frame.poses.origin[rows[0]] != 0)
                if found[k]:
                    np.testing.assert_allclose((x, y), xy[k] + 0.5, atol=0.0051)


def test_tracks_come_back_from_cvat(tmp_path: Path) -> None:
    before = sequence([2, 0, 4, 1, 3, 0], seed=4)
    after = read_poses(written(tmp_path, "cvat", before))
    assert (after.video, after.width, after.height, len(after.frames)) == ("a clip", 640, 360, 6)
    for frame, back in zip(before.frames, after.frames, strict=True):
        order = np.argsort(frame.poses.track_id)
        np.testing.assert_array_equal(back.poses.track_id, frame.poses.track_id[order])
        np.testing.assert_array_equal(back.poses.joint_score, frame.poses.joint_score[order] > 0)
        np.testing.assert_allclose(back.poses.xy, frame.poses.xy[order], atol=0.0051)


def test_a_stretch_lies_in_the_whole_video_for_cvat(tmp_path: Path) -> None:
    """CVAT refuses frames beyond `stop_frame`."""
    film = sequence([0, 1, 2, 0, 3, 2])
    stretch = replace(film, frames=film.frames[2:5], is_stretch=True)
    path = written(tmp_path, "cvat", stretch)
    task = ET.parse(path).getroot().find("meta/task")
    assert task is not None
    assert [task.findtext(name) for name in ("size", "start_frame", "stop_frame")] == ["5", "0", "4"]
    assert {frame for track in cvat_tracks(path).values() for frame in track} == {2, 3, 4}
    assert [len(frame.poses) for frame in read_poses(path).frames] == [0, 0, 2, 0, 3]


def test_names_are_escaped_in_xml(tmp_path: Path) -> None:
    clip = PoseSequence('a <&"> clip', COCO17, 1, 1, sequence([1]).frames)
    assert ET.parse(written(tmp_path, "cvat", clip)).getroot().findtext("meta/task/name") == 'a <&"> clip'


@pytest.mark.parametrize("form", ["coco", "openpose"])
def test_what_is_there_stays_until_told(form: Form, tmp_path: Path) -> None:
    path = written(tmp_path, form, sequence([1, 1, 1]))
    with pytest.raises(OutputError, match="is there already; --overwrite replaces it"):
        write_poses(path, sequence([1]), form)
    if path.is_dir():
        (path / "mine.txt").write_text("stays")
    write_poses(path, sequence([1]), form, overwrite=True)
    assert len(read_poses(path).frames) == 1
    assert not path.is_dir() or (path / "mine.txt").exists()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_errors_of_writing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file is a file; --out must name a folder for trc"):
        write_poses(tmp_path / "file", sequence([1]), "trc")
    with pytest.raises(OutputError, match="is a folder; --out must name a file for mot"):
        write_poses(tmp_path, sequence([1]), "mot")
    for form in ("coco", "openpose", "csv", "trc", "mot", "cvat", "posetrack2017"):
        with pytest.raises(OutputError, match="cannot make the folder"):
            write_poses(tmp_path / "file" / "where", sequence([1]), form)  # type: ignore[arg-type]
