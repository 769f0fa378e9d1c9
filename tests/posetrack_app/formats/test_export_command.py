"""The export command as a user meets it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from models.skeleton import COCO17
from posetrack_app.appearance import SIZE
from posetrack_app.cli import app
from posetrack_app.errors import OutputError, UsageError
from posetrack_app.formats.parquet import ParquetWriter
from posetrack_app.formats.reading import read_poses
from posetrack_app.types import Poses


def export(*arguments: str | Path) -> None:
    app(["export", *map(str, arguments)], standalone_mode=False)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run of two frames, smoothed, with a person in the second, and what that one looks like."""
    folder = tmp_path / "clip"
    folder.mkdir()
    writer = ParquetWriter(
        folder / "poses.parquet", skeleton=COCO17, video="clip", width=64, height=48, raw=True, appearance=SIZE
    )
    writer.add(0, 0.0, Poses.empty(17), raw_xy=np.zeros((0, 17, 2), dtype=np.float32))
    xy = np.arange(34, dtype=np.float32).reshape(1, 17, 2)
    person = Poses.untracked(xy=xy, joint_score=np.ones((1, 17)), score=[0.5]).with_tracks([6])
    person = replace(person, appearance=np.full((1, SIZE), 0xC3, dtype=np.uint8))  # no text of any encoding
    writer.add(1, 0.25, person, raw_xy=xy + 1)
    writer.close()
    return folder


def test_every_form_lands_beside_the_poses(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("posetrack2018", "posetrack2017", "coco", "openpose", "csv", "trc", "mot", "cvat"):
        export(run, "--to", form)
        assert capsys.readouterr().out.endswith(": 2 frames, 1 people\n")
    assert sorted(path.name for path in run.iterdir()) == [  # and nothing half written
        "poses.csv", "poses.parquet", "poses_coco.json", "poses_cvat.xml", "poses_mot.txt", "poses_openpose",
        "poses_posetrack2017.json", "poses_posetrack2018.json", "poses_trc",
    ]  # fmt: skip


def test_csv_of_a_table_has_the_documented_columns(run: Path) -> None:
    export(run / "poses.parquet", "--to", "csv")
    table = pq.read_table(run / "poses.parquet")
    text = pyarrow.csv.read_csv(run / "poses.csv")
    assert ",".join(text.column_names) == "frame,seconds,track,person_score,joint,x,y,score,origin,raw_x,raw_y"
    for name in ("x", "raw_x", "raw_y", "seconds"):
        np.testing.assert_allclose(text[name].to_numpy(), table[name].to_numpy(), rtol=1e-6)
    assert text["joint"].to_pylist() == table["joint"].to_pylist()
    assert len(read_poses(run / "poses.csv").frames) == 2


def test_a_table_as_a_table_loses_nothing(run: Path, tmp_path: Path) -> None:
    export(run, "--to", "parquet", "--out", tmp_path / "copy.parquet")
    assert pq.read_table(tmp_path / "copy.parquet").equals(pq.read_table(run / "poses.parquet"))


@pytest.mark.parametrize("form", ["coco", "openpose", "csv", "parquet", "trc"])
def test_folders_are_made_and_nothing_is_left_of_what_fails(
    form: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:

        def full(path: Path, target: Path) -> None:
            raise OSError(28, "No space left on device")

        broken.setattr(Path, "replace", full)
        with pytest.raises(OutputError, match="No space left on device"):
            export(run, "--to", form, "--out", tmp_path / "new" / "deep" / "poses")
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]
    export(run, "--to", form, "--out", tmp_path / "new" / "deep" / "poses")
    assert [path.name for path in (tmp_path / "new" / "deep").iterdir()] == ["poses"]


def test_a_folder_that_cannot_be_made(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make the folder .*file/deep"):
        export(run, "--to", "coco", "--out", tmp_path / "file" / "deep" / "poses.json")


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
