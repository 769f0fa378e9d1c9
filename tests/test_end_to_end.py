"""The whole way on the drawn clip: drawn, found, followed, written, compared with the exact truth."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from posetrack_app.evaluation.truth import TruthReport, compare
from posetrack_app.formats import parquet, posetrack2018
from posetrack_app.sample import SampleConfig, write_sample

RATE = 12
SECONDS = 5.0  # A passes before C and B, B before D and C, D before E; A and D leave
FRAMES = round(RATE * SECONDS)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, SampleConfig(seconds=SECONDS, rate=RATE))
    return folder


@pytest.fixture(scope="module")
def results(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    command = [sys.executable, "-m", "posetrack_app", "run", str(sample / "sample.mp4"), "--out", str(out)]
    done = subprocess.run(
        [*command, "--device", "cpu", "--precision", "float32"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out / "sample"


@pytest.fixture(scope="module")
def report(sample: Path, results: Path) -> TruthReport:
    return compare(posetrack2018.read(sample / "sample.json"), posetrack2018.read(results / "poses.json"))


def test_every_frame_is_in_every_file_with_its_time(sample: Path, results: Path) -> None:
    told = json.loads((results / "run.json").read_text())
    assert told["complete"] is True
    assert told["frames_decoded"] == told["frames_estimated"] == told["frames_written"] == FRAMES
    with av.open(str(sample / "sample.mp4")) as before, av.open(str(results / "tracked.mp4")) as after:
        times = [[float(frame.time) for frame in file.decode(video=0)] for file in (before, after)]
    assert times[1] == pytest.approx(times[0], abs=1e-3)
    assert len(posetrack2018.read(results / "poses.json")) == FRAMES
    seconds = [seconds for _, seconds, _ in parquet.read(results / "poses.parquet")]
    assert set(np.round(seconds, 3)) <= set(np.round(times[0], 3))


def test_people_are_found_where_they_are(report: TruthReport) -> None:
    assert report.frames == FRAMES
    assert report.people > 3 * FRAMES
    assert report.recall > 0.88
    assert report.pck > 0.8
    assert report.pck_of("nose") > 0.9
    assert report.false_people < 0.5 * FRAMES


def test_people_keep_their_identities(report: TruthReport) -> None:
    assert report.switches <= 6  # 0 to 5 in the clips of four seeds; every crossing is one or two where it goes wrong


def test_the_two_tables_say_the_same(results: Path) -> None:
    frames = posetrack2018.read(results / "poses.json")
    told = json.loads((results / "run.json").read_text())
    poses = 0
    for index, _, people in parquet.read(results / "poses.parquet"):
        tracked = people[people.track_id >= 0]
        poses += len(people)
        assert frames[index].track_id.tolist() == tracked.track_id.tolist()
        wrist = 9
        assert posetrack2018.JOINTS[wrist] == "left_wrist"
        assert np.allclose(frames[index].xy[:, wrist], tracked.xy[:, 9], atol=0.01)
    assert told["poses"] == poses


def test_the_video_shows_the_people(sample: Path, results: Path) -> None:
    """Where something was drawn the pictures differ, and that is around the people only."""
    frames = posetrack2018.read(results / "poses.json")
    with av.open(str(sample / "sample.mp4")) as before, av.open(str(results / "tracked.mp4")) as after:
        for index, (one, two) in enumerate(zip(before.decode(video=0), after.decode(video=0), strict=True)):
            if index % 10:
                continue
            difference = np.abs(one.to_ndarray(format="rgb24").astype(int) - two.to_ndarray(format="rgb24")).max(axis=2)
            xy, found = frames[index].xy, frames[index].found
            shown = np.zeros(difference.shape, dtype=bool)
            for person in range(len(xy)):
                x1, y1 = np.floor(xy[person][found[person]].min(axis=0) - 40).clip(0).astype(int)
                x2, y2 = np.ceil(xy[person][found[person]].max(axis=0) + 40).astype(int)
                shown[y1:y2, x1:x2] = True
            assert (difference[shown] > 60).mean() > 0.005
            assert (difference[~shown] > 60).mean() < 0.001
