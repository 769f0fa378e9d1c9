"""Joints without their tremor: zero-phase filters for whole tracks, and a filter for frames as they come.

Letters: n samples, C channels, R rows, K joints.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.signal import butter, sosfiltfilt

from trackers.oks import Array, Mask, body_size
from trackers.table import Rows, TrackTable, usual_step

__all__ = ["OneEuro", "Smoothing", "butterworth", "carries", "savitzky_golay", "smooth", "usual_rate"]

Smoothing = Literal["none", "butterworth", "savgol", "one-euro"]

PASSES = 2
"""Forwards and backwards."""

UNEVEN = 0.02
"""Times whose steps differ by less than this part count as regular."""

PAUSE_STEPS = 4.0
"""Where a step is so many times the usual one, nothing is smoothed across it."""

FEWEST = 5
"""Runs of fewer samples are left alone."""

DEGREE = 2
"""Of Savitzky-Golay's polynomials."""

GAIN = 0.5**0.5
"""What is left of a movement at the cutoff."""

ROUNDING = 1e-6
"""Cutoffs this near to half of the frame rate count as it: times are rounded."""

ONE_EURO_BETA = 5.0
"""Hertz by which the cutoff of One-Euro rises for each body size a second."""


def butterworth(seconds: Array, values: Array, *, cutoff_hz: float) -> Array:
    """Second-order Butterworth low-pass, forwards and backwards: fourth order without delay.

    The gain at `cutoff_hz` is 1 / sqrt(2) after both passes: that of one pass is set higher by Winter's correction
    (Biomechanics and Motor Control of Human Movement, 2.2.4.4). Irregular times are brought onto a regular grid and
    back by cubic splines. A cutoff that the rate cannot carry changes nothing.

    Args:
        seconds: (n,), strictly ascending.
        values: (n, C).
        cutoff_hz: Slower movements stay, faster ones go.
    """
    n = len(seconds)
    if n < FEWEST:
        return values.copy()
    steps = np.diff(seconds)
    step = float(np.median(steps))
    regular = bool((np.abs(steps - step) <= UNEVEN * step).all())
    grid = seconds if regular else np.linspace(seconds[0], seconds[-1], round((seconds[-1] - seconds[0]) / step) + 1)
    rate = (len(grid) - 1) / (grid[-1] - grid[0])
    if len(grid) < FEWEST or not carries(rate, cutoff_hz):
        return values.copy()
    corrected = np.tan(np.pi * cutoff_hz / rate) / (2 ** (1 / PASSES) - 1) ** 0.25
    share = 2 * np.arctan(corrected) / np.pi  # of the Nyquist frequency
    sections = butter(2, share, output="sos")
    even = values if regular else CubicSpline(seconds, values)(grid)
    pad = min(len(grid) - 1, round(rate / cutoff_hz) + 3)
    filtered = sosfiltfilt(sections, even, axis=0, padtype="odd", padlen=pad)
    result: Array = filtered if regular else CubicSpline(grid, filtered)(seconds)
    return result


def savitzky_golay(seconds: Array, values: Array, *, cutoff_hz: float) -> Array:
    """Savitzky-Golay: each value from the parabola through its neighbours, by least squares, at the true times.

    The gain at `cutoff_hz` is 1 / sqrt(2): whole windows would allow a few cutoffs only, so the outermost samples
    count in part. Where they count whole, on regular times, this is `scipy.signal.savgol_filter`. Near the ends the
    first and the last window serve; there the samples that are farthest from the end count in part. A cutoff that the
    rate cannot carry changes nothing.

    Args:
        seconds: (n,), strictly ascending.
        values: (n, C).
        cutoff_hz: Slower movements stay, faster ones go.
    """
    n = len(seconds)
    step = usual_step(seconds)
    if n < FEWEST or not carries(1 / step, cutoff_hz):
        return values.copy()
    half, part = _window(2 * np.pi * cutoff_hz * step, (n - 1) // 2)
    window = 2 * half + 1
    ahead = np.arange(n) - half
    first = np.clip(ahead, 0, n - window)
    inside = first[:, None] + np.arange(window)  # (n, window)
    root = np.ones((3, window))  # of what the samples count: at the beginning, in the middle, at the end
    root[0, -2:] = root[1, [0, -1]] = root[2, :2] = part**0.5
    root = root[1 + np.sign(ahead - first)]  # (n, window)
    time = (seconds[inside] - seconds[:, None]) / (half * step)
    powers = time[..., None] ** np.arange(DEGREE + 1)  # (n, window, degree + 1)
    weight = np.linalg.pinv(root[..., None] * powers)[:, 0] * root  # the polynomial's value at time 0
    result: Array = np.einsum("nw,nwc->nc", weight, values[inside])
    return result


def _window(turn: float, most: int) -> tuple[int, float]:
    """Half of a parabola's window that leaves `GAIN` of `turn` radians a sample, and what its outermost samples count.

    Where `most` is too little for that, all of the longest window.
    """
    half = 2  # a parabola goes through three points
    while half < most and _gain(half, 1.0, turn) > GAIN:
        half += 1
    if _gain(half, 1.0, turn) >= GAIN:
        return half, 1.0
    return half, float(brentq(lambda part: _gain(half, part, turn) - GAIN, 0.0, 1.0))


def _gain(half: int, part: float, turn: float) -> float:
    """What the middle of a parabola by least squares leaves of `turn` radians a sample."""
    k = np.arange(-half, half + 1)
    count = np.where(abs(k) == half, part, 1.0)
    zeroth, second, fourth = count.sum(), (count * k**2).sum(), (count * k**4).sum()
    weight = count * (fourth - second * k**2) / (zeroth * fourth - second**2)
    return float((weight * np.cos(turn * k)).sum())


def carries(rate: float, cutoff_hz: float) -> bool:
    """Whether Butterworth and Savitzky-Golay change anything: a rate tells movements of less than half of it.

    >>> carries(30.0, 12.0), carries(30.0, 15.0)
    (True, False)
    """
    return cutoff_hz < rate / 2 * (1 - ROUNDING)


def usual_rate(times: Array) -> float:
    """Frames a second of (T,) times in seconds; infinite where fewer than two are apart."""
    step = usual_step(times)
    return 1 / step if step > 0 else np.inf


class OneEuro:
    """Smooths the joints of one person as they come: still joints much, fast ones hardly (Casiez et al., CHI 2012).

    Speed counts in body sizes a second, so that near and far people are smoothed alike.
    """

    def __init__(self, *, cutoff_hz: float = 1.0, beta: float = ONE_EURO_BETA, speed_cutoff_hz: float = 1.0) -> None:
        """Start with nothing seen.

        Args:
            cutoff_hz: Cutoff for a joint at rest; lower is calmer, and lags more.
            beta: Hertz by which the cutoff rises for each body size a second; 0 lags behind everything that moves.
            speed_cutoff_hz: Cutoff of the speed itself.
        """
        self._cutoff, self._beta, self._speed_cutoff = cutoff_hz, beta, speed_cutoff_hz
        self._xy: Array | None = None
        self._velocity: Array = np.zeros(0)
        self._seconds: Array = np.zeros(0)

    def update(self, seconds: float, xy: Array, found: Mask, *, size: float) -> Array:
        """The smoothed joints of the next frame, (K, 2); a joint that is not found keeps its place in `xy`.

        Args:
            seconds: Time of the frame.
            xy: (K, 2), pixels.
            found: (K,). A joint begins anew after a frame in which it was not found.
            size: Body size, pixels.
        """
        if self._xy is None:
            self._xy, self._velocity = xy.astype(np.float64), np.zeros_like(xy, dtype=np.float64)
            self._seconds = np.full(len(xy), -np.inf)
        step = seconds - self._seconds
        known = np.isfinite(step) & (step > 0)
        step = np.where(known, step, 1.0)
        speed = (xy - self._xy) / step[:, None] / max(size, 1.0)
        velocity = self._velocity + _share(self._speed_cutoff, step)[:, None] * (speed - self._velocity)
        cutoff = self._cutoff + self._beta * np.hypot(velocity[:, 0], velocity[:, 1])
        smoothed = self._xy + _share(cutoff, step)[:, None] * (xy - self._xy)
        self._velocity = np.where((found & known)[:, None], velocity, 0.0)
        self._xy = np.where((found & known)[:, None], smoothed, xy)
        self._seconds = np.where(found, seconds, -np.inf)
        return self._xy.copy()


def _share(cutoff_hz: float | Array, step: Array) -> Array:
    """What a first-order low-pass takes of a new value."""
    turn = 2 * np.pi * cutoff_hz * step
    share: Array = turn / (1 + turn)
    return share


def smooth(table: TrackTable, *, method: Smoothing, cutoff_hz: float) -> tuple[TrackTable, dict[str, int]]:
    """Smooth every track, joint by joint over runs without holes; the values before stay in `raw_xy`.

    What was smoothed before is smoothed anew from its raw values, so that smoothing twice is smoothing once.

    Returns:
        The table, and how many joints have another place now and how many were in runs too short for that.
    """
    xy = np.where(np.isnan(table.raw_xy), table.xy, table.raw_xy)
    raw = np.full_like(xy, np.nan)
    if method == "none":
        return replace(table, xy=xy, raw_xy=raw), {"joints": 0, "too_short": 0}
    result, found = xy.copy(), table.found
    size = body_size(xy.astype(np.float64), found)
    step = np.diff(table.times)
    pause = np.concatenate([[True], (step <= 0) | (step > PAUSE_STEPS * usual_step(table.times))])  # before each frame
    pause[table.cuts] = True
    done = short = 0
    for _, track in table.tracks():
        begins = np.concatenate([[True], np.diff(table.frame[track]) != 1]) | pause[table.frame[track]]
        for rows in np.split(track, begins.nonzero()[0][1:]):
            for joints, run in _runs(found[rows]):
                part = rows[run]
                if len(part) < FEWEST:
                    short += len(part) * len(joints)
                    continue
                at = np.ix_(part, joints)
                values = xy[at].astype(np.float64)  # (n, joints, 2)
                seconds = table.times[table.frame[part]]
                result[at] = _filtered(method, seconds, values, size[part], cutoff_hz)
                raw[at] = xy[at]
                done += int((result[at] != xy[at]).any(axis=-1).sum())
    return replace(table, xy=result, raw_xy=raw), {"joints": done, "too_short": short}


def _runs(found: Mask) -> list[tuple[Rows, slice]]:
    """Runs without holes of (n, K): joints and the samples that they share; whole ones together, which is quicker."""
    whole = np.asarray(found.all(axis=0))
    runs = [(np.flatnonzero(whole), slice(0, len(found)))] if whole.any() else []
    some = np.asarray(found.any(axis=0)) & ~whole
    for joint in np.flatnonzero(some).tolist():
        edges = np.diff(found[:, joint].astype(np.int8), prepend=0, append=0)
        pairs = zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True)
        runs += [(np.array([joint]), slice(start, stop)) for start, stop in pairs]
    return runs


def _filtered(
    method: Smoothing, seconds: Array, values: Array, size: Array, cutoff_hz: float
) -> npt.NDArray[np.floating]:
    """One run, (n, joints, 2)."""
    if method == "one-euro":
        online, everything = OneEuro(cutoff_hz=cutoff_hz), np.ones(values.shape[1], dtype=bool)
        return np.stack(
            [
                online.update(time, xy, everything, size=body)
                for time, xy, body in zip(seconds.tolist(), values, size.tolist(), strict=True)
            ]
        )
    flat = values.reshape(len(values), -1)
    whole = butterworth if method == "butterworth" else savitzky_golay
    return whole(seconds, flat, cutoff_hz=cutoff_hz).reshape(values.shape)
