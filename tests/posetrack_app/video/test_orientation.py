"""All eight orientations and square pixels, against literal loops."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrack_app.video.orientation import Orientation, squared

ONE = 1 << 16
STRAIGHT = [(a, 0, 0, d) for a, d in product((ONE, -ONE), repeat=2)]
CROSSED = [(0, b, c, 0) for b, c in product((ONE, -ONE), repeat=2)]


def matrix(a: int, b: int, c: int, d: int) -> list[int]:
    """Nine numbers as FFmpeg stores them."""
    return [a, b, 0, c, d, 0, 0, 0, 1 << 30]


def literal(image: np.ndarray, a: int, b: int, c: int, d: int) -> np.ndarray:
    """Each stored point (p, q) goes to (a p + c q, b p + d q), then all are moved to start at 0."""
    height, width = image.shape[:2]
    places = {}
    for q, p in product(range(height), range(width)):
        places[(a * p + c * q) // ONE, (b * p + d * q) // ONE] = image[q, p]
    left, top = min(x for x, _ in places), min(y for _, y in places)
    right, bottom = max(x for x, _ in places), max(y for _, y in places)
    shown = np.zeros((bottom - top + 1, right - left + 1, 3), dtype=np.uint8)
    for (x, y), pixel in places.items():
        shown[y - top, x - left] = pixel
    return shown


@pytest.mark.parametrize("numbers", STRAIGHT + CROSSED)
def test_all_eight_orientations(numbers: tuple[int, int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    shown = Orientation.from_matrix(matrix(*numbers)).apply(image)
    np.testing.assert_array_equal(shown, literal(image, *numbers))


def test_the_eight_have_eight_descriptions() -> None:
    words = {Orientation.from_matrix(matrix(*numbers)).words() for numbers in STRAIGHT + CROSSED}
    assert len(words) == 8
    assert Orientation().words() == "upright"


@pytest.mark.parametrize("quarters", range(-4, 5))
def test_angles_are_quarter_turns(quarters: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Orientation.from_degrees(90 * quarters).apply(image), np.rot90(image, quarters))


@given(st.floats(min_value=-180, max_value=180), st.floats(min_value=0.1, max_value=8))
def test_any_angle_and_size_goes_to_the_nearest_quarter_turn(degrees: float, scale: float) -> None:
    if abs(degrees % 90 - 45) < 1:
        return
    cosine, sine = ONE * scale * np.cos(np.deg2rad(degrees)), ONE * scale * np.sin(np.deg2rad(degrees))
    turned = Orientation.from_matrix(matrix(int(cosine), int(-sine), int(sine), int(cosine)))
    assert turned == Orientation.from_degrees(degrees)


def test_a_matrix_of_zeros_changes_nothing() -> None:
    assert Orientation.from_matrix([0] * 9) == Orientation()


@given(
    st.integers(min_value=2, max_value=4000),
    st.integers(min_value=2, max_value=4000),
    st.fractions(min_value=Fraction(1, 16), max_value=16, max_denominator=500),
)
def test_square_pixels_grow_and_keep_the_proportion(width: int, height: int, aspect: Fraction) -> None:
    shown_width, shown_height = squared(width, height, aspect)
    assert shown_width >= width
    assert shown_height >= height
    assert shown_width == width or shown_height == height
    exact = Fraction(width * aspect, height)
    # The side that grows is rounded to a whole pixel.
    rounding = Fraction(1, 2 * min(shown_width, shown_height) - 1)
    slack = Fraction(1, 1000) if abs(aspect - 1) < Fraction(1, 1000) else rounding
    assert abs(Fraction(shown_width, shown_height) / exact - 1) <= slack


@pytest.mark.parametrize(
    "aspect", [None, Fraction(0), Fraction(-1), Fraction(1, 1000), Fraction(1000), Fraction(2159, 2160)]
)
def test_nonsense_counts_as_square(aspect: Fraction | None) -> None:
    assert squared(720, 1270, aspect) == (720, 1270)
