"""`submit`, `submit check` and `tune` as a user meets them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from posetrack_app.formats import posetrack2018
from posetrack_app.formats.posetrack2018 import read


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "posetrack_app", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sequence of four grey pictures with nobody in them."""
    folder = tmp_path_factory.mktemp("frames")
    (folder / "000011_mpii_test").mkdir()
    for number in range(4):
        picture = np.full((64, 96, 3), 90, dtype=np.uint8)
        assert cv2.imwrite(str(folder / "000011_mpii_test" / f"{number:06d}.jpg"), picture)
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["submit"], "submit needs --frames DIR and --out FILE.zip"),
        (["submit", "--frames", "."], "submit needs --frames DIR and --out FILE.zip"),
        (["submit", "--frames", ".", "--out", "folder"], "must end in .zip"),
        (["submit", "check"], "Missing argument 'FILE'"),
        (["submit", "--frames", ".", "--out", "a.zip", "--set", "output.min_joint=1"], "output.min_joint_score"),
        (["submit", "--frames", ".", "--out", "a.zip", "--set", "network.every=2"], "a submission sees every picture"),
        (["tune", "--gt", "."], "Missing option '--poses'"),
    ],
)
def test_wrong_calls(arguments: list[str], message: str) -> None:
    done = call(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_submit_check_and_tune(frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "submission.zip"
    done = call("submit", "--frames", frames, "--out", out, "--device", "cpu")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 sequences, 4 frames, 0 people" in done.stdout
    assert "mend" not in done.stdout
    again = call("submit", "--frames", frames, "--out", out)
    assert again.returncode == 1
    assert "--overwrite" in again.stderr

    right = call("submit", "check", out)
    assert (right.returncode, right.stderr) == (0, "")
    name = "000011_mpii_test.json"
    gt = tmp_path / "gt"
    gt.mkdir()
    posetrack2018.write(gt / name, read(out.with_suffix("") / name))
    posetrack2018.write(gt / "000012_mpii_test.json", [])
    wrong = call("submit", "check", out, "--gt", gt)
    assert (wrong.returncode, wrong.stderr) == (1, "")
    assert wrong.stdout == "1 of 2 files are missing: 000012_mpii_test.json\n"

    nothing = call("tune", "--gt", gt, "--poses", out.with_suffix(""))
    assert nothing.returncode == 1
    assert "nothing to compute MAP from" in nothing.stderr or "nothing to compute MOTA from" in nothing.stderr
