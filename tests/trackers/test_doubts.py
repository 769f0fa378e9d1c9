"""Doubts: drawn swaps, breaks and leaps are among them, calm scenes have none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackers.doubts import Doubt, DoubtFinder, find_doubts
from trackers.table import COASTED, OBSERVED, TrackTable

RATE = 25.0
BODY = np.stack([np.tile([-10.0, 10.0], 9)[:17], np.linspace(-50, 50, 17)], axis=-1)

Path = Callable[[float], tuple[float, float]]


def video(paths: Sequence[tuple[int, Path, Sequence[int]]], frames: int = 100, *, seed: int = 7) -> TrackTable:
    """People by identity, path and the frames in which they are seen."""
    rng = np.random.default_rng(seed)
    rows = sorted((frame, track, path(frame / RATE)) for track, path, seen in paths for frame in seen)
    xy = np.array([BODY + place for _, _, place in rows]).reshape(-1, 17, 2)
    xy = (xy + rng.normal(0, 0.5, xy.shape)).astype(np.float32)
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


def only(doubts: Sequence[Doubt], kind: str) -> list[Doubt]:
    return [doubt for doubt in doubts if doubt.kind == kind]


def test_calm_scenes_have_none() -> None:
    apart = [(0, walk(0, 50), range(100)), (1, walk(500, -20), range(100)), (2, walk(300, 0, 600), range(10, 100))]
    assert find_doubts(video(apart)) == []
    assert find_doubts(video([])) == []
    assert find_doubts(video([], frames=0)) == []
    assert find_doubts(video([(-1, walk(0, 0), range(100))])) == []


def test_identities_that_change_people_are_the_surest_swaps() -> None:
    """Two walk through each other; in one telling they keep their ways, in the other they exchange them."""
    right, left = walk(0, 100), walk(400, -100)
    kept = video([(0, right, range(100)), (1, left, range(100))])
    meeting = 50
    track_id = np.where(kept.frame >= meeting, 1 - kept.track_id, kept.track_id)
    (true,), (swapped,) = find_doubts(kept), only(find_doubts(replace(kept, track_id=track_id)), "swap")
    for doubt in (true, swapped):
        assert doubt.kind == "swap"
        assert doubt.tracks == (0, 1)
        assert doubt.seconds == pytest.approx(2.0, abs=0.2)
        assert doubt.frame == round(doubt.seconds * RATE)
    assert swapped.confidence > true.confidence


def test_a_swap_far_from_each_other_is_a_leap_of_both() -> None:
    table = video([(0, walk(0, 0), range(100)), (1, walk(120, 0), range(100))])
    track_id = np.where(table.frame >= 50, 1 - table.track_id, table.track_id)
    doubts = find_doubts(replace(table, track_id=track_id))
    assert {doubt.tracks for doubt in only(doubts, "jump")} == {(0,), (1,)}
    assert all(doubt.frame == 50 for doubt in doubts)
    assert min(doubt.confidence for doubt in only(doubts, "jump")) > 0.8


def test_a_new_track_where_another_ended_is_a_break() -> None:
    table = video([(0, walk(0, 50), range(50)), (4, walk(0, 50), range(60, 100)), (2, walk(600, 0), range(100))])
    (doubt,) = find_doubts(table)
    assert (doubt.kind, doubt.tracks, doubt.frame) == ("break", (0, 4), 60)
    assert doubt.confidence > 0.8
    assert "0.44 s" in doubt.why


def test_who_comes_back_was_not_continued_by_another() -> None:
    seen = [*range(50), *range(70, 100)]
    assert not only(find_doubts(video([(0, walk(0, 0), seen), (1, walk(25, 0), range(60, 100))])), "break")


def test_one_leap_is_told_once() -> None:
    table = video([(0, lambda seconds: (0.0 if seconds < 2 else 150.0, 200.0), range(100))])
    (doubt,) = find_doubts(table)
    assert (doubt.kind, doubt.tracks, doubt.frame) == ("jump", (0,), 50)


def test_a_clock_that_starts_anew_is_no_reason_for_doubt() -> None:
    table = video([(0, walk(0, 0), range(50)), (1, walk(150, 0), range(50, 100))])
    times = table.times.copy()
    times[50:] -= 2.0
    assert find_doubts(replace(table, times=times)) == []


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000))
def test_invariants(seed: int) -> None:
    """Names and places in the picture have no say, predictions and people without identity neither."""
    rng = np.random.default_rng(seed)
    paths = []
    for track in range(rng.integers(0, 7)):
        seen = [frame for frame in range(100) if rng.random() < 0.9]
        paths.append((track, walk(rng.uniform(0, 300), rng.uniform(-80, 80), rng.uniform(150, 250)), seen))
    table = video(paths, seed=seed)
    doubts = find_doubts(table)
    assert doubts == sorted(doubts, key=lambda doubt: doubt.frame)
    assert all(0 <= doubt.confidence <= 1 and set(doubt.tracks) <= set(table.ids) for doubt in doubts)

    def told(found: Sequence[Doubt], names: dict[int, int]) -> list[tuple[object, ...]]:
        return sorted((d.frame, d.kind, tuple(sorted(names[track] for track in d.tracks)), d.confidence) for d in found)

    names = {track: track for track in table.ids}
    new = {track: 50 - 3 * track for track in table.ids}
    renamed = replace(table, track_id=np.array([new[int(track)] for track in table.track_id], dtype=np.int64))
    assert told(find_doubts(renamed), {name: track for track, name in new.items()}) == told(doubts, names)
    extra = replace(table, origin=np.full(len(table), COASTED, dtype=np.uint8), xy=table.xy + np.float32(9))
    nobody = replace(table, track_id=np.full(len(table), -1))
    assert told(find_doubts(table.joined_with(extra, nobody)), names) == told(doubts, names)


def test_memory_does_not_grow_with_the_video() -> None:
    """An hour at one frame a second with somebody new every ten: nothing is kept of those who left."""
    finder = DoubtFinder(joints=17)
    for frame in range(3600):
        finder.add(
            index=frame,
            seconds=float(frame),
            xy=(BODY + [40.0 * (frame % 50), 0])[None].astype(np.float32),
            joint_score=np.full((1, 17), 0.8, dtype=np.float32),
            score=np.full(1, 0.8, dtype=np.float32),
            track_id=np.array([frame // 10]),
            origin=np.full(1, OBSERVED, dtype=np.uint8),
        )
        assert len(finder._known.track_id) <= 2
        assert len(finder._starts) + len(finder._meetings) + len(finder._jumps) + len(finder._open) <= 6
    assert len(finder.close()) < 800
