"""After the fact: a track that was cut comes back, two people stay two, and each step does what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackers.filling import fill_gaps
from trackers.joining import join_tracks, keep_people
from trackers.refine import RefineConfig, drop_short, refine
from trackers.sides import repair_sides
from trackers.table import COASTED, INTERPOLATED, OBSERVED, TrackTable

RATE = 25.0
BODY = np.stack([np.tile([-10.0, 10.0], 9)[:17], np.linspace(-50, 50, 17)], axis=-1)
ARMS, LEGS = [(5, 6), (7, 8), (9, 10)], [(11, 12), (13, 14), (15, 16)]

Path = Callable[[float], tuple[float, float]]
"""Place of a person by time."""


def video(paths: Sequence[tuple[int, Path, Sequence[int]]], frames: int = 100, *, noise: float = 0.5) -> TrackTable:
    """People by identity, path and the frames in which they are seen."""
    rng = np.random.default_rng(7)
    rows = sorted((frame, track, path(frame / RATE)) for track, path, seen in paths for frame in seen)
    xy = np.array([BODY + place for _, _, place in rows]).reshape(-1, 17, 2)
    xy = (xy + rng.normal(0, noise, xy.shape)).astype(np.float32)
    return TrackTable(
        times=np.arange(frames) / RATE,
        frame=np.array([frame for frame, _, _ in rows], dtype=np.int64),
        xy=xy,
        joint_score=np.full(xy.shape[:2], 0.8, dtype=np.float32),
        score=np.full(len(xy), 0.7, dtype=np.float32),
        track_id=np.array([track for _, track, _ in rows], dtype=np.int64),
        origin=np.zeros(len(xy), dtype=np.uint8),
        raw_xy=np.full_like(xy, np.nan),
    )


def walk(x: float, speed: float, y: float = 200.0) -> Path:
    return lambda seconds: (x + speed * seconds, y)


def stand(x: float, y: float = 200.0) -> Path:
    return walk(x, 0.0, y)


def test_nothing_is_joined_or_filled_across_a_cut() -> None:
    paths = [
        (0, stand(100), range(40)),
        (1, stand(100), range(45, 100)),
        (2, stand(300), [*range(30), *range(50, 100)]),
    ]
    table = video(paths)
    assert join(table).ids == [0, 2]
    assert fill_gaps(table, limit_seconds=2.0)[1]["poses"] == 20
    for cut in (40, 42, 45):
        apart = replace(table, cuts=np.array([7, cut, 90]))
        assert join(apart).ids == [0, 1, 2]
        assert fill_gaps(apart, limit_seconds=2.0)[1]["poses"] == 0
        assert apart[apart.frame > 50].joined_with(apart[:0]).cuts.tolist() == [7, cut, 90]
    elsewhere = replace(table, cuts=np.array([20, 60]))
    assert join(elsewhere).ids == [0, 2]
    assert fill_gaps(elsewhere, limit_seconds=2.0)[1]["poses"] == 20


def test_one_identity_on_both_sides_of_a_cut_is_not_drawn_together() -> None:
    """As after a merge by hand: the person leaps by 500 pixels, and stays where they are in each shot."""
    paths = [(0, stand(100), range(50)), (0, stand(600), range(50, 100))]
    table = replace(video(paths, noise=0.0), cuts=np.array([50]))
    table.joint_score[45:55, 9] = 0  # a hidden wrist
    for config in (
        RefineConfig(smooth="butterworth", cutoff_hz=4.0),
        RefineConfig(smooth="savgol", cutoff_hz=4.0),
        RefineConfig(fill_seconds=2.0, fill_joints=True),
        RefineConfig(repair_sides=True),
    ):
        refined, _ = refine(table, config, groups=[ARMS, LEGS])
        found = refined.found
        np.testing.assert_allclose(refined.xy[found], table.xy[found], atol=0.01)
        assert not found[45:55, 9].any()


def same(a: TrackTable, b: TrackTable) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=name == "raw_xy") for name in a.__slots__)


def join(table: TrackTable, seconds: float = 3.0, sure: float = 0.5) -> TrackTable:
    return join_tracks(table, max_gap_seconds=seconds, min_confidence=sure)[0]


# Joining.


@pytest.mark.parametrize("gap", [1, 10, 25])
@pytest.mark.parametrize("speed", [0.0, 60.0])
def test_a_track_that_was_cut_is_whole_again(gap: int, speed: float) -> None:
    cut = video([(0, walk(100, speed), range(40)), (3, walk(100, speed), range(40 + gap, 100))])
    joined, joins = join_tracks(cut, max_gap_seconds=3.0, min_confidence=0.5)
    assert joined.ids == [0]
    assert [item.tracks for item in joins] == [(0, 3)]
    assert joins[0].confidence >= 0.5
    assert joins[0].gap_seconds == pytest.approx((gap + 1) / RATE)
    assert (joined.xy == cut.xy).all()


def test_pieces_of_two_who_pass_each_other_go_to_the_right_ones() -> None:
    right, left = walk(100, 80), walk(400, -80, 215)
    cut = video([(0, right, range(40)), (1, left, range(40)), (2, left, range(50, 100)), (3, right, range(50, 100))])
    joined, joins = join_tracks(cut, max_gap_seconds=3.0, min_confidence=0.3)
    assert sorted(item.tracks for item in joins) == [(0, 3), (1, 2)]
    assert joined.ids == [0, 1]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param((1, stand(400), range(50, 100)), id="elsewhere"),
        pytest.param((1, stand(100), range(95, 100)), id="too late"),
        pytest.param((1, stand(100), range(30, 100)), id="seen at the same time"),
    ],
)
def test_other_people_are_not_joined(second: tuple[int, Path, range]) -> None:
    assert join(video([(0, stand(100), range(40)), second]), seconds=2.0).ids == [0, 1]


def test_where_two_could_go_on_nothing_is_sure() -> None:
    ends = [(0, stand(100), range(40))]
    rivals = [(1, stand(80), range(50, 100)), (2, stand(120), range(50, 100))]
    assert join(video([*ends, *rivals])).ids == [0, 1, 2]
    assert join(video([*ends, rivals[0]])).ids == [0]


def test_a_ghost_at_the_end_does_not_count() -> None:
    """Who walks behind a wall ends as a fragment in the wrong place."""
    table = video([(0, stand(100), range(41)), (1, stand(100), range(60, 100))])
    last = int(np.flatnonzero(table.frame == 40)[0])
    xy, score = table.xy.copy(), table.score.copy()
    xy[last] += 90
    score[last] = 0.1
    assert join(replace(table, xy=xy, score=score)).ids == [0]


def test_predictions_make_way_for_sightings() -> None:
    table = video([(0, stand(100), range(45)), (1, stand(100), range(42, 100))])
    origin = np.where((table.track_id == 0) & (table.frame >= 40), COASTED, OBSERVED).astype(np.uint8)
    joined = join(replace(table, origin=origin))
    assert joined.ids == [0]
    assert np.unique(joined.frame).tolist() == joined.frame.tolist() == list(range(100))
    assert (joined.origin[joined.frame >= 42] == OBSERVED).all()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000))
def test_joining_and_filling_hold_on_anything(seed: int) -> None:
    """Joining twice is joining once, names have no say, and nothing that was seen is changed."""
    rng = np.random.default_rng(seed)
    paths = []
    for track in range(rng.integers(0, 8)):
        start = int(rng.integers(0, 90))
        path = walk(rng.uniform(0, 300), rng.uniform(-50, 50))
        seen = [frame for frame in range(start, int(rng.integers(start + 1, 101))) if rng.random() < 0.8]
        paths.append((track, path, seen))
    table = video(paths)
    once = join(table, sure=0.3)
    assert same(once, join(once, sure=0.3))
    names = rng.permutation(100)[:8] + 5
    renamed = replace(table, track_id=names[table.track_id]) if len(table) else table
    other = join(renamed, sure=0.3)
    groups = {tuple(np.flatnonzero(part.track_id == track)) for part in (once,) for track in part.ids}
    assert groups == {tuple(np.flatnonzero(other.track_id == track)) for track in other.ids}
    filled, counts = fill_gaps(once, limit_seconds=0.5)
    assert same(filled, fill_gaps(filled, limit_seconds=0.5)[0])
    assert same(filled[filled.origin == OBSERVED], once)
    assert len(filled) - len(once) == counts["poses"]
    for _, rows in filled.tracks():
        steps = np.diff(filled.frame[rows])
        assert (steps > 0).all()
        assert (steps[steps > 1] / RATE > 0.5).all()


# A known number of people.


def test_people_are_as_many_as_are_known() -> None:
    table = video(
        [
            (0, stand(100), range(30)), (4, stand(105), range(60, 100)),
            (1, stand(300), range(50)), (2, stand(300), range(55, 100)),
            (3, stand(200), range(40, 44)),
        ]
    )  # fmt: skip
    kept, joins = keep_people(table, 2)
    assert kept.ids == [0, 1]
    assert {item.tracks for item in joins} == {(0, 4), (1, 2)}
    assert len(kept) == len(table)
    assert (kept.track_id == -1).sum() == 4
    one, _ = keep_people(table, 1)
    assert len(one.ids) == 1
    all_of_them, _ = keep_people(table, 9)
    assert set(all_of_them.ids) <= {0, 1, 2, 3, 4}
    assert (all_of_them.track_id >= 0).all()


def test_people_come_back_after_any_time() -> None:
    table = video([(0, stand(100), range(20)), (1, stand(140), range(90, 100))])
    kept, joins = keep_people(table, 1)
    assert kept.ids == [0]
    assert len(joins) == 1


# Filling.


def test_gaps_are_filled_on_the_line_between_true_times() -> None:
    table = video([(0, walk(0, 100), [0, 1, 2, 6, 7])], frames=8, noise=0)
    times = np.array([0, 0.04, 0.08, 0.1, 0.11, 0.3, 0.32, 0.36])  # irregular
    table = replace(table, times=times)
    filled, counts = fill_gaps(table, limit_seconds=0.25)
    assert counts == {"poses": 3, "replaced": 0, "joints": 0}
    assert filled.frame.tolist() == list(range(8))
    assert filled.origin.tolist() == [0, 0, 0, INTERPOLATED, INTERPOLATED, INTERPOLATED, 0, 0]
    a, b = table.xy[2, 0], table.xy[3, 0]
    for frame in (3, 4, 5):
        part = (times[frame] - times[2]) / (times[6] - times[2])
        assert filled.xy[frame, 0] == pytest.approx(a + part * (b - a), abs=1e-3)
        assert 0.25 * 0.8 <= filled.joint_score[frame, 0] < 0.8
    assert same(fill_gaps(table, limit_seconds=0.2)[0], table)


def test_joints_are_filled_only_when_asked() -> None:
    table = video([(0, walk(0, 100), range(10))], frames=10, noise=0)
    score = table.joint_score.copy()
    score[4:6, 3] = 0
    score[0:2, 5] = 0  # nothing before it
    holes = replace(table, joint_score=score, xy=np.where(score[..., None] > 0, table.xy, 0))
    assert same(fill_gaps(holes, limit_seconds=0.5)[0], holes)
    filled, counts = fill_gaps(holes, limit_seconds=0.5, joints=True)
    assert counts["joints"] == 2
    assert filled.xy[:, 3] == pytest.approx(table.xy[:, 3], abs=1e-3)
    assert (filled.joint_score[0:2, 5] == 0).all()
    assert (filled.joint_score[4:6, 3] < 0.8).all()


# Sides.


def gait(frames: int = 120) -> TrackTable:
    """Somebody who walks across, seen from the side: arms and legs pass each other twice a second."""
    table = video([(0, walk(100, 60), range(frames))], frames=frames)
    phase = 2 * np.pi * table.seconds
    xy = table.xy.copy()
    for pairs, wide in ((ARMS, 15), (LEGS, 25)):
        for number, (left, right) in enumerate(pairs):
            swing = wide * number / 2 * np.sin(phase)
            for joint, sign in ((left, 1), (right, -1)):
                xy[:, joint, 0] = xy[:, 0, 0] + sign * swing
                xy[:, joint, 1] = xy[:, pairs[0][0], 1] + 18 * number
    return replace(table, xy=xy)


def exchanged(table: TrackTable, rows: Sequence[int], pairs: Sequence[tuple[int, int]]) -> TrackTable:
    xy = table.xy.copy()
    for left, right in pairs:
        xy[np.ix_(rows, [left, right])] = table.xy[np.ix_(rows, [right, left])]
    return replace(table, xy=xy)


def test_true_gait_is_left_alone() -> None:
    table = gait()
    repaired, count = repair_sides(table, groups=[ARMS, LEGS])
    assert count == 0
    assert same(repaired, table)


@pytest.mark.parametrize("start", [30, 34, 37, 41, 45])
def test_exchanged_sides_come_back(start: int) -> None:
    """Wherever they are exchanged, except where the legs pass each other and sides cannot be told, to a frame."""
    table = gait()
    wrong = list(range(start, start + 6))
    repaired, count = repair_sides(exchanged(table, wrong, LEGS), groups=[ARMS, LEGS])
    apart = np.abs(repaired.xy - table.xy).max(axis=(1, 2))
    assert (apart > 12).sum() <= 1
    assert 4 <= count <= 8
    assert same(repair_sides(repaired, groups=[ARMS, LEGS])[0], repaired)


def test_somebody_who_is_always_the_wrong_way_round_is_not_turned() -> None:
    turned = exchanged(gait(), range(120), LEGS)
    assert same(repair_sides(turned, groups=[ARMS, LEGS])[0], turned)


# All together.


def test_short_tracks_lose_their_identity_but_not_their_poses() -> None:
    table = video([(0, stand(100), range(50)), (1, stand(300), range(20, 25))])
    kept, gone = drop_short(table, min_seconds=0.5)
    assert gone == 1
    assert kept.ids == [0]
    assert len(kept) == len(table)
    assert same(drop_short(kept, min_seconds=0.5)[0], kept)
    origin = np.where(table.frame == 24, COASTED, OBSERVED).astype(np.uint8)
    assert len(drop_short(replace(table, origin=origin), min_seconds=0.5)[0]) == len(table) - 1


def test_nothing_is_done_unasked_and_all_that_is_done_is_told() -> None:
    table = video([(0, stand(100), range(40)), (1, stand(100), range(45, 100)), (2, stand(400), range(3))])
    assert refine(table, RefineConfig(), groups=[])[1] == []
    assert same(refine(table, RefineConfig(), groups=[])[0], table)
    config = RefineConfig(
        join=True, people=1, min_seconds=0.5, repair_sides=True, fill_seconds=0.5, smooth="butterworth"
    )
    refined, steps = refine(table, config, groups=[ARMS, LEGS])
    assert [step.name for step in steps] == ["join", "people", "drop_short", "repair_sides", "fill", "smooth"]
    assert refined.ids == [0]
    assert steps[0].changed == {"joins": 1, "tracks": 2}
    assert steps[0].as_dict()["joins"][0]["tracks"] == (0, 1)
    assert "joins" not in steps[2].as_dict()
    assert steps[4].changed["poses"] == 5
    assert steps[4].parameters == {"fill_seconds": 0.5, "fill_joints": False}


def test_nobody_is_ordinary_input() -> None:
    config = RefineConfig(
        join=True, people=3, min_seconds=1, repair_sides=True, fill_seconds=1, fill_joints=True, smooth="savgol"
    )
    for table in (video([]), video([], frames=0), video([(-1, stand(0), range(10))])):
        assert same(refine(table, config, groups=[ARMS])[0], table)


@pytest.mark.parametrize(("name", "value"), [("fill_seconds", -1.0), ("cutoff_hz", 0.0), ("people", -2)])
def test_settings_that_mean_nothing_are_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        RefineConfig(**{name: value})


def test_a_table_refuses_what_does_not_belong_together() -> None:
    table = video([(0, stand(100), range(4))])
    with pytest.raises(ValueError, match="TrackTable.score"):
        replace(table, score=table.score[:2])
    with pytest.raises(ValueError, match="must ascend"):
        replace(table, frame=table.frame[::-1])
    with pytest.raises(ValueError, match="seen twice in frame 1"):
        replace(table, frame=np.array([0, 1, 1, 2]), track_id=np.array([0, 1, 2, 3])).renamed(np.zeros(4, dtype=int))
