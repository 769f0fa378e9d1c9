"""Frames in the network's input: they fit, corners come back, and nothing fine is lost by skipping pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack_app.letterbox import Letterbox


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(32, 800), st.sampled_from([32, 64]))
def test_a_letterbox_fits(width: int, height: int, short_side: int, multiple: int) -> None:
    box = Letterbox.fit(width, height, short_side=short_side, max_long_side=4 * short_side, multiple=multiple)
    for canvas, scaled in zip(box.canvas, box.scaled, strict=True):
        assert canvas % multiple == 0
        assert scaled <= canvas < scaled + multiple
    assert max(box.scaled) <= 4 * short_side
    assert min(box.scaled) <= short_side
    if max(width, height) <= 4 * min(width, height):
        assert abs(min(box.scaled) - short_side) <= 1
    corners = np.array([[-0.5, -0.5], [box.scaled[0] / 4 - 0.5, box.scaled[1] / 4 - 0.5]], dtype=np.float32)
    np.testing.assert_allclose(box.to_frame(corners), [[-0.5, -0.5], [width - 0.5, height - 0.5]], atol=1e-2)


@pytest.mark.parametrize("size", [(1280, 720), (640, 427), (1920, 1080), (2704, 1520), (3840, 2160), (1000, 777)])
def test_what_is_finer_than_the_networks_pixels_is_averaged(size: tuple[int, int]) -> None:
    box = Letterbox.fit(*size, short_side=256, max_long_side=1024, multiple=32)
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    canvas = np.empty((box.canvas[1], box.canvas[0], 3), dtype=np.uint8)
    box.draw(noise, canvas)
    # The mean of n pixels of noise has a deviation 1 / sqrt(n) times as large.
    expected = noise.std() * box.scaled[0] / size[0]
    assert canvas[: box.scaled[1], : box.scaled[0]].std() == pytest.approx(expected, rel=0.2)
