"""Times that always rise."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrack_app.video.clock import Clock

STEP = 0.04


def times(stream: list[float | None], *, may_break: bool = False) -> tuple[list[float], list[str]]:
    clock = Clock(step_seconds=STEP, may_break=may_break)
    return [clock.next(seconds) for seconds in stream], clock.warnings()


anything = st.lists(st.none() | st.floats(min_value=-1e5, max_value=1e5, allow_nan=False, allow_subnormal=False))


@given(anything, st.booleans())
def test_times_always_rise(stream: list[float | None], may_break: bool) -> None:
    shown, _ = times(stream, may_break=may_break)
    assert all(a < b for a, b in pairwise(shown))


@given(st.lists(st.integers(min_value=1, max_value=9000)), st.floats(min_value=-1e4, max_value=1e4), st.booleans())
def test_times_that_rise_stay_exactly_as_they_are(steps: list[int], start: float, may_break: bool) -> None:
    stream = [start]
    for milliseconds in steps:
        stream.append(stream[-1] + milliseconds / 1000)
    assert times(list(stream), may_break=may_break) == (stream, [])


def test_long_gaps_stay_where_the_clock_cannot_break() -> None:
    assert times([0.0, 0.04, 3600.0]) == ([0.0, 0.04, 3600.0], [])


@pytest.mark.parametrize("start", [500.0, 10.0, 95000.0, -3.0])
def test_a_broken_clock_goes_on_one_step_later(start: float) -> None:
    stream = [100 + STEP * index for index in range(5)] + [start + STEP * index for index in range(5)]
    shown, warnings = times(list(stream), may_break=True)
    assert shown == pytest.approx([100 + STEP * index for index in range(10)])
    assert len(warnings) == 1
    assert "at frame 5" in warnings[0]


def test_a_single_wild_time_does_not_shift_what_follows() -> None:
    shown, _ = times([0.0, 0.04, 900.0, 0.12, 0.16], may_break=True)
    assert shown == pytest.approx([0.0, 0.04, 0.08, 0.12, 0.16])


def test_jumps_backward_are_mended_in_every_format() -> None:
    shown, warnings = times([5.0, 5.04, 1.0, 1.04])
    assert shown == pytest.approx([5.0, 5.04, 5.08, 5.12])
    assert "-4." in warnings[0]


def test_equal_times_move_by_a_millisecond() -> None:
    shown, warnings = times([0.0, 0.0, 0.066, 0.066, 0.066, 0.132])
    assert shown == pytest.approx([0.0, 0.001, 0.066, 0.067, 0.068, 0.132])
    assert warnings == ["3 of 6 frames are not later than the frame before: each was moved to just after it"]


def test_times_out_of_order_by_one_frame_shift_nothing() -> None:
    shown, _ = times([0.0, 0.08, 0.04, 0.12])
    assert shown == pytest.approx([0.0, 0.08, 0.081, 0.12])


def test_no_times_at_all() -> None:
    shown, warnings = times([None, None, None])
    assert shown == pytest.approx([0.0, 0.04, 0.08])
    assert "25 a second" in warnings[0]


def test_some_times_are_missing() -> None:
    shown, warnings = times([1.0, None, 1.08])
    assert shown == pytest.approx([1.0, 1.04, 1.08])
    assert "1 of 3 frames carry no time" in warnings[0]
