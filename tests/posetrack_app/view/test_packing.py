"""Packed poses come out as they went in, to within the step: unpacked here by a literal loop."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.skeleton import COCO17
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.types import Poses
from posetrack_app.view.packing import LEVELS, TICKS, pack_columns, pack_poses, pack_times


def unpack(text: str) -> list[int]:
    """All numbers of a text."""
    numbers, value, places = [], 0, 0
    for byte in zlib.decompress(base64.b64decode(text)):
        value |= (byte & 127) << places
        places += 7
        if byte < 128:
            numbers.append(value // 2 if value % 2 == 0 else -(value + 1) // 2)
            value = places = 0
    return numbers


@given(st.lists(st.lists(st.integers(-(2**62), 2**62)), max_size=4))
def test_numbers_come_back(columns: list[list[int]]) -> None:
    text = pack_columns(np.array(column, dtype=np.int64) for column in columns)
    assert unpack(text) == [number for column in columns for number in column]


def test_times_come_back() -> None:
    times = np.array([-1.5, 0.0, 1 / 3, 40_000.123456])
    np.testing.assert_allclose(np.cumsum(unpack(pack_times(times))) / TICKS, times, atol=0.5 / TICKS)


def crowd(seed: int, frames: int, *, width: int = 1280, height: int = 720) -> PoseSequence:
    """People who come and go, some without identity, with joints that are missing, far away or no number."""
    random = np.random.default_rng(seed)
    posed = []
    for t in range(frames):
        count = int(random.integers(0, 5))
        xy = random.uniform(-200, 1500, (count, 17, 2)).astype(np.float32)
        if count:
            xy[0, 0] = np.nan
        poses = Poses(
            xy=xy,
            joint_score=(random.random((count, 17)) * (random.random((count, 17)) > 0.3)).astype(np.float32),
            score=random.random(count).astype(np.float32),
            track_id=np.where(random.random(count) < 0.2, -1, random.permutation(8)[:count]).astype(np.int64),
            origin=random.integers(0, 3, count).astype(np.uint8),
        )
        posed.append(PosedFrame(t, t / 25 + 0.1, poses))
    return PoseSequence("crowd", COCO17, width, height, posed)


@pytest.mark.parametrize("frames", [0, 1, 30])
def test_poses_come_back(frames: int) -> None:
    sequence = crowd(1, frames)
    packed = pack_poses(sequence)
    numbers = iter(unpack(packed.text))

    def take(count: int, *, differences: bool = False) -> list[int]:
        values = [next(numbers) for _ in range(count)]
        return np.cumsum(values).tolist() if differences and values else values

    assert packed.frames == frames
    np.testing.assert_allclose(
        np.array(take(frames, differences=True)) / TICKS, [frame.seconds for frame in sequence.frames], atol=1e-5
    )
    counts = take(len(packed.tracks))
    rows = sum(counts)
    track = [one for one, count in zip(packed.tracks, counts, strict=True) for _ in range(count)]
    frame, number, origin = take(rows, differences=True), take(rows), take(rows)
    level = [take(rows) for _ in range(17)]
    x, y = ([take(rows, differences=True) for _ in range(17)] for _ in range(2))
    assert next(numbers, None) is None
    assert sorted(zip(track, frame, strict=True)) == list(zip(track, frame, strict=True))
    left = {t: list(range(len(one.poses))) for t, one in enumerate(sequence.frames)}
    for r in range(rows):
        poses = sequence.frames[frame[r]].poses
        n = number[r]
        assert poses.track_id[n] == track[r]
        left[frame[r]].remove(n)
        assert origin[r] == poses.origin[n]
        for k in range(17):
            score, place = poses.joint_score[n, k], poses.xy[n, k]
            if score <= 0 or not np.isfinite(place).all():
                assert level[k][r] == 0
                continue
            assert 1 <= level[k][r] <= LEVELS
            assert level[k][r] == pytest.approx(max(score * LEVELS, 1), abs=0.51)
            np.testing.assert_allclose(np.array([x[k][r], y[k][r]]) * packed.step, place, atol=0.51 * packed.step)
    assert not any(left.values())


def test_a_frame_of_unknown_size_holds_all_joints() -> None:
    packed = pack_poses(crowd(2, 20, width=0, height=0))
    assert 1200 < packed.size[0] <= 1501
    assert 1200 < packed.size[1] <= 1501


def test_joints_at_the_end_of_the_world_are_kept_near() -> None:
    poses = Poses.untracked(xy=np.full((1, 17, 2), 1e30), joint_score=np.ones((1, 17)), score=[1])
    packed = pack_poses(PoseSequence("far", COCO17, 100, 100, [PosedFrame(0, 0.0, poses)]))
    assert max(np.abs(unpack(packed.text)).tolist()) < 2**15  # they fit into 16 bits on the page
