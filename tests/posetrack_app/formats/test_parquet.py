"""The Parquet table: what is written comes back, streamed, and other people's tools read it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.skeleton import COCO17
from posetrack_app.errors import InputError, OutputError
from posetrack_app.formats import parquet
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.types import Poses


def people(count: int, seed: int = 0) -> Poses:
    random = np.random.default_rng(seed)
    return Poses(
        xy=random.normal(300, 200, (count, 17, 2)).astype(np.float32),
        joint_score=random.random((count, 17), dtype=np.float32),
        score=random.random(count, dtype=np.float32),
        track_id=random.permutation(1000)[:count].astype(np.int64),
        origin=random.integers(0, 3, count).astype(np.uint8),
    )


def write(path: Path, frames: list[tuple[int, float, Poses]]) -> None:
    writer = parquet.ParquetWriter(path, skeleton=COCO17, video="clip", width=640, height=360)
    for index, seconds, poses in frames:
        writer.add(index, seconds, poses)
    writer.close()


@settings(max_examples=25, deadline=None)
@given(counts=st.lists(st.integers(0, 40), max_size=60), start=st.floats(-10, 1e6))
def test_what_is_written_comes_back(counts: list[int], start: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    frames = [(index, start + index / 30, people(count, index)) for index, count in enumerate(counts)]
    path = tmp_path_factory.mktemp("table") / "poses.parquet"
    write(path, frames)
    back = list(parquet.read(path))
    assert [index for index, _, _ in back] == [index for index, _, poses in frames if len(poses)]
    for index, seconds, poses in back:
        _, seconds_before, before = frames[index]
        assert seconds == seconds_before
        for name in ("xy", "joint_score", "score", "track_id", "origin"):
            np.testing.assert_array_equal(getattr(poses, name), getattr(before, name))
    assert pq.read_metadata(path).metadata[b"frames"] == str(len(frames)).encode()


def test_a_row_is_a_joint(tmp_path: Path) -> None:
    poses = people(2)
    write(tmp_path / "poses.parquet", [(7, 0.25, poses)])
    rows = pq.read_table(tmp_path / "poses.parquet").to_pylist()
    assert len(rows) == 34
    row = rows[17 + COCO17.index("left_knee")]
    assert row["frame"] == 7
    assert row["seconds"] == 0.25
    assert row["track"] == poses.track_id[1]
    assert row["joint"] == "left_knee"
    assert (row["x"], row["y"]) == tuple(poses.xy[1, 13])
    assert row["score"] == poses.joint_score[1, 13]
    assert row["person_score"] == poses.score[1]
    assert row["origin"] in ("observed", "coasted", "interpolated")


def test_looks_are_in_the_first_row_of_a_person_and_come_back(tmp_path: Path) -> None:
    some = np.array([[0, 7, 255], [0, 0, 0]], dtype=np.uint8)
    frames = [
        PosedFrame(0, 0.0, replace(people(2), appearance=some)),
        PosedFrame(1, 0.1, people(1)),
        PosedFrame(2, 0.2, replace(people(0), appearance=np.zeros((0, 3), dtype=np.uint8))),
    ]
    sequence = PoseSequence("clip", COCO17, 640, 360, frames)
    assert sequence.appearance_size == 3
    parquet.write_sequence(tmp_path / "poses.parquet", sequence)
    column = pq.read_table(tmp_path / "poses.parquet")["appearance"].to_pylist()
    assert column == [bytes([0, 7, 255])] + [None] * (3 * 17 - 1)
    back = parquet.read_sequence(tmp_path / "poses.parquet")
    np.testing.assert_array_equal(back.frames[0].poses.appearance, some)
    np.testing.assert_array_equal(back.frames[1].poses.appearance, [[0, 0, 0]])
    assert len(back.frames[2].poses) == 0


def test_a_table_without_looks_has_no_column_of_them(tmp_path: Path) -> None:
    parquet.write_sequence(tmp_path / "poses.parquet", PoseSequence("c", COCO17, 1, 1, [PosedFrame(0, 0.0, people(2))]))
    assert "appearance" not in pq.read_schema(tmp_path / "poses.parquet").names
    assert parquet.read_sequence(tmp_path / "poses.parquet").frames[0].poses.appearance is None


def test_long_tables_are_cut_between_frames(tmp_path: Path) -> None:
    write(tmp_path / "poses.parquet", [(index, index / 30, people(50, index)) for index in range(200)])
    assert pq.ParquetFile(tmp_path / "poses.parquet").num_row_groups > 1
    assert [len(poses) for _, _, poses in parquet.read(tmp_path / "poses.parquet")] == [50] * 200


def test_an_interrupted_table_is_readable_under_its_partial_name(tmp_path: Path) -> None:
    writer = parquet.ParquetWriter(tmp_path / "poses.parquet", skeleton=COCO17, video="c", width=1, height=1)
    writer.add(0, 0.0, people(3))
    writer.abort()
    assert not (tmp_path / "poses.parquet").exists()
    assert len(list(parquet.read(tmp_path / "poses.partial.parquet"))) == 1


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.parquet does not exist"):
        list(parquet.read(tmp_path / "none.parquet"))
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(InputError, match=r"text\.parquet is not a readable Parquet file"):
        list(parquet.read(tmp_path / "text.parquet"))
    with pytest.raises(OutputError, match="cannot write"):
        parquet.ParquetWriter(tmp_path / "no" / "poses.parquet", skeleton=COCO17, video="c", width=1, height=1)


@settings(max_examples=25, deadline=None)
@given(
    counts=st.lists(st.integers(0, 3), max_size=30),
    times=st.lists(st.floats(-1e9, 1e9), min_size=30, max_size=30),
    named=st.booleans(),
)
def test_a_sequence_comes_back_with_its_empty_frames(
    counts: list[int], times: list[float], named: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    frames = [
        PosedFrame(index, times[index], people(count, index), f"{index:03}.jpg" if named else None)
        for index, count in enumerate(counts)
    ]
    path = tmp_path_factory.mktemp("table") / "poses.parquet"
    parquet.write_sequence(path, PoseSequence("clip", COCO17, 640, 360, frames))
    back = parquet.read_sequence(path)
    assert (back.video, back.skeleton, back.width, back.height) == ("clip", COCO17, 640, 360)
    assert [(f.index, f.seconds, f.name, len(f.poses)) for f in back.frames] == [
        (f.index, f.seconds, f.name, len(f.poses)) for f in frames
    ]
    for one, other in zip(back.frames, frames, strict=True):
        np.testing.assert_array_equal(one.poses.xy, other.poses.xy)


def test_raw_places_stand_beside_smoothed_ones(tmp_path: Path) -> None:
    poses = people(2)
    raw = poses.xy + 1
    raw[1, 3] = np.nan
    writer = parquet.ParquetWriter(
        tmp_path / "poses.parquet", skeleton=COCO17, video="clip", width=640, height=360, raw=True
    )
    writer.add(0, 0.0, poses, raw_xy=raw)
    writer.close()
    rows = pq.read_table(tmp_path / "poses.parquet").to_pylist()
    assert rows[0]["raw_x"] == raw[0, 0, 0]
    assert rows[17 + 3]["raw_y"] is None
    assert len(parquet.read_sequence(tmp_path / "poses.parquet").frames) == 1


def test_a_table_without_times_is_told(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([], schema=parquet.SCHEMA).replace_schema_metadata({"skeleton": "coco17"})
    pq.write_table(table, tmp_path / "poses.parquet")
    with pytest.raises(InputError, match=r"poses\.parquet does not tell its frames"):
        parquet.read_sequence(tmp_path / "poses.parquet")


def test_damage_in_the_middle_is_told(tmp_path: Path) -> None:
    path = tmp_path / "poses.parquet"
    write(path, [(index, index / 25, people(5, index)) for index in range(50)])
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"poses\.parquet is damaged in row group 0"):
        list(parquet.read(path))
