"""Comparison with exact truth: against literal evaluation, and on made-up stories whose outcome is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack_app.evaluation.annotated import head_sizes
from posetrack_app.evaluation.truth import NEAR, RIGHT, compare, distances, match
from posetrack_app.formats.annotations import JOINTS
from posetrack_app.formats.posetrack2018 import LabelledFrame

HEAD = 30.0  # 0.6 times the diagonal of a box of 30 x 40
K = len(JOINTS)
BODY = np.random.default_rng(3).uniform(-60, 60, (K, 2))


def frame(places: dict[int, tuple[float, float]]) -> LabelledFrame:
    """People of one shape, all joints visible: identity to place."""
    n = len(places)
    centre = np.array(list(places.values()), dtype=np.float64).reshape(n, 1, 2)
    return LabelledFrame(
        image_id=0,
        file_name="",
        is_labelled=True,
        track_id=np.array(list(places), dtype=np.int64),
        xy=centre + BODY,
        found=np.ones((n, K), dtype=np.bool_),
        visible=np.ones((n, K), dtype=np.bool_),
        score=np.ones((n, K)),
        head_box=np.concatenate([centre[:, 0] - (15, 20), centre[:, 0] + (15, 20)], axis=1),
        ignore_regions=(),
    )


def test_the_truth_itself_is_perfect() -> None:
    frames = [frame({0: (100 + t, 50), 1: (400 - t, 80)}) for t in range(20)]
    report = compare(frames, frames)
    assert (report.frames, report.people, report.found, report.false_people, report.switches) == (20, 40, 40, 0, 0)
    assert report.recall == report.pck == 1
    assert set(report.joints.values()) == {40}


def test_nobody_is_ordinary() -> None:
    nobody, somebody = frame({}), frame({3: (0, 0)})
    report = compare([nobody, nobody], [nobody, nobody])
    assert (report.frames, report.people, report.false_people) == (2, 0, 0)
    assert np.isnan([report.recall, report.pck, report.pck_of("nose")]).all()
    assert compare([nobody], [somebody]).false_people == 1
    missed = compare([somebody], [nobody])
    assert (missed.people, missed.found, missed.recall) == (1, 0, 0)
    assert compare([], []).frames == 0
    with pytest.raises(ValueError, match="shorter"):
        compare([nobody, nobody], [nobody])


def test_half_a_head_is_the_limit_of_a_right_joint() -> None:
    true = frame({0: (0, 0)})
    xy = true.xy.copy()
    xy[0, 0, 0] += RIGHT * HEAD - 0.01
    xy[0, 1, 1] += RIGHT * HEAD + 0.01
    report = compare([true], [replace(true, xy=xy)])
    assert report.pck_of("nose") == 1
    assert report.pck_of("head_bottom") == 0
    assert report.pck == pytest.approx(16 / 17)


def test_a_joint_that_was_not_found_is_wrong_and_a_hidden_one_is_not_judged() -> None:
    true = frame({0: (0, 0)})
    found, visible = true.found.copy(), true.visible.copy()
    found[0, JOINTS.index("left_knee")] = False
    visible[0, JOINTS.index("right_knee")] = False
    report = compare([replace(true, visible=visible)], [replace(true, found=found)])
    assert report.joints["left_knee"] == 1
    assert report.right["left_knee"] == 0
    assert report.joints["right_knee"] == 0


def test_a_hidden_person_is_neither_demanded_nor_false() -> None:
    true = frame({0: (0, 0)})
    hidden = replace(true, visible=np.zeros_like(true.visible))
    for tracked in (frame({}), frame({9: (0, 0)})):
        report = compare([hidden], [tracked])
        assert (report.people, report.found, report.false_people) == (0, 0, 0)


def test_far_away_is_nobody() -> None:
    report = compare([frame({0: (0, 0)})], [frame({0: (0, NEAR * HEAD + 1)})])
    assert (report.found, report.false_people) == (0, 1)


def test_switches_are_counted_against_the_last_pair() -> None:
    true = [frame({0: (0, 0), 1: (500, 0)})] * 5
    tracked = [
        frame({7: (0, 0), 8: (500, 0)}),
        frame({8: (500, 0)}),  # 0 is lost: no switch
        frame({9: (0, 0), 8: (500, 0)}),  # and comes back as another: one
        frame({9: (500, 0), 8: (0, 0)}),  # the two are exchanged: two
        frame({9: (500, 0), 8: (0, 0)}),
    ]
    assert compare(true, tracked).switches == 3


def test_a_pair_stays_though_another_is_nearer() -> None:
    true = [frame({0: (0, 0)})] * 2
    tracked = [frame({5: (0, 0)}), frame({6: (0, 0), 5: (20, 0)})]
    report = compare(true, tracked)
    assert (report.found, report.switches, report.false_people) == (2, 0, 1)
    assert compare(true, tracked[::-1]).switches == 1  # without a memory the nearer one, 6, comes first
    gone = [frame({6: (0, 0), 5: (NEAR * HEAD + 1, 0)})]
    assert compare([true[0], true[0]], [tracked[0], *gone]).switches == 1


@settings(deadline=None)
@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_pairs_are_the_best_ones(n: int, m: int, seed: int) -> None:
    """Against all ways of pairing: first as many as possible, then at the least distance."""
    random = np.random.default_rng(seed)
    true_xy, xy = random.normal(0, 25, (n, K, 2)), random.normal(0, 25, (m, K, 2))
    shared = random.random((n, m, K)) < 0.4
    distance = distances(true_xy, xy, random.uniform(20, 60, n))
    cost = np.full((n, m), np.inf)
    for i in range(n):
        for j in range(m):
            values = [distance[i, j, k] for k in range(K) if shared[i, j, k]]
            if len(values) >= 3 and np.mean(values) <= NEAR:
                cost[i, j] = np.mean(values)
    best = (0, 0.0)
    for choice in permutations([*range(m), *[-1] * n], n):
        pairs = [(i, j) for i, j in enumerate(choice) if j >= 0 and np.isfinite(cost[i, j])]
        best = min(best, (-len(pairs), float(sum(cost[pair] for pair in pairs))))
    found = match(distance, shared, range(n), range(m), {})
    assert len(found) == -best[0]
    assert sum(cost[i, j] for i, j in found.items()) == pytest.approx(best[1])


def test_distances_are_literal() -> None:
    random = np.random.default_rng(0)
    true_xy, xy, boxes = random.random((3, K, 2)), random.random((2, K, 2)), random.random((3, 4))
    sizes = head_sizes(boxes)
    result = distances(true_xy, xy, sizes)
    for n in range(3):
        for m in range(2):
            for k in range(K):
                away = ((true_xy[n, k] - xy[m, k]) ** 2).sum() ** 0.5
                size = 0.6 * ((boxes[n, 2] - boxes[n, 0]) ** 2 + (boxes[n, 3] - boxes[n, 1]) ** 2) ** 0.5
                assert result[n, m, k] == pytest.approx(away / size)
