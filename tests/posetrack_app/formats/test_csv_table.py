"""Poses as CSV: what tells of the film is in columns that are there only where they say something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.skeleton import COCO17
from posetrack_app.config import Settings
from posetrack_app.errors import InputError
from posetrack_app.formats import csv_table, parquet
from posetrack_app.formats.reading import read_poses
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.retrack import read_saved, retrack
from posetrack_app.types import Poses

COLUMNS = "frame,seconds,track,person_score,joint,x,y,score,origin"
BODY = np.stack([np.tile([-10.0, 10.0], 9)[:17], np.linspace(-50, 50, 17)], axis=-1)


def seen_by_the_network(frames: range, *, every: int, cuts: tuple[int, ...], nobody: range) -> PoseSequence:
    """Somebody who walks, in the frames that the network sees of a film."""
    seen = {frames[0], frames[-1], *cuts, *(cut - 1 for cut in cuts)}
    posed = []
    for index in frames:
        N = int((index % every == 0 or index in seen) and index not in nobody)
        xy, score = np.tile(BODY + (100 + index, 200), (N, 1, 1)), np.full((N, 17), 0.9)
        poses = Poses.untracked(xy=xy, joint_score=score, score=np.full(N, 0.9))
        posed.append(PosedFrame(index, index / 25, poses, cut=index in cuts))
    return PoseSequence("film", COCO17, 400, 400, posed, every=every, is_stretch=frames[0] > 0)


def tracked_again(path: Path) -> PoseSequence:
    return retrack(read_saved(path), Settings()).sequence


@pytest.mark.parametrize("every", [1, 4, 20])
@pytest.mark.parametrize("first", [0, 5])
@pytest.mark.parametrize("cuts", [(), (22,), (22, 31, 42)], ids=["one shot", "two shots", "a shot of nobody"])
def test_a_run_is_tracked_again_by_its_csv(every: int, first: int, cuts: tuple[int, ...], tmp_path: Path) -> None:
    nobody = range(31, 42) if len(cuts) == 3 else range(0)
    film = seen_by_the_network(range(first, 60), every=every, cuts=cuts, nobody=nobody)
    parquet.write_sequence(tmp_path / "seen.parquet", film)
    run = tracked_again(tmp_path / "seen.parquet")
    assert {int(track) for frame in run.frames for track in frame.poses.track_id} == set(range(len({*cuts} - {31}) + 1))
    csv_table.write(tmp_path / "run.csv", run)
    back = read_poses(tmp_path / "run.csv")
    assert back.every == every
    assert [frame.index for frame in back.frames if frame.cut] == [cut for cut in cuts if cut not in nobody]
    again = tracked_again(tmp_path / "run.csv")
    assert sum(len(frame.poses) for frame in again.frames[:first]) == 0
    for one, other in zip(run.frames, again.frames[first:], strict=True):
        np.testing.assert_array_equal(one.poses.track_id, other.poses.track_id)
        np.testing.assert_array_equal(one.poses.origin, other.poses.origin)
        np.testing.assert_allclose(one.poses.xy, other.poses.xy, atol=1e-3)


def test_columns_are_there_where_they_say_something(tmp_path: Path) -> None:
    def header(sequence: PoseSequence, raw_xy: np.ndarray | None = None) -> str:
        csv_table.write(tmp_path / "poses.csv", sequence, raw_xy=raw_xy)
        return (tmp_path / "poses.csv").read_text().partition("\n")[0].replace('"', "")

    film = seen_by_the_network(range(3), every=1, cuts=(), nobody=range(0))
    assert header(film, np.full((3, 17, 2), np.nan, dtype=np.float32)) == COLUMNS
    assert header(replace(film, every=2)) == f"{COLUMNS},every"
    cut = seen_by_the_network(range(3), every=1, cuts=(2,), nobody=range(0))
    assert header(cut, np.ones((3, 17, 2), dtype=np.float32)) == f"{COLUMNS},raw_x,raw_y,shot"


def test_places_before_smoothing_stand_beside_their_joints(tmp_path: Path) -> None:
    """Also in long films, and empty where nothing was seen."""
    film = seen_by_the_network(range(2100), every=1, cuts=(), nobody=range(7, 11))
    raw = np.random.default_rng(1).uniform(0, 99, (2096, 17, 2)).astype(np.float32)
    raw[50] = np.nan
    csv_table.write(tmp_path / "poses.csv", film, raw_xy=raw)
    rows = [line.split(",") for line in (tmp_path / "poses.csv").read_text().splitlines()[1:]]
    read = np.array([[float(cell or "nan") for cell in row[9:11]] for row in rows])
    np.testing.assert_allclose(read.reshape(-1, 17, 2), raw, rtol=1e-6)
    assert [int(row[0]) for row in rows[::17]] == [*range(7), *range(11, 2100)]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("shot", (0, 3), r"row 18: `shot` 3 is out of range"),
        ("shot", (0, -1), r"row 18: `shot` -1 is out of range"),
        ("shot", (0, "one"), r"row 18: `shot` is 'one', it must be a whole number"),
        ("every", (0, 0), r"row 1: `every` 0 is out of range"),
        ("every", (2, ""), r"row 18 has no `every`"),
    ],
)
def test_errors_name_the_row(column: str, values: tuple[object, object], message: str, tmp_path: Path) -> None:
    rows = [f"{n},0.5,1,0.9,{joint},1,2,0.5,observed,{values[n]}" for n in (0, 1) for joint in COCO17.joints]
    (tmp_path / "poses.csv").write_text("\n".join([f"{COLUMNS},{column}", *rows]) + "\n")
    with pytest.raises(InputError, match=message):
        read_poses(tmp_path / "poses.csv")


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    for column in COLUMNS.split(","):
        (tmp_path / "poses.csv").write_text(",".join(name for name in COLUMNS.split(",") if name != column) + "\n")
        with pytest.raises(InputError, match=f"no CSV of poses of ours: it lacks the column `{column}`"):
            read_poses(tmp_path / "poses.csv")
