"""`run` with several inputs and `status`, as a user types them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrack_app.cli import app
from posetrack_app.commands.run import _listed, _part
from posetrack_app.errors import InputError, UsageError
from posetrack_app.jobs.ledger import jobs_of
from posetrack_app.video import Source

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Exit code, and what went to the two channels."""

    def called(*arguments: str | Path) -> tuple[int, str, str]:
        code = app([str(argument) for argument in arguments], standalone_mode=False)
        out, error = capsys.readouterr()
        return code or 0, out, error

    return called


@pytest.fixture
def out(clips: Path, tmp_path: Path) -> Path:
    lines = [str(clips / "nobody.mp4"), "", "# no video", f"  {clips / 'text.mp4'}", str(clips / "people.mp4")]
    (tmp_path / "videos.txt").write_text("\n".join(lines), encoding="utf-8-sig")
    return tmp_path / "out"


def stamps(out: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob("*/run.json")}


def test_the_same_command_goes_on_where_it_was(call: Call, clips: Path, out: Path) -> None:
    command = ("run", out.parent / "videos.txt", "--out", out, "--no-video", "--device", "cpu")
    code, told, errors = call(*command, "--part", "1/2")
    assert (code, sorted(stamps(out))) == (0, ["nobody", "people"])
    assert "2 of 2 inputs done" in told
    assert errors == ""
    _, told, _ = call("status", out, "--json", out.parent / "status.json")
    assert "3 inputs: 2 done, 1 waiting; 13 frames done" in told
    content = json.loads((out.parent / "status.json").read_text())
    assert content["totals"] == {"inputs": 3, "done": 2, "waiting": 1, "frames_done": 13}
    assert [one["state"] for one in content["inputs"]] == ["done", "waiting", "done"]

    before = stamps(out)
    code, told, errors = call(*command, "--merge")
    assert code == 1
    assert "2 of 3 inputs are done already" in told
    assert "2 of 3 inputs done;" in told
    assert errors.count("error: ") == 1
    assert f"failed: {clips / 'text.mp4'}" in errors
    assert stamps(out) == before
    with (out / "summary.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["folder"], row["state"]) for row in rows] == [
        ("nobody", "done"), ("text", "failed"), ("people", "done"),
    ]  # fmt: skip
    assert "text.mp4" in rows[1]["error"]
    merged = pq.read_table(out / "poses.parquet")
    assert set(merged["video"].to_pylist()) == {"people"}
    assert merged.drop(["video"]).num_rows == pq.read_table(out / "people" / "poses.parquet").num_rows > 0
    _, told, _ = call("status", out)
    assert "1 failed" in told

    code, _, errors = call(*command, "--set", "tracker.birth_frames=9")
    assert code == 1
    assert errors.count("tracker.birth_frames") == 2
    assert stamps(out) == before
    code, told, _ = call(*command, "--set", "tracker.birth_frames=9", "--overwrite")
    assert set(stamps(out).values()).isdisjoint(before.values())
    assert "already" not in told


def test_results_of_other_settings_are_not_merged_and_that_is_said(call: Call, clips: Path, out: Path) -> None:
    both = ("run", clips / "people.mp4", clips / "others.mp4", "--out", out, "--no-video", "--device", "cpu", "--merge")
    assert call(*both[:2], *both[3:])[0] == 0
    before = (out / "poses.parquet").read_bytes()
    code, told, errors = call(*both, "--part", "1/2", "--every", "2")
    assert (code, "0 of 1 inputs done" in told) == (1, True)
    assert f"{out / 'poses.parquet'} is not written: there are only results of other settings: people\n" in errors
    assert (out / "poses.parquet").read_bytes() == before
    code, _, errors = call(*both, "--every", "2")
    assert code == 1
    assert f"{out / 'poses.parquet'} is written without results of other settings: people\n" in errors
    assert set(pq.read_table(out / "poses.parquet")["video"].to_pylist()) == {"others"}


def test_a_dry_run_says_what_is_done(call: Call, clips: Path, out: Path) -> None:
    command = ("run", clips / "nobody.mp4", clips / "others.mp4", "--out", out, "--no-video", "--device", "cpu")
    assert call(*command, "--part", "1/2", "--quiet") == (0, "", "")
    _, told, _ = call(*command, "--dry-run")
    assert "nobody.mp4: done already" in told
    assert f"-> {out / 'others'}" in told
    assert not (out / "others").exists()


def test_a_dry_run_names_the_stretch_and_refuses_one_beyond_the_end_as_a_run_does(
    call: Call, clips: Path, out: Path
) -> None:
    command = ("run", clips / "long.mp4", "--out", out, "--no-video", "--device", "cpu")
    code, told, errors = call(*command, "--from", "4", "--to", "0:06", "--dry-run")
    assert (code, errors) == (0, "")
    assert f"long.mp4: 96x64, from 4 s to 6 s, about 50 frames, 25.00 frames/s -> {out / 'long'}/" in told
    beyond = (*command, "--from", "20", "--to", "25")
    words = f"{clips / 'long.mp4'} has no frame from 20 s to 25 s: it lasts 16.0 s"
    with pytest.raises(InputError) as of_run:
        call(*beyond)
    assert str(of_run.value) == words
    code, told, errors = call(*beyond, "--dry-run")
    assert (code, errors) == (1, f"error: {words}\n")
    assert "long.mp4" not in told


def test_a_list_without_inputs_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# nothing\n\n")
    with pytest.raises(InputError, match="names no input"):
        _listed([str(tmp_path / "a.txt")])
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="cannot read the list"):
        _listed([str(tmp_path / "b.txt")])
    assert _listed(["c.txt", "d.mp4"]) == ["c.txt", "d.mp4"]


@given(inputs=st.integers(0, 30), parts=st.integers(1, 40))
def test_parts_are_all_and_each_once(inputs: int, parts: int) -> None:
    jobs = jobs_of([Source(location=f"{at}.mp4", kind="video", name="clip") for at in range(inputs)], Path("out"))
    divided = [_part(jobs, f"{part}/{parts}") for part in range(1, parts + 1)]
    together = [job for some in divided for job in some]
    assert sorted(together, key=jobs.index) == jobs
    assert max(map(len, divided)) - min(map(len, divided)) <= 1


@pytest.mark.parametrize("part", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3"])
def test_a_part_that_is_none_is_refused(part: str) -> None:
    with pytest.raises(UsageError, match="K/N"):
        _part([], part)


def test_status_of_what_is_no_run_is_an_error(call: Call, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="--out"):
            call("status", folder)
