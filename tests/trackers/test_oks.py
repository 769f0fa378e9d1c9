"""Similarity of poses against literal loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.skeleton import COCO17
from trackers.oks import body_boxes, body_size, box_iou, joint_variance, oks

SIGMAS = np.array(COCO17.sigmas)


def people(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 100, (count, 17, 2)), rng.random((count, 17)) < rng.uniform(0, 1)


@given(seed=st.integers(0, 1000), pairs=st.integers(0, 4))
def test_oks_is_the_literal_loop(seed: int, pairs: int) -> None:
    a, found_a = people(seed, pairs)
    b, found_b = people(seed + 1, pairs)
    b = a + (b - a) * 0.1
    size = np.random.default_rng(seed).uniform(10, 200, pairs)
    value, count = oks(a, b, found_a & found_b, joint_variance(size, SIGMAS))
    for p in range(pairs):
        terms = []
        for k in range(17):
            if found_a[p, k] and found_b[p, k]:
                d2 = (a[p, k, 0] - b[p, k, 0]) ** 2 + (a[p, k, 1] - b[p, k, 1]) ** 2
                terms.append(math.exp(-d2 / (2 * size[p] ** 2 * (2 * COCO17.sigmas[k]) ** 2)))
        assert count[p] == len(terms)
        assert value[p] == pytest.approx(sum(terms) / len(terms) if terms else 0)


@given(seed=st.integers(0, 1000))
def test_size_is_the_literal_spread_and_turns_with_the_body(seed: int) -> None:
    xy, found = people(seed, 3)
    size = body_size(xy, found)
    for n in range(3):
        points = [xy[n, k] for k in range(17) if found[n, k]]
        if not points:
            assert size[n] == 0
            continue
        mean = sum(points) / len(points)
        spread = math.sqrt(sum(float((p - mean) @ (p - mean)) for p in points) / len(points))
        assert size[n] == pytest.approx(1.8 * spread, abs=1e-6)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    np.testing.assert_allclose(body_size(3 * xy @ turn.T + 50, found), 3 * size, atol=1e-6)


def test_boxes_hold_the_found_joints_only() -> None:
    xy = np.array([[[1.0, 2.0], [5.0, 3.0], [900.0, 900.0]], [[0.0, 0.0]] * 3])
    found = np.array([[True, True, False], [False] * 3])
    boxes = body_boxes(xy, found, np.array([1.0, 1.0]))
    assert boxes[0].tolist() == [0, 1, 6, 4]
    assert boxes[1, 0] > boxes[1, 2]
    assert body_boxes(np.zeros((0, 17, 2)), np.zeros((0, 17), bool), np.zeros(0)).shape == (0, 4)


def test_iou_of_boxes_counts_cells() -> None:
    rng = np.random.default_rng(3)
    low = rng.integers(0, 10, (50, 2, 2))
    high = low + rng.integers(1, 8, (50, 2, 2))
    boxes = np.concatenate([low, high], axis=2).astype(float)
    cells = [
        [{(x, y) for x in range(b[0], b[2]) for y in range(b[1], b[3])} for b in pair] for pair in boxes.astype(int)
    ]
    expected = [len(a & b) / len(a | b) for a, b in cells]
    np.testing.assert_allclose(box_iou(boxes[:, 0], boxes[:, 1]), expected)
