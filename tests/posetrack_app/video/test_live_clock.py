"""Times of live inputs rise, and follow the stream as long as it goes with the wall clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrack_app.video.live_clock import LiveClock

NUMBERS = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(NUMBERS, st.floats(0, 100), st.booleans()), max_size=30))
def test_times_rise_from_0_and_stay_near_the_wall_clock(frames: list[tuple[float, float, bool]]) -> None:
    clock, arrival, last = LiveClock(), 500.0, None
    for number, (seconds, step, anew) in enumerate(frames):
        if anew:
            clock.connected()
        arrival += step if number else 0.0
        time = clock.next(seconds, arrival=arrival)
        assert time == clock.now
        assert time == 0 if last is None else time > last
        assert abs(time - (arrival - 500)) < 10.1
        last = time


def test_sane_times_are_kept_however_they_arrive() -> None:
    clock = LiveClock()
    late = [0.0, 0.0, 0.0, 4.0, 0.1, 7.0]  # a burst at the start, a halt on the way
    for index, delay in enumerate(late):
        assert clock.next(90_000 + index / 25, arrival=30 + index / 25 + delay) == pytest.approx(index / 25)


def test_a_new_connection_goes_on_at_the_wall_clock() -> None:
    clock = LiveClock()
    assert clock.next(77.0, arrival=10.0) == 0
    assert clock.next(77.5, arrival=10.5) == 0.5
    clock.connected()
    assert clock.next(3.0, arrival=14.0) == 4.0
    assert clock.next(3.1, arrival=14.3) == pytest.approx(4.1)


def test_a_clock_that_was_set_anew_is_not_followed() -> None:
    clock = LiveClock()
    clock.next(1000.0, arrival=0.0)
    assert clock.next(1.0, arrival=2.0) == 2.0
    assert clock.next(1.04, arrival=2.2) == pytest.approx(2.04)
    assert clock.next(5e8, arrival=3.0) == 3.0


def test_a_time_that_stands_still_is_nudged() -> None:
    clock = LiveClock()
    clock.next(0.0, arrival=0.0)
    assert clock.next(0.0, arrival=0.1) == pytest.approx(0.001)
    assert clock.next(0.2, arrival=0.2) == pytest.approx(0.2)
