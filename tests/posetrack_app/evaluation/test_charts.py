"""Shapes of charts against what they stand for."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack_app.evaluation.average_precision import Curve, Ranking, average_precision
from posetrack_app.evaluation.charts import SIDE, Bar, bar_length, columns, curve_shape, line_strokes
from posetrack_app.evaluation.timeline import Line, Piece


def points(path: str) -> np.ndarray:
    """(E, 2): the corners of a path of M, L and Z."""
    return np.array([[int(number) for number in pair.split()] for pair in re.split("[ML]", path.rstrip("Z"))[1:]])


def area(corners: np.ndarray) -> float:
    """By the shoelace formula."""
    x, y = corners.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), entries=st.integers(1, 3000), share=st.floats(0.05, 1))
def test_the_shaded_area_is_the_average_precision(seed: int, entries: int, share: float) -> None:
    random = np.random.default_rng(seed)
    right = random.random(entries) < share
    ranking = Ranking(random.random(entries), right, int(right.sum()) + int(random.integers(1, 50)))
    accuracy = average_precision([ranking] * 15)
    shape = curve_shape(accuracy.curves[0])
    assert shape is not None
    assert 100 * area(points(shape.area)) / SIDE**2 == pytest.approx(accuracy.ap[0], abs=1.0)
    assert len(shape.line) < 12 * 4 * (SIDE + 2)  # four points a column, whatever the number of entries


def test_the_line_keeps_what_a_picture_shows() -> None:
    """Ten thousand entries, right and wrong in turn, then only right: it starts and ends where the curve does."""
    right = np.append(np.arange(5000) % 2 == 0, np.ones(5000, dtype=bool))
    curve = average_precision([Ranking(np.linspace(1, 0, 10_000), right, 10_000)] * 15).curves[0]
    shape = curve_shape(curve)
    assert shape is not None
    line = points(shape.line)
    np.testing.assert_allclose(line[0], [0, 0], atol=1)
    np.testing.assert_allclose(line[-1], [SIDE * 0.75, SIDE * 0.25], atol=1)
    assert (np.diff(line[:, 0]) >= 0).all()
    assert line[:, 1].max() == pytest.approx(SIDE * 0.5, abs=1)


def test_no_curve() -> None:
    nothing = np.zeros(0)
    assert curve_shape(Curve(nothing, nothing)) is None
    assert curve_shape(Curve(np.full(2, np.nan), np.ones(2))) is None  # predicted, nowhere annotated


def test_one_point() -> None:
    shape = curve_shape(Curve(np.array([0.5]), np.array([1.0])))
    assert shape is not None
    assert area(points(shape.area)) == SIDE**2 / 2


def test_bars() -> None:
    assert Bar(10, 20, 5).parts == [("miss", 0, 10), ("false", 10, 20), ("switch", 30, 5), ("rest", 35, 65)]
    assert Bar(30, 500, 7).parts == [("miss", 0, 30), ("false", 30, 170)]
    assert Bar(0, 0, 0).parts == [("rest", 0, 100)]
    nan = float("nan")
    assert Bar(nan, nan, nan).parts == []
    assert bar_length([Bar(30, 500, 7), Bar(nan, nan, nan)]) == 200


def test_columns_stand_on_the_ground() -> None:
    assert columns([0, 2, 4], highest=4) == "M1 0v-0.5h1V0zM2 0v-1h1V0z"
    assert columns([0, 0], highest=0) == columns([], highest=0) == ""


def test_strokes_cover_the_pieces() -> None:
    pieces = (Piece(0, 2, 7, 3), Piece(2, 3, None, 0), Piece(5, 6, 9, 1), Piece(6, 9, 7, 3))
    strokes = line_strokes(Line(1, pieces, (5, 6), (), 9, 9), [f"f{t}" for t in range(9)])
    assert [(stroke.predicted, stroke.level, stroke.path, stroke.where) for stroke in strokes] == [
        (7, 3, "M0 0h2M6 0h3", "f0 to f1, f6 to f8"),
        (None, 0, "M2 0h1", "f2"),
        (9, 1, "M5 0h1", "f5"),
    ]
    many = tuple(Piece(t, t + 1, t % 2, 1) for t in range(20))
    assert line_strokes(Line(1, many, (), (), 9, 9), [f"f{t}" for t in range(20)])[0].where.endswith("f10 and 4 more")
