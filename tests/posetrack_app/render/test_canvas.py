"""Strokes against plain geometry, blending against its formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.skeleton import COCO17
from posetrack_app.render.canvas import Strokes, blend, clip
from posetrack_app.render.colours import side_colours, tint

coordinate = st.floats(-300, 400, width=32)


def stroke(
    ends: tuple[float, float, float, float], radius: float, *, opacity: float = 1.0, rim: float = 0.0
) -> Strokes:
    return Strokes(
        start=np.array([ends[:2]]),
        end=np.array([ends[2:]]),
        radius=np.full((1, 2), radius),
        colour=np.array([[200, 100, 50]], dtype=np.uint8),
        opacity=np.array([opacity]),
        rim=np.array([rim]),
        figure=np.zeros(1, dtype=np.intp),
    )


@given(ends=st.tuples(coordinate, coordinate, coordinate, coordinate))
def test_clipping_keeps_exactly_what_is_inside(ends: tuple[float, float, float, float]) -> None:
    start, end = np.array([ends[:2]]), np.array([ends[2:]])
    first, last, inside = clip(start, end, width=100, height=60, margin=10.0)
    low, high = np.array([-10.0, -10.0]), np.array([110.0, 70.0])
    points = start + np.linspace(0, 1, 701)[:, None] * (end - start)
    within = ((points >= low) & (points <= high)).all(axis=1)
    if not inside[0]:
        assert not within.any()
        return
    assert ((first >= low) & (first <= high) & (last >= low) & (last <= high)).all()
    if within.any():
        near = np.hypot(*(end - start)[0]) / 700 + 1e-3
        assert np.hypot(*(points[within][0] - first[0])) <= near
        assert np.hypot(*(points[within][-1] - last[0])) <= near


@settings(deadline=None)
@given(
    ends=st.tuples(*[st.floats(-20, 100) for _ in range(4)]),
    radius=st.floats(0.5, 9),
    opacity=st.sampled_from([1.0, 0.5]),
)
def test_a_stroke_fills_what_is_near_its_segment(
    ends: tuple[float, float, float, float], radius: float, opacity: float
) -> None:
    image = np.zeros((70, 90, 3), dtype=np.uint8)
    stroke(ends, radius, opacity=opacity).paint(image)
    a, b = np.array(ends[:2]), np.array(ends[2:])
    points = np.stack(np.meshgrid(np.arange(90), np.arange(70)), axis=-1) - a
    share = np.clip(points @ (b - a) / max((b - a) @ (b - a), 1e-9), 0, 1)
    away = np.hypot(*np.moveaxis(points - share[..., None] * (b - a), -1, 0))
    full = np.rint(np.array([200, 100, 50]) * opacity)
    inner, outer = away < 0.95 * radius - 0.6, away > radius + 2.2
    assert (np.abs(image[inner] - full) <= 2).all()
    assert not image[outer].any()


def test_the_rim_is_dark_and_outside() -> None:
    image = np.full((40, 60, 3), 255, dtype=np.uint8)
    stroke((10, 20, 50, 20), 4, rim=3).paint(image)
    assert image[20, 30].tolist() == [200, 100, 50]
    assert image[26, 30].max() < 40
    assert image[30, 30].tolist() == [255, 255, 255]


def test_sheer_strokes_do_not_add_up_where_they_cross() -> None:
    image = np.full((60, 60, 3), 255, dtype=np.uint8)
    one, other = stroke((10, 30, 50, 30), 5, opacity=0.5), stroke((30, 10, 30, 50), 5, opacity=0.5)
    fields = {name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in one.__dataclass_fields__}
    Strokes(**fields).paint(image)
    assert image[30, 30].tolist() == image[30, 15].tolist() == image[15, 30].tolist()


@given(seed=st.integers(0, 1000), size=st.tuples(st.integers(1, 150), st.integers(1, 150)))
@settings(deadline=None, max_examples=30)
def test_blending_follows_its_formula(seed: int, size: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (160, 170, 3), dtype=np.uint8)
    ink = random.integers(0, 256, (*size, 3), dtype=np.uint8)
    alpha = random.integers(0, 256, size, dtype=np.uint8) * (random.random(size) < 0.3).astype(np.uint8)
    x, y = int(random.integers(0, 171 - size[1])), int(random.integers(0, 161 - size[0]))
    wanted = image.astype(np.float64)
    share = alpha[..., None] / 255
    wanted[y : y + size[0], x : x + size[1]] *= 1 - share
    wanted[y : y + size[0], x : x + size[1]] += share * ink
    untouched = wanted == image
    before = image.copy()
    blend(image, ink, alpha, x=x, y=y)
    assert np.abs(image - wanted).max() <= 1
    assert np.array_equal(image[untouched], before[untouched])


def test_tints_and_sides() -> None:
    colours = side_colours(COCO17)
    assert len({tuple(colour) for colour in colours.tolist()}) == 3
    assert tint(colours, 0.0).tolist() == colours.tolist()
    assert tint(colours, 1.0).min() == 255
    assert tint(colours, 0.5) == pytest.approx((colours.astype(float) + 255) / 2, abs=0.51)
