"""Peaks: a literal search finds the same, and a drawn Gaussian is found where it was drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.peaks import find_peaks


def gaussian(x: float, y: float, *, size: tuple[int, int] = (24, 20), top: float = 0.9, sigma: float = 1.5) -> Tensor:
    rows, columns = np.mgrid[: size[1], : size[0]]
    return torch.tensor(top * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)))[None, None].float()


def plain_tags(heatmaps: Tensor) -> Tensor:
    B, C, H, W = heatmaps.shape
    return torch.arange(B * C * H * W).reshape(B, 1, C, H, W).float()


def literal_peaks(heatmap: np.ndarray, threshold: float) -> set[tuple[int, int]]:
    """Cells (x, y) that no neighbour exceeds, and that no earlier neighbour in reading order equals."""
    H, W = heatmap.shape
    found = set()
    for y in range(H):
        for x in range(W):
            good = heatmap[y, x] > threshold
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    if (dx or dy) and 0 <= y + dy < H and 0 <= x + dx < W:
                        other = heatmap[y + dy, x + dx]
                        earlier = (dy, dx) < (0, 0)
                        good = good and (heatmap[y, x] > other if earlier else heatmap[y, x] >= other)
            if good:
                found.add((x, y))
    return found


@settings(max_examples=60, deadline=None)
@given(st.floats(3, 20), st.floats(3, 16), st.floats(0.1, 1.0), st.floats(1.2, 2.5))
def test_a_gaussian_is_found_where_it_was_drawn(x: float, y: float, top: float, sigma: float) -> None:
    heatmaps = gaussian(x, y, top=top, sigma=sigma)
    peaks = find_peaks(heatmaps, plain_tags(heatmaps))
    assert peaks.score.shape == (1, 1, 1)
    np.testing.assert_allclose(peaks.xy[0, 0, 0], (x, y), atol=0.05)


def test_at_the_border_a_peak_stays_in_its_cell() -> None:
    heatmaps = gaussian(0, 19)
    peaks = find_peaks(heatmaps, plain_tags(heatmaps))
    np.testing.assert_allclose(peaks.xy[0, 0], [[0, 19]])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12), st.sampled_from([3, 8, 1000]))
def test_the_peaks_are_those_of_a_literal_search(seed: int, H: int, W: int, levels: int) -> None:
    """With few levels many neighbours are equal."""
    rng = np.random.default_rng(seed)
    maps = rng.integers(-levels, levels, (2, 3, H, W)) / levels
    heatmaps = torch.tensor(maps).float()
    tags = plain_tags(heatmaps)
    peaks = find_peaks(heatmaps, tags, threshold=0.1, max_peaks=H * W)
    for b in range(2):
        for c in range(3):
            seen = peaks.score[b, c] > 0
            cells = np.rint(peaks.xy[b, c, seen]).astype(int)
            expected = literal_peaks(heatmaps[b, c].numpy(), 0.1)
            assert len(cells) == len(expected)
            # The tag under a peak names the very cell, whatever the refinement did.
            number = peaks.tags[b, c, seen, 0].astype(int) - (b * 3 + c) * H * W
            assert {(int(n % W), int(n // W)) for n in number} == expected
            assert (np.abs(peaks.xy[b, c, seen] - np.stack([number % W, number // W], axis=-1)) <= 0.5).all()
            assert (np.diff(peaks.score[b, c]) <= 0).all()


def test_equal_neighbours_are_one_peak() -> None:
    heatmaps = torch.zeros(1, 1, 9, 9)
    heatmaps[0, 0, 3:5, 4:6] = 0.5
    peaks = find_peaks(heatmaps, plain_tags(heatmaps))
    assert (peaks.score > 0).sum() == 1


def test_nothing_is_ordinary() -> None:
    heatmaps = torch.zeros(2, 17, 8, 8)
    peaks = find_peaks(heatmaps, plain_tags(heatmaps))
    assert peaks.xy.shape == (2, 17, 0, 2)
    assert peaks.tags.shape == (2, 17, 0, 1)
    nobody = find_peaks(heatmaps[:0], plain_tags(heatmaps)[:0])
    assert nobody.score.shape == (0, 17, 0)


def test_the_highest_are_kept_of_each_map_as_many_as_it_may_have() -> None:
    heatmaps = torch.zeros(1, 2, 16, 16)
    heatmaps[0, :, 1::4, 1::4] = torch.linspace(0.2, 0.9, 16).reshape(4, 4)
    peaks = find_peaks(heatmaps, plain_tags(heatmaps), max_peaks=(3, 5))
    assert (peaks.score > 0).sum(axis=2).tolist() == [[3, 5]]
    np.testing.assert_allclose(peaks.score[0, 1], np.linspace(0.2, 0.9, 16)[:-6:-1], rtol=1e-6)


def test_no_peak_in_the_padding() -> None:
    heatmaps = gaussian(20, 10) + gaussian(5, 5)
    peaks = find_peaks(heatmaps, plain_tags(heatmaps), valid=[(18, 20)])
    np.testing.assert_allclose(peaks.xy[0, 0], [[5, 5]], atol=0.05)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    heatmaps = gaussian(10.3, 7.6)
    peaks = find_peaks(heatmaps.to(dtype), plain_tags(heatmaps).to(dtype))
    np.testing.assert_allclose(peaks.xy[0, 0, 0], (10.3, 7.6), atol=0.1)


def test_tags_of_several_views() -> None:
    heatmaps = gaussian(10, 7)
    tags = torch.cat([plain_tags(heatmaps), -plain_tags(heatmaps)], dim=1)
    peaks = find_peaks(heatmaps, tags)
    assert peaks.tags[0, 0, 0].tolist() == [7 * 24 + 10, -(7 * 24 + 10)]
