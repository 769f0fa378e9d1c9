"""The command line as a user meets it: a process, its exit code and what it prints."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from posetrack_app.commands.grouped import LIVE, MANY, NETWORK, PICTURE
from posetrack_app.commands.run import run
from posetrack_app.video import VideoWriter


def call(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "posetrack_app", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, timeout=120, check=False,
    )  # fmt: skip


def the_error(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that the user is told, without a traceback."""
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight grey frames with nobody in them."""
    path = tmp_path_factory.mktemp("clips") / "grey.mp4"
    with VideoWriter(path, width=96, height=64, rate=None) as writer:
        for index in range(8):
            writer.write(np.full((64, 96, 3), 90, dtype=np.uint8), index / 25)
    return path


def test_help_answers_without_the_network() -> None:
    code = "import sys, posetrack_app.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    done = call("--help")
    assert done.returncode == 0
    for command in ("run", "sample", "evaluate", "doctor"):
        assert command in done.stdout


def test_help_has_each_option_once_and_in_its_group() -> None:
    text = call("run", "--help").stdout
    groups = re.split(r"\n\n(?=\S.*:\n)", text)[1:]
    titles = [group.split(":\n")[0] for group in groups]
    assert titles == ["Arguments", "Options", NETWORK, PICTURE, LIVE, MANY]
    listed = re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, flags=re.MULTILINE)
    assert len(listed) == len(set(listed))
    own = {f"--{name.replace('_', '-')}" for name in inspect.signature(run).parameters}
    renamed = {"--inputs": None, "--assignments": "--set", "--from-": "--from"}
    assert set(listed) == {renamed.get(name, name) for name in own} - {None} | {"--help"}
    assert "--mirror" in groups[2]
    assert "--trails" in groups[3]


def test_run_writes_what_it_promises(clip: Path, tmp_path: Path) -> None:
    done = call("run", clip, "--out", tmp_path, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    names = {path.name for path in (tmp_path / "grey").iterdir()}
    assert names == {"tracked.mp4", "poses.json", "poses.parquet", "doubts.json", "run.json"}
    again = call("run", clip, "--out", tmp_path)
    assert again.returncode == 1
    assert "--overwrite" in the_error(again)
    assert call("run", clip, "--out", tmp_path, "--overwrite", "--quiet").stdout == ""


def test_one_bad_input_does_not_stop_the_others(clip: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    done = call("run", text, clip, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "text.mp4" in the_error(done)
    assert "failed: " in done.stderr
    assert json.loads((tmp_path / "out" / "grey" / "run.json").read_text())["frames_written"] == 8
    assert "1 of 2 inputs done" in done.stdout


def test_inputs_of_one_name_have_folders_of_their_own(clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "grey.mp4"
    other.write_bytes(clip.read_bytes())
    assert call("run", clip, other, "--out", tmp_path / "out", "--no-video").returncode == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == ["grey", "grey-2"]


def test_a_run_does_not_replace_or_take_what_it_reads(clip: Path, tmp_path: Path) -> None:
    video = tmp_path / "tracked" / "tracked.mp4"
    video.parent.mkdir()
    video.write_bytes(clip.read_bytes())
    done = call("run", video, "--out", tmp_path, "--overwrite")
    assert done.returncode == 2
    assert "is the video itself" in the_error(done)
    assert [path.name for path in video.parent.iterdir()] == ["tracked.mp4"]
    assert video.read_bytes() == clip.read_bytes()
    (video.parent / "poses.parquet").write_text("")
    done = call("run", tmp_path / "**" / "*.mp4", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "there are only results of runs" in the_error(done)
    assert not (tmp_path / "out").exists()


def test_a_dry_run_writes_nothing(clip: Path, tmp_path: Path) -> None:
    done = call("run", clip, "--out", tmp_path / "out", "--dry-run")
    assert done.returncode == 0
    assert "96x64" in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run"], 2, "INPUT"),
        (["run", "{clip}", "--overwite"], 2, "--overwrite"),
        (["run", "{clip}", "--device", "tpu"], 2, "tpu"),
        (["run", "{clip}", "--weights", "smal"], 1, "small"),
        (["run", "{clip}", "--weights", "{clip}"], 1, "grey.mp4"),
        (["run", "{clip}", "--weights", "smal", "--dry-run"], 1, "small"),
        (["run", "{clip}", "--from", "7x"], 2, "--from 7x: write seconds as 90"),
        (["run", "{clip}", "--from", "1:30", "--to", "1:20"], 2, "--to 1:20 is not after --from 1:30"),
        (["run", "{clip}", "--to", "0"], 2, "nothing before the first frame"),
        (["run", "{clip}", "--set", "network.short_sid=3"], 2, "network.short_side"),
        (["run", "{clip}", "--config", "none.toml"], 2, "none.toml"),
        (["run", "none.mp4"], 1, "none.mp4"),
        (["run", "{clip}", "--out", "{clip}"], 1, "grey.mp4"),
        (["evaluate", "coco", "--gt", "none.json", "--images", "."], 1, "none.json"),
    ],
)
def test_errors_are_one_line(arguments: list[str], code: int, says: str, clip: Path, tmp_path: Path) -> None:
    done = call(*[argument.format(clip=clip) for argument in arguments], cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert says in the_error(done)


def test_a_missing_gpu_is_said(clip: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = call("run", clip, "--out", tmp_path, "--device", "cuda")
    assert done.returncode == 2
    assert "cpu" in the_error(done)


@pytest.mark.skipif(os.name != "posix", reason="signals as on Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_readable_files(number: int, tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    with VideoWriter(path, width=320, height=240, rate=None) as writer:
        for index in range(600):
            writer.write(np.full((240, 320, 3), 90, dtype=np.uint8), index / 25)
    process = subprocess.Popen(
        [sys.executable, "-m", "posetrack_app", "run", str(path), "--out", str(tmp_path / "out")],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    video = tmp_path / "out" / "long" / "tracked.partial.mp4"
    deadline = time.monotonic() + 60
    while not video.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert stderr.count("interrupted: what was finished is kept") == 1
    written = json.loads((tmp_path / "out" / "long" / "run.partial.json").read_text())
    assert 0 < written["frames_written"] < 600


def test_the_doctor_tries_a_frame() -> None:
    done = call("doctor", "--device", "cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "one frame" in done.stdout
    assert "all is well" in done.stdout
