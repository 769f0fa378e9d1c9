"""The summary and the table of all poses, against the tables that they are made of."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.skeleton import COCO17
from posetrack_app.errors import InputError
from posetrack_app.formats.parquet import ParquetWriter
from posetrack_app.jobs.ledger import Outcome
from posetrack_app.jobs.merged import merge_poses, write_summary
from posetrack_app.types import Origin, Poses


def poses(random: np.random.Generator, persons: int) -> Poses:
    return Poses(
        xy=random.random((persons, 17, 2), dtype=np.float32) * 100,
        joint_score=random.random((persons, 17), dtype=np.float32),
        score=random.random(persons, dtype=np.float32),
        track_id=np.arange(persons, dtype=np.int64),
        origin=random.choice([Origin.OBSERVED, Origin.COASTED], persons).astype(np.uint8),
    )


def write(folder: Path, persons: Sequence[int]) -> None:
    folder.mkdir()
    random = np.random.default_rng(len(persons))
    writer = ParquetWriter(folder / "poses.parquet", skeleton=COCO17, video=folder.name, width=100, height=100)
    for index, count in enumerate(persons):
        writer.add(index, index / 25, poses(random, count))
    writer.close()


def rows(path: Path) -> list[dict[str, object]]:
    return list(pq.read_table(path).to_pylist())


@pytest.mark.parametrize("limit", [1, 200, 65_536])
def test_all_rows_come_in_order_with_their_video(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posetrack_app.jobs.merged._ROWS_A_GROUP", limit)
    videos = {"a": [2, 0, 3], "nobody": [0, 0], "none": [], "b": [1] * 20, "c": [4]}
    for name, persons in videos.items():
        write(tmp_path / name, persons)
    count = merge_poses(tmp_path, list(videos))
    expected = [{"video": name, **row} for name in videos for row in rows(tmp_path / name / "poses.parquet")]
    assert rows(tmp_path / "poses.parquet") == expected
    assert count == len(expected) == 17 * 29
    file = pq.ParquetFile(tmp_path / "poses.parquet")
    assert pa.types.is_dictionary(file.schema_arrow.field("video").type)
    assert file.num_row_groups == {1: 3, 200: 2, 65_536: 1}[limit]
    assert not list(tmp_path.glob("*.partial*"))


def test_nothing_gives_an_empty_table(tmp_path: Path) -> None:
    assert merge_poses(tmp_path, []) == 0
    assert pq.read_table(tmp_path / "poses.parquet").column_names[:2] == ["video", "frame"]


def test_a_missing_table_is_named_and_nothing_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "a", [1])
    (tmp_path / "poses.parquet").write_text("old")
    with pytest.raises(InputError, match="b.poses.parquet"):
        merge_poses(tmp_path, ["a", "b"])
    assert (tmp_path / "poses.parquet").read_text() == "old"


def test_the_summary_can_be_read_by_others(tmp_path: Path) -> None:
    outcomes = [
        Outcome(input="a, b.mp4", folder="a, b", state="done", frames=3, people=2, seconds=1.5, fps=2.0, doubts=1),
        Outcome(input='say "x".mp4', folder="x", state="failed", error="it, too,\nis broken"),
    ]
    write_summary(tmp_path / "summary.csv", outcomes)
    with (tmp_path / "summary.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert table[0] == {
        "input": "a, b.mp4", "folder": "a, b", "state": "done", "frames": "3", "people": "2", "seconds": "1.5",
        "fps": "2.0", "doubts": "1", "error": "",
    }  # fmt: skip
    assert (table[1]["input"], table[1]["error"]) == ('say "x".mp4', "it, too,\nis broken")
