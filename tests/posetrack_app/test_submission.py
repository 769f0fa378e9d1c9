"""Frame folders in, a submission out, with a network that sees a planted person."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models.skeleton import COCO17, Skeleton
from posetrack_app import submission
from posetrack_app.config import Settings, override
from posetrack_app.errors import InputError
from posetrack_app.evaluation.posetrack import evaluate
from posetrack_app.evaluation.tuning import Judge, load
from posetrack_app.formats import annolist, posetrack2018
from posetrack_app.formats.labelled import LabelledFrame
from posetrack_app.formats.parquet import read_sequence
from posetrack_app.formats.posetrack import read_labelled
from posetrack_app.formats.predicted import predicted_frame
from posetrack_app.formats.submission import check
from posetrack_app.types import Frame, Poses

BODY = np.stack([np.linspace(-8, 8, 17), np.linspace(20, 100, 17)], axis=-1)


def standing(x: float) -> Poses:
    return Poses.untracked(xy=[BODY + [x, 0]], joint_score=np.full((1, 17), 0.9), score=[0.9])


class PlantedEstimator:
    """Stands in for the network: sees one person at the bright bar, and breaks where a picture is white."""

    skeleton: Skeleton = COCO17
    batch = 3

    def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
        found = []
        for frame in frames:
            bright = (frame.image[..., 0] > 128).any(axis=0)
            if bright.all():
                raise InputError("a white picture")
            found.append(standing(float(np.flatnonzero(bright).mean())) if bright.any() else Poses.empty(17))
        return found


def draw(folder: Path, names: Sequence[str], *, ground: int = 20) -> None:
    """Pictures with a bar that moves a pixel to the right in each."""
    folder.mkdir(parents=True)
    for place, name in enumerate(names):
        image = np.full((120, 160, 3), ground, dtype=np.uint8)
        image[20:100, 40 + place : 46 + place] = 255
        assert cv2.imwrite(str(folder / name), image)


def truth(video: str, numbers: Sequence[int], *, first: int = 0) -> list[LabelledFrame]:
    """The person of the pictures, where the bar is."""
    frames = []
    for number in numbers:
        frame = predicted_frame(
            standing(42.5 + number - first).with_tracks([7]),
            COCO17,
            image_id=10_000 + number,
            file_name=f"images/val/{video}/{number:06d}.jpg",
        )
        frames.append(replace(frame, head_box=np.array([[30.0, 10.0, 60.0, 50.0]])))
    return frames


def submit(frames: Path, out: Path, *, gt: Path | None = None, assignments: Sequence[str] = ()) -> submission.Report:
    estimator: Any = PlantedEstimator()
    return submission.submit(frames, out, settings=override(Settings(), list(assignments)), estimator=estimator, gt=gt)


def names_in(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Two sequences, one of which has other names than its ground truth."""
    draw(tmp_path / "frames" / "000011_mpii_test", [f"{number:06d}.jpg" for number in range(8)])
    draw(tmp_path / "frames" / "000022117", [f"{number:05d}.jpg" for number in range(1, 7)])
    (tmp_path / "frames" / "notes").mkdir()
    return tmp_path / "frames"


@pytest.fixture
def gt(tmp_path: Path) -> Path:
    folder = tmp_path / "gt"
    folder.mkdir()
    posetrack2018.write(folder / "000011_mpii_test.json", truth("000011_mpii_test", range(8)))
    posetrack2018.write(folder / "000022_bonn_train.json", truth("000022_bonn_train", range(6)))
    return folder


def test_the_ground_truth_says_what_is_in_the_zip(frames: Path, gt: Path, tmp_path: Path) -> None:
    out = tmp_path / "zip" / "submission.zip"
    report = submit(frames, out, gt=gt)
    assert (report.sequences, report.frames, report.people, report.failed) == (2, 14, 14, {})
    assert names_in(out) == ["000011_mpii_test.json", "000022_bonn_train.json"]
    assert check(out, gt=gt) == []
    for name in names_in(out):
        ours, theirs = posetrack2018.read(out.with_suffix("") / name), posetrack2018.read(gt / name)
        assert [(f.image_id, f.file_name) for f in ours] == [(f.image_id, f.file_name) for f in theirs]
    total = evaluate(gt, out.with_suffix("")).total
    assert total.tracking is not None
    assert np.nanmin(total.accuracy.ap) == np.nanmin(total.tracking.mota) == 100


def test_without_ground_truth_the_folders_say_it(frames: Path, tmp_path: Path) -> None:
    report = submit(frames, tmp_path / "s.zip")
    assert report.sequences == 2
    first, second = (posetrack2018.read(tmp_path / "s" / name) for name in names_in(tmp_path / "s.zip"))
    assert [frame.image_id for frame in first] == [10_000_110_000 + number for number in range(8)]
    assert first[3].file_name == "images/000011_mpii_test/000003.jpg"
    assert [frame.image_id for frame in second] == list(range(1, 7))
    # A folder of no official name makes a file that the evaluator refuses, and that is said.
    assert [line for line in check(tmp_path / "s.zip") if "000022117" in line] == check(tmp_path / "s.zip") != []


def test_links_to_folders_of_one_name_are_sequences_by_their_own_names(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for name in ("000011_mpii_test", "000022_mpii_test"):
        draw(tmp_path / name / "pictures", [f"{number:06d}.jpg" for number in range(3)])
        (tmp_path / "frames" / name).symlink_to(tmp_path / name / "pictures")
    assert submit(tmp_path / "frames", tmp_path / "s.zip").sequences == 2
    assert names_in(tmp_path / "s.zip") == ["000011_mpii_test.json", "000022_mpii_test.json"]


def test_a_failing_sequence_does_not_lose_the_others(frames: Path, gt: Path, tmp_path: Path) -> None:
    draw(tmp_path / "frames" / "000010_mpii_test", ["000000.jpg"], ground=255)
    posetrack2018.write(gt / "000010_mpii_test.json", truth("000010_mpii_test", [0]))
    posetrack2018.write(gt / "000099_mpii_test.json", truth("000099_mpii_test", [0]))
    draw(tmp_path / "frames" / "000033_mpii_test", ["a.jpg", "b.jpg"])
    posetrack2018.write(gt / "000033_mpii_test.json", truth("000033_mpii_test", range(3)))
    out = tmp_path / "s.zip"
    report = submit(frames, out, gt=gt)
    assert set(report.failed) == {"000010_mpii_test", "000099_mpii_test", "000033_mpii_test"}
    assert report.failed["000010_mpii_test"] == "a white picture"
    assert "2 pictures for 3 frames" in report.failed["000033_mpii_test"]
    assert not out.exists()
    written = {path.name for path in (tmp_path / "s").glob("*.json")}
    assert written == {"000011_mpii_test.json", "000022_bonn_train.json"}


def test_a_damaged_picture_keeps_its_place(frames: Path, gt: Path, tmp_path: Path) -> None:
    for damaged in (frames / "000011_mpii_test" / "000004.jpg", frames / "000022117" / "00003.jpg"):
        damaged.write_bytes(b"no picture")
    report = submit(frames, tmp_path / "s.zip", gt=gt)
    assert len(report.warnings) == 2
    assert check(tmp_path / "s.zip", gt=gt) == []
    for name, place in (("000011_mpii_test", 4), ("000022_bonn_train", 2)):
        ours = posetrack2018.read(tmp_path / "s" / f"{name}.json")
        theirs = posetrack2018.read(gt / f"{name}.json")
        assert [len(frame) for frame in ours] == [1] * len(theirs)  # the tracker knows where people are meanwhile
        assert ours[place].score[0, 0] < ours[place - 1].score[0, 0]
        for number, (frame, true) in enumerate(zip(ours, theirs, strict=True)):
            assert np.abs(frame.xy - true.xy)[frame.found].max() < (3 if number == place else 0.6)


def test_pictures_that_the_ground_truth_lacks_only_help(frames: Path, gt: Path, tmp_path: Path) -> None:
    posetrack2018.write(gt / "000011_mpii_test.json", truth("000011_mpii_test", [2, 3, 5]))
    submit(frames, tmp_path / "s.zip", gt=gt / "000011_mpii_test.json")
    ours = posetrack2018.read(tmp_path / "s" / "000011_mpii_test.json")
    assert [frame.file_name[-10:] for frame in ours] == ["000002.jpg", "000003.jpg", "000005.jpg"]
    assert len(read_sequence(tmp_path / "s" / "000011_mpii_test.parquet").frames) == 8


def test_ground_truth_of_2017_makes_files_of_2017(tmp_path: Path) -> None:
    draw(tmp_path / "frames" / "000342_mpii", [f"{number:08d}.jpg" for number in range(1, 6)])
    frames = [
        replace(frame, file_name=f"images/bonn_5sec/000342_mpii/{number:08d}.jpg", image_id=number)
        for number, frame in enumerate(truth("", range(5)), start=1)
    ]
    (tmp_path / "gt").mkdir()
    name = "000342_mpii_relpath_5sec_testsub.json"
    annolist.write(tmp_path / "gt" / name, frames)
    submit(tmp_path / "frames", tmp_path / "s.zip", gt=tmp_path / "gt")
    assert names_in(tmp_path / "s.zip") == [name]
    assert read_labelled(tmp_path / "s" / name).form == "2017"
    assert check(tmp_path / "s.zip", gt=tmp_path / "gt") == []
    assert evaluate(tmp_path / "gt", tmp_path / "s").total.accuracy.ap[-1] == 100


def test_output_settings_leave_out_what_is_unsure(frames: Path, tmp_path: Path) -> None:
    assert submit(frames, tmp_path / "a.zip", assignments=["output.min_person_score=0.95"]).people == 0
    assert submit(frames, tmp_path / "b.zip", assignments=["output.min_joint_score=0.95"]).people == 0
    nobody_is_born = ["tracker.strong_score=0.95"]
    assert submit(frames, tmp_path / "c.zip", assignments=nobody_is_born).people == 0
    assert submit(frames, tmp_path / "d.zip", assignments=[*nobody_is_born, "output.untracked=true"]).people == 14
    assert not [line for line in check(tmp_path / "d.zip") if "track_id" in line]


def test_no_folders_at_all(tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="none|no folders with pictures"):
            submit(folder, tmp_path / "s.zip")


def test_saved_poses_give_the_same_predictions(frames: Path, gt: Path, tmp_path: Path) -> None:
    """Tuning begins where the submission stands."""
    for damaged in (frames / "000011_mpii_test" / "000004.jpg", frames / "000022117" / "00003.jpg"):
        damaged.write_bytes(b"no picture")
    submit(frames, tmp_path / "s.zip", gt=gt)
    materials, without = load(gt, tmp_path / "s")
    assert (len(materials), without) == (2, [])
    for material, tracked in zip(materials, Judge(materials).tracked(Settings()), strict=True):
        again = submission.predict(tracked, material.target, Settings().output)
        written = submission.write_predictions(tmp_path, material.target, again)
        assert written.read_bytes() == (tmp_path / "s" / written.name).read_bytes()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["000001_mpiinew_test", "000001_bonn_train"], {"000001_bonn_train": "000001_bonn_train"}),
        (["000001"], {}),  # of the two sequences with this number it may be either
        (["060470979"], {"060470_mpii_test": "060470979"}),
        (["060470979", "060470123"], {}),
        (["sports"], {"000342_mpii_relpath_5sec_testsub": "sports"}),  # the folder that its frames name
    ],
)
def test_folders_are_found_by_name_or_by_number(names: list[str], expected: dict[str, str]) -> None:
    targets = [
        submission.Target(name, "2018", [], frozenset([name, *more]))
        for name, *more in (
            ["000001_bonn_train"],
            ["000001_mpii_test"],
            ["060470_mpii_test"],
            ["000342_mpii_relpath_5sec_testsub", "sports"],
        )
    ]
    assert submission.match_names(targets, names) == expected


def test_the_real_sequence(shared: Path, tmp_path: Path) -> None:
    """With the shipped network: every frame is there, and neck and head top, which it does not know, are right."""
    from posetrack_app.estimator import PoseEstimator

    data = shared / "data" / "posetrack"
    (tmp_path / "gt").mkdir()
    name = "060470_mpii_test.json"
    (tmp_path / "gt" / name).write_bytes((data / "gt" / name).read_bytes())
    settings = Settings()
    report = submission.submit(
        data / "frames",
        tmp_path / "s.zip",
        settings=settings,
        estimator=PoseEstimator.from_settings(settings),
        gt=tmp_path / "gt",
    )
    assert (report.sequences, report.frames, report.failed) == (1, 41, {})
    assert check(tmp_path / "s.zip", gt=tmp_path / "gt") == []
    assert json.loads((tmp_path / "s" / name).read_text())["images"][40]["id"] == 10604700040
    total = evaluate(tmp_path / "gt", tmp_path / "s").total
    neck, head_top = total.accuracy.ap[[12, 14]]
    assert min(neck, head_top) > 95
    assert total.accuracy.ap[-1] > 75
