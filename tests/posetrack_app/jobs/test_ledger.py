"""Which inputs are done and which are not: told from files that runs, and runs that broke off, leave."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from posetrack_app.config import Settings, override
from posetrack_app.errors import OutputError, UsageError
from posetrack_app.jobs.ledger import RESULTS, Job, Sign, check_apart, is_open, jobs_of, note_inputs, reopen, survey
from posetrack_app.video import Source, expand_inputs

SETTINGS = Settings()


def job(out: Path, name: str = "clip") -> Job:
    return Job(Source(location=f"videos/{name}.mp4", kind="video", name=name), out / name)


def finish(one: Job, settings: Settings = SETTINGS) -> None:
    """What a complete run leaves."""
    one.folder.mkdir(parents=True, exist_ok=True)
    for name in RESULTS:
        (one.folder / name).write_text("")
    told = {
        "complete": True,
        "input": {"location": one.source.location},
        "frames_written": 7,
        "people": 2,
        "doubts": 1,
        "seconds": {"total": 3.5},
        "fps": 2.0,
        "warnings": [],
        "settings": asdict(settings),
    }
    (one.folder / "run.json").write_text(json.dumps(told))


def gone_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def sign(folder: Path, **values: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Sign(input="videos/clip.mp4", **values).write(folder)  # type: ignore[arg-type]


def test_inputs_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    sources = [
        Source(location=f"{at}/Clip.mp4", kind="video", name=name) for at, name in enumerate(["clip", "Clip", "b"])
    ]
    assert [one.folder.name for one in jobs_of(sources, tmp_path)] == ["clip", "Clip-2", "b"]
    assert jobs_of([], tmp_path) == []


@pytest.mark.parametrize(
    ("inputs", "out", "says"),
    [
        (["tracked/tracked.mp4"], ".", "tracked/tracked.mp4 is the video itself"),
        (["other.mp4", "other/tracked.mp4"], ".", "other/tracked.mp4 is the video itself"),
        (["link.mp4"], "links", "links/link/tracked.mp4 is the video itself"),
        (["walk"], ".", "walk is the folder of the pictures themselves"),
        (["walk.mp4", "walk/1.png"], ".", "walk is the folder of the pictures themselves"),
        (["tracked/tracked.mp4", "other.mp4", "walk"], "out", None),
        (["walk"], "walk", None),
        (["camera:0", "none.mp4"], ".", None),
    ],
)
def test_results_in_the_place_of_an_input_are_refused(
    inputs: list[str], out: str, says: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = [
        "tracked/tracked.mp4",
        "other.mp4",
        "other/tracked.mp4",
        "walk.mp4",
        "walk/1.png",
        "links/link/tracked.mp4",
    ]
    for name in files:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    if hasattr(os, "symlink"):
        Path("link.mp4").symlink_to("links/link/tracked.mp4")
    jobs = jobs_of(expand_inputs(inputs), Path(out))
    if says is None:
        check_apart(jobs)
        return
    with pytest.raises(UsageError, match=f"^{says}; --out writes elsewhere$"):
        check_apart(jobs)


def test_what_is_done_is_done_for_the_same_input_and_settings_only(tmp_path: Path) -> None:
    one = job(tmp_path)
    assert is_open(one, SETTINGS)
    finish(one)
    assert not is_open(one, SETTINGS)
    absolute = Job(Source(location=os.path.abspath("videos/clip.mp4"), kind="video", name="clip"), one.folder)
    assert not is_open(absolute, SETTINGS)
    with pytest.raises(OutputError, match=r"tracker.birth_frames \(\d+, now 9\).*--overwrite"):
        is_open(one, override(SETTINGS, ["tracker.birth_frames=9"]))
    with pytest.raises(OutputError, match="videos/clip.mp4"):
        is_open(Job(Source(location="other/clip.mp4", kind="video", name="clip"), one.folder), SETTINGS)


def test_files_that_are_not_ours_are_not_replaced(tmp_path: Path) -> None:
    one = job(tmp_path)
    one.folder.mkdir()
    (one.folder / "poses.json").write_text("mine")
    with pytest.raises(OutputError, match="poses.json"):
        is_open(one, SETTINGS)
    (one.folder / "attempt-1").mkdir()  # broken off while its files moved to their places
    assert is_open(one, SETTINGS)


def test_a_reopened_input_counts_as_not_done_and_keeps_its_files(tmp_path: Path) -> None:
    one = job(tmp_path)
    reopen(one)
    assert not one.folder.exists()
    finish(one)
    reopen(one)
    assert is_open(one, override(SETTINGS, ["tracker.birth_frames=9"]))
    assert (one.folder / "tracked.mp4").exists()
    assert [outcome.state for outcome in survey(tmp_path)] == ["waiting"]


def test_every_state_is_seen(tmp_path: Path) -> None:
    names = ["done", "running", "gone", "elsewhere", "silent", "failed", "interrupted", "alone", "waiting"]
    note_inputs(tmp_path, [job(tmp_path, name) for name in names])
    finish(job(tmp_path, "done"))
    sign(tmp_path / "running" / "attempt-1", frames=4, frames_expected=9)
    sign(tmp_path / "gone" / "attempt-1", process=gone_process())
    sign(tmp_path / "elsewhere" / "attempt-1", host="another", process=gone_process())
    sign(tmp_path / "silent" / "attempt-1", host="another")
    silent = tmp_path / "silent" / "attempt-1" / "job.json"
    told = json.loads(silent.read_text())
    silent.write_text(json.dumps({**told, "updated": told["updated"] - 1000}))
    sign(tmp_path / "failed", state="failed", error="no video")
    sign(tmp_path / "interrupted", state="interrupted")
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "run.partial.json").write_text("{}")
    (tmp_path / "notes").mkdir()  # none of ours
    found = {outcome.folder: outcome for outcome in survey(tmp_path)}
    assert {name: found[name].state for name in names} == {
        "done": "done",
        "running": "running",
        "gone": "stopped",
        "elsewhere": "running",
        "silent": "stopped",
        "failed": "failed",
        "interrupted": "interrupted",
        "alone": "interrupted",
        "waiting": "waiting",
    }
    assert list(found) == names
    assert (found["running"].frames, found["running"].frames_expected) == (4, 9)
    assert (found["done"].frames, found["done"].people, found["done"].input) == (7, 2, "videos/done.mp4")
    assert found["failed"].error == "no video"
    silent_age = found["silent"].age_seconds
    assert silent_age is not None
    assert silent_age > 999


def test_of_a_run_of_one_input_alone_is_told_what_it_left(tmp_path: Path) -> None:
    folder, seen = tmp_path / "clip", tmp_path / "clip" / "seen.partial"
    seen.mkdir(parents=True)
    (seen / "key.json").write_text("{}")
    for first, last in ((50, 54), (55, 57)):  # of a stretch
        np.savez(seen / f"{first:09d}.npz", index=np.arange(first, last + 1))

    def told(seconds_ago: float, *paths: Path) -> tuple[str, str, int, int | None]:
        for path in paths:
            os.utime(path, (time.time() - seconds_ago,) * 2)
        (one,) = survey(tmp_path)
        assert one.age_seconds == pytest.approx(seconds_ago, abs=5)
        return one.input, one.state, one.frames, one.frames_expected

    assert told(0) == ("clip", "running", 8, None)
    assert told(1000, *seen.iterdir()) == ("clip", "stopped", 8, None)
    report = {"input": {"location": "videos/clip.mp4", "frames_expected": 30}, "frames_written": 6}
    (folder / "run.partial.json").write_text(json.dumps(report))
    assert told(100, folder / "run.partial.json") == ("videos/clip.mp4", "interrupted", 6, 30)
    (seen / "000000058.npz").write_text("damaged")  # it goes on
    assert told(0) == ("videos/clip.mp4", "running", 0, 30)
    for host, process, state in [
        (socket.gethostname(), os.getpid(), "running"),
        (socket.gethostname(), gone_process(), "stopped"),
        ("another", gone_process(), "running"),
    ]:
        (seen / "writer.json").write_text(json.dumps({"host": host, "process": process}))
        assert told(0) == ("videos/clip.mp4", state, 0, 30)
    finish(job(tmp_path))
    assert survey(tmp_path)[0].state == "done"


def test_a_new_attempt_outlives_the_failure_before_it(tmp_path: Path) -> None:
    sign(tmp_path / "clip" / "attempt-1", process=gone_process())
    sign(tmp_path / "clip", state="failed", error="no memory")
    assert survey(tmp_path)[0].state == "failed"
    sign(tmp_path / "clip" / "attempt-2")
    assert survey(tmp_path)[0].state == "running"


def test_lists_of_several_commands_come_together(tmp_path: Path) -> None:
    note_inputs(tmp_path, [])
    assert survey(tmp_path) == []
    note_inputs(tmp_path, [job(tmp_path, "a"), job(tmp_path, "b")])
    note_inputs(tmp_path, [job(tmp_path, "b"), job(tmp_path, "c")])
    assert [outcome.folder for outcome in survey(tmp_path)] == ["a", "b", "c"]


def test_many_may_write_the_list_at_once(tmp_path: Path) -> None:
    jobs = [job(tmp_path, f"clip{number}") for number in range(50)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: note_inputs(tmp_path, jobs), range(40)))
    assert [path.name for path in tmp_path.iterdir()] == ["inputs.json"]
    assert len(survey(tmp_path)) == 50


def test_what_is_damaged_is_not_done(tmp_path: Path) -> None:
    one = job(tmp_path)
    finish(one)
    (one.folder / "run.json").write_text("{")
    sign(one.folder)
    assert is_open(one, SETTINGS)
    (one.folder / "job.json").write_text('{"colour": 3}')
    assert survey(tmp_path) == []
    assert survey(tmp_path / "none") == []
