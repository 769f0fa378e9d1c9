"""Filters against scipy, against their definition, and against what smoothing must not do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import butter, filtfilt, freqz, savgol_coeffs, savgol_filter

from trackers.smoothing import OneEuro, butterworth, carries, savitzky_golay, smooth, usual_rate
from trackers.table import TrackTable

RATE = 50.0


def signal(seconds: np.ndarray, hertz: float) -> np.ndarray:
    return np.stack([np.sin(2 * np.pi * hertz * seconds), 3 * np.cos(2 * np.pi * hertz * seconds)], axis=1)


def gain(filtered: np.ndarray, values: np.ndarray) -> float:
    """Amplitude that is left, away from the ends."""
    middle = slice(len(values) // 4, -len(values) // 4)
    return float((filtered[middle] * values[middle]).sum() / (values[middle] ** 2).sum())


@pytest.mark.parametrize("method", [butterworth, savitzky_golay])
def test_slow_movements_stay_quick_ones_go_and_nothing_is_delayed(method: object) -> None:
    seconds = np.arange(400) / RATE
    for hertz, low, high in ((0.5, 0.98, 1.01), (5.0, 0.6, 0.8), (20.0, -0.25, 0.25)):
        values = signal(seconds, hertz)
        filtered = method(seconds, values, cutoff_hz=5.0)  # type: ignore[operator]
        assert low <= gain(filtered, values) <= high, hertz
        # Without delay, a symmetric filter leaves nothing of the quarter turn.
        turned = signal(seconds - 1 / (4 * hertz), hertz)
        assert abs(gain(filtered, turned)) < 0.01


def test_butterworth_has_its_cutoff_where_it_is_asked_for_and_is_scipys() -> None:
    seconds = np.arange(300) / RATE
    values = np.random.default_rng(0).normal(size=(300, 4)).cumsum(axis=0)
    share = 2 / np.pi * np.arctan(np.tan(np.pi * 6 / RATE) / (math.sqrt(2) - 1) ** 0.25)
    reference = filtfilt(*butter(2, share), values, axis=0, padlen=round(RATE / 6) + 3)
    assert butterworth(seconds, values, cutoff_hz=6.0) == pytest.approx(reference, abs=1e-8)
    tone = signal(np.arange(2000) / RATE, 6.0)
    assert gain(butterworth(np.arange(2000) / RATE, tone, cutoff_hz=6.0), tone) == pytest.approx(0.5**0.5, abs=0.002)


@pytest.mark.parametrize("window", [5, 7, 11, 25])
def test_savitzky_golay_on_regular_times_is_scipys_where_a_whole_window_has_the_cutoff(window: int) -> None:
    hertz = np.linspace(0, RATE / 2, 200_001)
    _, response = freqz(savgol_coeffs(window, 2), worN=hertz, fs=RATE)
    cutoff = float(hertz[np.flatnonzero(np.abs(response) < 0.5**0.5)[0]])
    for length in (window, window + 1, 200):
        values = np.random.default_rng(length).normal(size=(length, 3)).cumsum(axis=0)
        ours = savitzky_golay(np.arange(length) / RATE, values, cutoff_hz=cutoff)
        assert ours == pytest.approx(savgol_filter(values, window, 2, axis=0), abs=1e-3)


@pytest.mark.parametrize("cutoff", [0.7, 2.0, 5.9, 6.0, 8.0, 12.0, 14.5])
def test_savitzky_golay_has_its_cutoff_where_it_is_asked_for(cutoff: float) -> None:
    """By its answer to an impulse: as much of the cutoff as of Butterworth's stays, of all that is slower more."""
    seconds = np.arange(501) / 30
    impulse = np.zeros((501, 1))
    impulse[250] = 1
    answer = savitzky_golay(seconds, impulse, cutoff_hz=cutoff)[:, 0]
    assert answer == pytest.approx(answer[::-1], abs=1e-9)  # without delay
    hertz = np.linspace(0, cutoff, 200)
    left = (answer * np.cos(2 * np.pi * hertz[:, None] * (seconds - seconds[250]))).sum(axis=1)
    assert left[0] == pytest.approx(1)
    assert left[-1] == pytest.approx(0.5**0.5, abs=1e-6)
    assert (left[:-1] > left[-1]).all()


@pytest.mark.parametrize("cutoff", [2.0, 7.0, 7.3, 12.0])
def test_savitzky_golay_is_a_weighted_parabola_and_calm_at_the_ends(cutoff: float) -> None:
    n = 40
    seconds = (np.arange(n) + np.random.default_rng(7).uniform(-0.3, 0.3, n)) / 30
    weight = savitzky_golay(seconds, np.eye(n), cutoff_hz=cutoff)  # (of, from)
    for degree in range(3):
        assert weight @ seconds**degree == pytest.approx(seconds**degree, abs=1e-8)
    assert (weight**2).sum(axis=1).max() <= 1 + 1e-9  # no sample trembles more than it did
    used = np.flatnonzero(np.abs(weight[20]) > 1e-9)
    value = np.random.default_rng(8).normal(size=n)
    step = float(np.median(np.diff(seconds)))
    part = _part(len(used), 2 * np.pi * cutoff * step)
    count = np.array([part, *np.ones(len(used) - 2), part])
    parabola = np.polyfit(seconds[used] - seconds[20], value[used], 2, w=np.sqrt(count))
    assert (weight @ value)[20] == pytest.approx(parabola[-1], abs=1e-4)


def _part(window: int, turn: float) -> float:
    """What the outermost samples count, by trying: polyfit gives the parabola's value in the middle of a cosine."""
    k = np.arange(window) - window // 2
    parts = np.linspace(0, 1, 2001)[1:]
    left = [
        np.polyfit(k, np.cos(turn * k), 2, w=np.sqrt(np.where(abs(k) == window // 2, part, 1)))[-1] for part in parts
    ]
    return float(np.interp(-(0.5**0.5), -np.array(left), parts))


@pytest.mark.parametrize("method", [butterworth, savitzky_golay])
def test_irregular_times_are_what_counts(method: object) -> None:
    """A parabola in time is smooth at whatever times it is seen; taken by frames it would have corners."""
    rng = np.random.default_rng(3)
    seconds = np.sort(rng.uniform(0, 6, 150)) + np.arange(150) * 0.01
    slow = signal(seconds, 0.25)
    noise = rng.normal(0, 0.2, slow.shape)
    filtered = method(seconds, slow + noise, cutoff_hz=3.0)  # type: ignore[operator]
    clean = method(seconds, slow, cutoff_hz=3.0)  # type: ignore[operator]
    assert np.abs(clean - slow)[10:-10].max() < 0.05
    assert np.abs(filtered - slow)[10:-10].mean() < 0.75 * np.abs(noise).mean()


@pytest.mark.parametrize("method", [butterworth, savitzky_golay])
def test_what_the_rate_cannot_carry_changes_nothing(method: object) -> None:
    values = np.random.default_rng(0).normal(size=(50, 2))
    for cutoff in (RATE / 2, RATE, 1e6):
        assert (method(np.arange(50) / RATE, values, cutoff_hz=cutoff) == values).all()  # type: ignore[operator]
        assert not carries(usual_rate(np.arange(50) / RATE), cutoff)


@pytest.mark.parametrize("method", ["butterworth", "savgol"])
def test_where_nothing_changed_nothing_is_counted(method: str) -> None:
    before = noisy(40)
    after, counts = smooth(before, method=method, cutoff_hz=12.5)  # type: ignore[arg-type]
    assert (after.xy == before.xy).all()
    assert counts == {"joints": 0, "too_short": 0}


@given(
    values=st.lists(st.floats(-1000, 1000, width=32), min_size=0, max_size=40),
    cutoff=st.floats(0.1, 100),
    shift=st.floats(-500, 500),
)
def test_smoothing_moves_with_the_picture(values: list[float], cutoff: float, shift: float) -> None:
    array = np.array(values).reshape(-1, 1)
    seconds = np.arange(len(array)) / 25
    for method in (butterworth, savitzky_golay):
        plain, moved = (method(seconds, array + by, cutoff_hz=cutoff) for by in (0, shift))
        assert moved == pytest.approx(plain + shift, abs=1e-3)


def literal_one_euro(
    seconds: list[float], values: list[float], cutoff: float, beta: float, derivative: float
) -> list[float]:
    """Casiez et al. 2012, algorithm 1, for one value."""

    def alpha(step: float, hertz: float) -> float:
        return 1 / (1 + (1 / (2 * math.pi * hertz)) / step)

    x, dx, out = values[0], 0.0, [values[0]]
    for before, now, value in zip(seconds[:-1], seconds[1:], values[1:], strict=True):
        step = now - before
        a = alpha(step, derivative)
        dx = a * (value - x) / step + (1 - a) * dx
        a = alpha(step, cutoff + beta * abs(dx))
        x = a * value + (1 - a) * x
        out.append(x)
    return out


def test_one_euro_is_what_its_authors_wrote() -> None:
    rng = np.random.default_rng(1)
    seconds = np.cumsum(rng.uniform(0.01, 0.1, 100)).tolist()
    values = rng.normal(0, 3, 100).cumsum().tolist()
    online = OneEuro(cutoff_hz=1.5, beta=0.7, speed_cutoff_hz=2.0)
    ours = [
        online.update(time, np.array([[value, 0.0]]), np.array([True]), size=1.0)[0, 0]
        for time, value in zip(seconds, values, strict=True)
    ]
    assert ours == pytest.approx(literal_one_euro(seconds, values, 1.5, 0.7, 2.0))


def test_one_euro_begins_anew_after_a_joint_was_hidden() -> None:
    online = OneEuro(cutoff_hz=0.1, beta=0.0)
    here, away = np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([[100.0, 0.0], [100.0, 0.0]])
    online.update(0.0, here, np.array([True, True]), size=50)
    online.update(0.1, here, np.array([True, False]), size=50)
    later = online.update(0.2, away, np.array([True, True]), size=50)
    assert later[0, 0] < 20
    assert later[1, 0] == 100


def noisy(frames: int, *, holes: tuple[int, ...] = (), track: int = 0) -> TrackTable:
    """One person who wanders with tremor; joint 1 is not found in the frames `holes`."""
    rng = np.random.default_rng(frames)
    xy = rng.normal(0, 1, (frames, 2, 2)).cumsum(axis=0).astype(np.float32) + 100
    score = np.full((frames, 2), 0.9, dtype=np.float32)
    score[list(holes), 1] = 0
    xy[list(holes), 1] = 0
    return TrackTable(
        times=np.arange(frames) / 25,
        frame=np.arange(frames),
        xy=xy,
        joint_score=score,
        score=np.full(frames, 0.9, dtype=np.float32),
        track_id=np.full(frames, track),
        origin=np.zeros(frames, dtype=np.uint8),
        raw_xy=np.full_like(xy, np.nan),
    )


@pytest.mark.parametrize("method", ["butterworth", "savgol", "one-euro"])
def test_raw_values_stay_and_smoothing_twice_is_smoothing_once(method: str) -> None:
    before = noisy(40, holes=(10, 11))
    once, counts = smooth(before, method=method, cutoff_hz=3.0)  # type: ignore[arg-type]
    changed = (once.xy != before.xy).any(axis=-1)
    assert counts == {"joints": int(changed.sum()), "too_short": 0}
    assert (once.raw_xy[before.found] == before.xy[before.found]).all()
    assert np.isnan(once.raw_xy[~before.found]).all()
    assert (once.xy[~before.found] == 0).all()
    assert changed[before.found].mean() > 0.9
    twice, _ = smooth(once, method=method, cutoff_hz=3.0)  # type: ignore[arg-type]
    assert (twice.xy == once.xy).all()
    back, _ = smooth(once, method="none", cutoff_hz=3.0)
    assert (back.xy == before.xy).all()


def test_nothing_is_smoothed_across_holes_pauses_and_into_the_untracked() -> None:
    whole = noisy(40)
    split, _ = smooth(noisy(40, holes=(20,)), method="butterworth", cutoff_hz=3.0)
    head = noisy(40)[:20]
    alone, _ = smooth(head, method="butterworth", cutoff_hz=3.0)
    assert split.xy[:20, 1] == pytest.approx(alone.xy[:, 1], abs=1e-4)
    times = whole.times + np.where(np.arange(40) >= 20, 5.0, 0.0)
    paused = TrackTable(**{**{name: getattr(whole, name) for name in whole.__slots__}, "times": times})
    apart, _ = smooth(paused, method="butterworth", cutoff_hz=3.0)
    assert apart.xy[:20] == pytest.approx(alone.xy, abs=1e-4)
    nobody, counts = smooth(noisy(40, track=-1), method="butterworth", cutoff_hz=3.0)
    assert (nobody.xy == whole.xy).all()
    assert counts["joints"] == 0
    empty, counts = smooth(whole[:0], method="savgol", cutoff_hz=3.0)
    assert len(empty) == 0
