"""The export command as a user meets it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from models.skeleton import COCO17
from posetrack_app.cli import app
from posetrack_app.errors import UsageError
from posetrack_app.formats.parquet import ParquetWriter
from posetrack_app.formats.reading import read_poses
from posetrack_app.types import Poses


def export(*arguments: str | Path) -> None:
    app(["export", *map(str, arguments)], standalone_mode=False)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run of two frames, smoothed, with a person in the second."""
    folder = tmp_path / "clip"
    folder.mkdir()
    writer = ParquetWriter(folder / "poses.parquet", skeleton=COCO17, video="clip", width=64, height=48, raw=True)
    writer.add(0, 0.0, Poses.empty(17), raw_xy=np.zeros((0, 17, 2), dtype=np.float32))
    xy = np.arange(34, dtype=np.float32).reshape(1, 17, 2)
    person = Poses.untracked(xy=xy, joint_score=np.ones((1, 17)), score=[0.5]).with_tracks([6])
    writer.add(1, 0.25, person, raw_xy=xy + 1)
    writer.close()
    return folder


def test_every_form_lands_beside_the_poses(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("posetrack2018", "posetrack2017", "coco", "openpose", "csv", "trc", "mot", "cvat"):
        export(run, "--to", form)
        assert capsys.readouterr().out.endswith(": 2 frames, 1 people\n")
    assert sorted(path.name for path in run.iterdir()) == [
        "poses.csv", "poses.parquet", "poses_coco.json", "poses_cvat.xml", "poses_mot.txt", "poses_openpose",
        "poses_posetrack2017.json", "poses_posetrack2018.json", "poses_trc",
    ]  # fmt: skip


def test_csv_of_a_table_has_all_its_columns(run: Path) -> None:
    export(run / "poses.parquet", "--to", "csv")
    table = pq.read_table(run / "poses.parquet")
    text = pyarrow.csv.read_csv(run / "poses.csv")
    assert text.column_names == table.column_names
    for name in ("x", "raw_x", "raw_y", "seconds"):
        np.testing.assert_allclose(text[name].to_numpy(), table[name].to_numpy(), rtol=1e-6)
    assert text["joint"].to_pylist() == table["joint"].to_pylist()
    assert len(read_poses(run / "poses.csv").frames) == 2


def test_one_program_to_another(run: Path, tmp_path: Path) -> None:
    for form, source, out in (("coco", run, "a.json"), ("parquet", tmp_path / "a.json", "b.parquet")):
        export(source, "--to", form, "--out", tmp_path / out, "--rate", "8")
    back = read_poses(tmp_path / "b.parquet")
    assert back.frames[1].seconds == 0.125
    assert back.frames[1].poses.track_id.tolist() == [6]


def test_the_folder_one_stands_in(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(run, "--to", "openpose")
    monkeypatch.chdir(run / "poses_openpose")
    export(".", "--to", "coco")
    assert (run / "poses_openpose_coco.json").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "parquet"], "poses.parquet is what the poses were read from; --out writes elsewhere"),
        (["--to", "coco", "--rate", "0"], "--rate is 0, it must be above 0"),
        (["--to", "coco", "--rate", "nan"], "--rate is nan, it must be above 0"),
    ],
)
def test_errors(run: Path, options: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        export(run, *options, "--overwrite")
