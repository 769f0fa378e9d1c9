"""People in frames between two: on straight lines, and nobody who is not on both sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrack_app.between import as_seen, between, part_of
from posetrack_app.types import Origin, Poses


def people(ids: list[int], *, seed: int, missing: float = 0.3, joints: int = 5) -> Poses:
    random = np.random.default_rng(seed)
    score = random.uniform(0.1, 1, (len(ids), joints)) * (random.random((len(ids), joints)) >= missing)
    xy = np.where(score[..., None] > 0, random.uniform(-50, 2000, (len(ids), joints, 2)), 0)
    return Poses.untracked(xy=xy, joint_score=score, score=random.random(len(ids))).with_tracks(ids)


ids = st.lists(st.integers(-1, 6), max_size=6).map(
    lambda numbers: [number for place, number in enumerate(numbers) if number < 0 or number not in numbers[:place]]
)


@given(ids, ids, st.integers(0, 99), st.floats(0, 1))
def test_a_literal_loop_over_people_and_joints(first: list[int], second: list[int], seed: int, part: float) -> None:
    before, after = people(first, seed=seed), people(second, seed=seed + 1)
    found = between(before, after, part)
    expected = {number for number in first if number >= 0} & set(second)
    assert set(found.track_id.tolist()) == expected
    assert len(found) == len(expected)
    assert (found.origin == Origin.INTERPOLATED).all()
    for row, number in enumerate(found.track_id.tolist()):
        a, b = first.index(number), second.index(number)
        assert found.score[row] == min(before.score[a], after.score[b])
        for joint in range(5):
            scores = before.joint_score[a, joint], after.joint_score[b, joint]
            assert found.joint_score[row, joint] == min(scores)
            if min(scores) == 0:
                assert (found.xy[row, joint] == 0).all()
                continue
            for axis in range(2):
                ends = float(before.xy[a, joint, axis]), float(after.xy[b, joint, axis])
                assert found.xy[row, joint, axis] == pytest.approx((1 - part) * ends[0] + part * ends[1], abs=1e-3)


def test_at_the_ends_people_are_where_they_were_seen() -> None:
    before, after = people([3, 1], seed=1, missing=0), people([1, 3], seed=2, missing=0)
    np.testing.assert_array_equal(between(before, after, 0.0).xy, before.xy[[1, 0]])
    np.testing.assert_array_equal(between(before, after, 1.0).xy, after.xy)


@pytest.mark.parametrize(
    ("seconds", "before", "after", "part"),
    [(1.5, 1.0, 2.0, 0.5), (1.0, 1.0, 1.0, 0.5), (1.5, 2.0, 1.0, 0.5), (0.5, 1.0, 2.0, 0.0), (3.0, 1.0, 2.0, 1.0)],
)
def test_times_that_stand_still_or_run_backwards(seconds: float, before: float, after: float, part: float) -> None:
    assert part_of(seconds, before=before, after=after) == part


def test_as_seen_changes_interpolated_people_only() -> None:
    poses = replace(people([0, 1, 2], seed=3), origin=np.array(list(Origin), dtype=np.uint8))
    assert as_seen(poses).origin.tolist() == [Origin.OBSERVED, Origin.COASTED, Origin.OBSERVED]
    np.testing.assert_array_equal(as_seen(poses).xy, poses.xy)
