"""One input of many, with a network that sees a planted person: what is left behind, however it ends."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.skeleton import COCO17
from posetrack_app.config import Settings, override
from posetrack_app.errors import InputError
from posetrack_app.formats import parquet
from posetrack_app.jobs.ledger import Job, Sign, jobs_of, survey
from posetrack_app.jobs.work import work
from posetrack_app.types import Frame, Poses
from posetrack_app.video import expand_inputs

SETTINGS = override(Settings(), ["video.enabled=false"])
DATA = ["doubts.json", "poses.json", "poses.parquet", "run.json"]


class Planted:
    """Sees one standing person in every frame; `on_frame` may do what it likes."""

    skeleton = COCO17
    batch = 2
    beside = False

    def __init__(self, on_frame: Callable[[int], None] = lambda index: None) -> None:
        self.seconds = {"prepare": 0.0, "network": 0.0, "peaks": 0.0, "grouping": 0.0}
        self.on_frame = on_frame

    def describe(self) -> dict[str, Any]:
        return {"weights": "planted"}

    def settle(self, width: int, height: int) -> None:
        pass

    def begin(self, frames: Sequence[Frame]) -> Callable[[], list[Poses]]:
        found = self.estimate(frames)
        return lambda: found

    def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
        for frame in frames:
            self.on_frame(frame.index)
        body = np.stack([np.linspace(30, 50, 17), np.linspace(5, 60, 17)], axis=-1)
        return [Poses.untracked(xy=[body], joint_score=np.full((1, 17), 0.9), score=[0.9]) for _ in range(len(frames))]


def do(job: Job, on_frame: Callable[[int], None] = lambda index: None) -> Any:
    return work(job, SETTINGS, Planted(on_frame))  # type: ignore[arg-type]


@pytest.fixture
def job(clips: Path, tmp_path: Path) -> Job:
    (one,) = jobs_of(expand_inputs([str(clips / "long.mp4")]), tmp_path)
    return one


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_done_input_is_not_done_again(job: Job) -> None:
    first = do(job)
    assert (first.state, first.frames, first.people) == ("done", 400, 1)
    assert names(job.folder) == DATA

    def never(index: int) -> None:
        raise AssertionError("done twice")

    assert do(job, never) == first


def test_a_video_of_an_earlier_run_does_not_stay_beside_new_tables(job: Job) -> None:
    job.folder.mkdir()
    (job.folder / "tracked.mp4").write_text("old")
    (job.folder / "view.html").write_text("mine")
    do(job)
    assert names(job.folder) == sorted([*DATA, "view.html"])


def test_while_it_is_under_way_its_state_is_seen(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posetrack_app.jobs.work._SIGN_SECONDS", 0.0)
    seen = []

    def look(index: int) -> None:
        if index == 100:
            seen.extend(survey(tmp_path))

    do(job, look)
    assert [outcome.state for outcome in seen] == ["running"]
    assert 50 < seen[0].frames <= 100
    assert seen[0].frames_expected == 400


def test_a_bad_input_fails_with_its_reason_and_may_be_mended(clips: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_text("no video")
    (job,) = jobs_of(expand_inputs([str(path)]), tmp_path / "out")
    outcome = do(job)
    assert (outcome.state, outcome.exit_code) == ("failed", 1)
    assert "clip.mp4" in outcome.error
    assert names(job.folder) == ["job.json"]
    path.write_bytes((clips / "nobody.mp4").read_bytes())
    assert do(job).frames == 5
    assert names(job.folder) == DATA


@pytest.mark.parametrize(
    ("error", "state"), [(KeyboardInterrupt(), "interrupted"), (ZeroDivisionError("oh"), "failed")]
)
def test_what_was_finished_stays_readable(error: BaseException, state: str, job: Job) -> None:
    def stop(index: int) -> None:
        if index == 200:
            raise error

    with pytest.raises(type(error)):
        do(job, stop)
    assert names(job.folder) == sorted(
        ["job.json", "seen.partial", *(f"{Path(n).stem}.partial{Path(n).suffix}" for n in DATA)]
    )
    rows = list(parquet.read(job.folder / "poses.partial.parquet"))
    assert 150 < len(rows) <= 200
    sign = Sign.read(job.folder)
    assert sign is not None
    assert sign.state == state
    if state == "failed":
        assert sign.error == "ZeroDivisionError: oh"
        assert "in stop" in (sign.details or "")
    shown: list[int] = []
    assert do(job, shown.append).frames == 400
    assert 150 < min(shown) <= 200  # the network does not see again what it saw
    assert [index for index, _, _ in parquet.read(job.folder / "poses.parquet")] == list(range(400))
    assert names(job.folder) == DATA


def test_an_input_under_way_twice_is_done_once_and_whole(job: Job) -> None:
    """As when a cluster takes a machine for dead that goes on: the second begins and ends amid the first."""
    inner = []

    def again(index: int) -> None:
        if index == 250:
            inner.append(do(job))

    outer = do(job, again)
    assert [outer, *inner] == [inner[0]] * 2
    assert names(job.folder) == DATA
    assert [index for index, _, _ in parquet.read(job.folder / "poses.parquet")] == list(range(400))
    assert len(json.loads((job.folder / "poses.json").read_text())["images"]) == 400


def test_results_that_cannot_be_put_in_their_place_cost_no_work_of_the_network(job: Job) -> None:
    blocked = job.folder / "doubts.json" / "something"
    blocked.mkdir(parents=True)
    outcome = do(job)
    assert outcome.state == "failed"
    assert f"cannot write {job.folder}" in str(outcome.error)
    shutil.rmtree(blocked.parent)
    shown: list[int] = []
    assert do(job, shown.append).frames == 400
    assert shown == []
    assert names(job.folder) == DATA


def test_a_folder_that_cannot_be_made_is_a_failure(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (job,) = jobs_of(expand_inputs([str(clips / "nobody.mp4")]), tmp_path / "file")
    outcome = do(job)
    assert outcome.state == "failed"
    assert "cannot make the folder" in outcome.error


def test_an_error_after_frames_counts_as_failed(job: Job) -> None:
    def stop(index: int) -> None:
        if index == 100:
            raise InputError("the disk is gone")

    assert do(job, stop).error == "the disk is gone"
    assert "poses.partial.parquet" in names(job.folder)
