"""Similarity, gates, assignment, and who is shown twice."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.skeleton import COCO17
from trackers.association import Bodies, assign, duplicates, overlaid, similarity
from trackers.oks import body_size

SIGMAS = np.array(COCO17.sigmas)
BODY = np.stack([np.tile([-10.0, 10.0], 9)[:17], np.linspace(-50, 50, 17)], axis=-1)


def bodies(*places: tuple[float, float], found: np.ndarray | None = None) -> Bodies:
    xy = np.array(places, dtype=float).reshape(-1, 1, 2) + BODY
    found = np.ones(xy.shape[:2], bool) if found is None else found
    return Bodies.of(xy, found, np.maximum(body_size(xy, found), 16))


def fit(tracks: Bodies, poses: Bodies, *, variance: float = 0.0, reach: float = 1000.0) -> np.ndarray:
    M = len(tracks.xy)
    return similarity(tracks, poses, SIGMAS, variance=np.full((M, 17), variance), reach=np.full(M, reach))


def test_similarity_is_the_literal_loop() -> None:
    rng = np.random.default_rng(5)
    found_a, found_b = rng.random((3, 17)) < 0.7, rng.random((4, 17)) < 0.7
    tracks = bodies((0, 0), (10, 0), (60, 5), found=found_a)
    poses = bodies((3, 1), (0, 0), (55, 0), (400, 0), found=found_b)
    value = fit(tracks, poses, variance=4.0)
    for m, n in itertools.product(range(3), range(4)):
        size = max(tracks.size[m], poses.size[n])
        terms = [
            math.exp(-float(((tracks.xy[m, k] - poses.xy[n, k]) ** 2).sum()) / 2 / ((2 * SIGMAS[k] * size) ** 2 + 4))
            for k in range(17)
            if found_a[m, k] and found_b[n, k]
        ]
        assert len(terms) >= 3
        share = len(terms) / max(found_a[m].sum(), found_b[n].sum())
        assert value[m, n] == pytest.approx(sum(terms) / len(terms) * math.sqrt(share), abs=1e-12)


def test_the_gate_shuts_beyond_reach() -> None:
    tracks, poses = bodies((0, 0)), bodies((19, 0), (21, 0))
    value = fit(tracks, poses, variance=1e6, reach=20.0)
    assert value[0, 0] > 0.9
    assert value[0, 1] == 0


def test_a_vague_prediction_reaches_farther() -> None:
    near = fit(bodies((0, 0)), bodies((30, 0)))
    assert fit(bodies((0, 0)), bodies((30, 0)), variance=900.0)[0, 0] > 0.3 > near[0, 0]


def test_boxes_decide_where_few_joints_are_shared() -> None:
    head, legs = np.zeros((1, 17), bool), np.zeros((1, 17), bool)
    head[0, :10], legs[0, 8:] = True, True  # two joints shared
    value = fit(bodies((0, 0), found=head), bodies((0, 0), found=legs))
    assert 0 < value[0, 0] < 0.5
    assert fit(bodies((0, 0), found=head), bodies((300, 0), found=legs))[0, 0] == 0


@given(seed=st.integers(0, 500), rows=st.integers(0, 4), columns=st.integers(0, 4))
def test_assignment_is_the_best_of_all(seed: int, rows: int, columns: int) -> None:
    value = np.random.default_rng(seed).random((rows, columns))
    got = list(zip(*(part.tolist() for part in assign(value, minimum=0.3)), strict=True))
    assert len({m for m, _ in got}) == len({n for _, n in got}) == len(got)
    assert all(value[m, n] >= 0.3 for m, n in got)
    best = 0.0
    for count in range(min(rows, columns) + 1):
        for ms in itertools.combinations(range(rows), count):
            for ns in itertools.permutations(range(columns), count):
                pairs = [value[m, n] for m, n in zip(ms, ns, strict=True)]
                best = max(best, sum(pairs)) if all(v >= 0.3 for v in pairs) else best
    assert sum(value[m, n] for m, n in got) == pytest.approx(best)


def test_duplicates_the_weaker_goes_the_neighbour_stays() -> None:
    half = np.ones((4, 17), bool)
    half[2, 8:] = False
    people = bodies((0, 0), (1, 1), (2, 0), (40, 0), found=half)
    assert duplicates(people, SIGMAS, minimum=0.7).tolist() == [False, True, True, False]


def test_a_shared_hand_is_no_duplicate() -> None:
    a, b = bodies((0, 0)), bodies((60, 0))
    xy = np.concatenate([a.xy, b.xy])
    xy[1, 9] = xy[0, 9]
    only = np.ones((2, 17), bool)
    only[0, 10:] = False
    only[1, :9] = False  # the hand is all that both have
    people = Bodies.of(xy, only, body_size(xy, only))
    assert not duplicates(people, SIGMAS, minimum=0.7).any()


def test_a_pose_that_goes_removes_nobody() -> None:
    """Of three in a row, each like the next only, the first and the last stay."""
    people = bodies((0, 0), (7, 0), (14, 0))
    value = fit(people, people)
    threshold = float(value[0, 1]) - 0.01
    assert value[0, 2] < threshold
    assert duplicates(people, SIGMAS, minimum=threshold).tolist() == [False, True, False]


def test_overlaid_is_the_literal_loop() -> None:
    rng = np.random.default_rng(7)
    people = bodies((0, 0), (9, 4), (12, -5), (400, 0), (5, 3), found=rng.random((5, 17)) < 0.6)
    expected = []
    for n in range(5):
        shares = []
        for k in np.flatnonzero(people.found[n]):
            best = 0.0
            for stronger, joint in itertools.product(range(n), (k, COCO17.mirror[k])):
                if people.found[stronger, joint]:
                    apart = math.dist(people.xy[stronger, joint], people.xy[n, k])
                    wide = 0.15 * max(people.size[stronger], people.size[n])
                    best = max(best, math.exp(-(apart**2) / (2 * wide**2)))
            shares.append(best)
        expected.append(np.mean(shares))
    value = overlaid(people, COCO17.mirror, width=0.15)
    assert value == pytest.approx(expected)
    assert value[0] == value[3] == 0
    assert (value[[1, 2, 4]] > 0.1).all()


def test_overlaid_sees_exchanged_sides_and_a_part_of_each_of_two() -> None:
    person, beside = bodies((0, 0)).xy[0], bodies((45, 0)).xy[0]
    mixed = np.concatenate([person[:8], beside[8:]])
    xy = np.stack([person, beside, person[COCO17.mirror], mixed])
    found = np.ones(xy.shape[:2], bool)
    people = Bodies.of(xy, found, body_size(xy, found))
    assert overlaid(people, COCO17.mirror, width=0.1) == pytest.approx([0, 0, 1, 1], abs=0.01)
    assert overlaid(people, np.arange(17), width=0.1)[2] < 0.5
    assert not overlaid(people, COCO17.mirror, width=0).any()
