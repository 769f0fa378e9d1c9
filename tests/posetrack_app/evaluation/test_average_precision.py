"""Average precision: small worlds worked out by hand, and a literal slow version on random ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack_app.evaluation.annotated import JOINTS, AnnotatedFrame, FramePair, People, pair_frames
from posetrack_app.evaluation.average_precision import NEAR, Ranking, assign_people, average_precision, join, rank

K = len(JOINTS)
HEAD = (0.0, 0.0, 30.0, 40.0)  # a diagonal of 50, so a head size of 30 and a reach of 15 pixels


def people(
    joints: dict[int, dict[int, tuple[float, ...]]], *, heads: bool = True, listed: list[bool] | None = None
) -> People:
    """By track id: joint to (x, y) or (x, y, score)."""
    xy, found, score = np.zeros((len(joints), K, 2)), np.zeros((len(joints), K), bool), np.zeros((len(joints), K))
    for row, points in enumerate(joints.values()):
        for joint, (x, y, *rest) in points.items():
            xy[row, joint], found[row, joint], score[row, joint] = (x, y), True, rest[0] if rest else 1.0
    boxes = np.tile(HEAD if heads else (np.nan,) * 4, (len(joints), 1))
    return People.build(xy=xy, found=found, score=score, track_id=list(joints), head_box=boxes, listed=listed)


def figures(*pairs: FramePair) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    result = average_precision(rank(pairs))
    return result.ap, result.precision, result.recall


def test_a_joint_is_right_up_to_half_a_head() -> None:
    truth = people({0: {0: (100, 100), 1: (100, 200)}})
    at_the_edge = people({0: {0: (115, 100), 1: (115.001, 200)}})
    ap, precision, recall = figures(FramePair.of(truth, at_the_edge))
    assert ap[:2] == pytest.approx([100, 0])
    assert precision[:2] == pytest.approx([100, 0])
    assert recall[:2] == pytest.approx([100, 0])


def test_ranking_and_area_by_hand() -> None:
    """Scores 0.9 right, 0.8 wrong, 0.7 right of two true joints: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1."""
    truth = people({0: {3: (0, 0)}, 1: {3: (500, 0)}})
    seen = people({0: {3: (1, 0, 0.9)}, 1: {3: (501, 0, 0.7)}, 2: {3: (250, 0, 0.8)}})
    ap, precision, recall = figures(FramePair.of(truth, seen))
    assert ap[3] == pytest.approx(100 * (0.5 * 1 + 0.5 * 2 / 3))
    assert precision[3] == pytest.approx(200 / 3)
    assert recall[3] == pytest.approx(100)


def test_joints_beside_the_annotation_of_a_matched_person_are_false() -> None:
    truth = people({0: {0: (0, 0)}})
    seen = people({0: {0: (0, 0), 5: (9, 9)}})
    ap, precision, recall = figures(FramePair.of(truth, seen))
    assert (ap[0], precision[0], recall[0]) == (100, 100, 100)
    # Predicted but nowhere annotated: nothing to find.
    assert np.isnan(ap[5])
    assert precision[5] == 0
    assert np.isnan(recall[5])
    # Neither predicted nor annotated: 0, and counted in the mean; NaN is not.
    assert ap[7] == 0
    assert ap[15] == pytest.approx(100 / 14)


def test_a_prediction_that_loses_its_person_gets_no_other() -> None:
    truth = people({0: {0: (0, 0), 1: (0, 50)}, 1: {0: (20, 0), 1: (300, 300)}})
    best = people({0: {0: (0, 0), 1: (0, 50)}, 1: {0: (8, 0)}})
    # Both speak for person 0: the second shares joint 0 with both people, equally, and the first of equals counts.
    assert assign_people(FramePair.of(truth, best)).tolist() == [0, -1]


def test_of_equal_scores_the_later_comes_first() -> None:
    truth = people({0: {0: (0, 0)}})
    right_first = people({0: {0: (0, 0, 0.5)}, 1: {0: (400, 0, 0.5)}})
    right_last = people({1: {0: (400, 0, 0.5)}, 0: {0: (0, 0, 0.5)}})
    assert figures(FramePair.of(truth, right_first))[0][0] == pytest.approx(50)
    assert figures(FramePair.of(truth, right_last))[0][0] == pytest.approx(100)


def test_what_ignore_regions_hide_is_judged_on_neither_side() -> None:
    square = np.array([(0.0, 0), (100, 0), (100, 100), (0, 100)])
    truth = people({0: {0: (50, 50), 1: (200, 200)}, 1: {0: (20, 20)}, 2: {2: (100, 50)}})
    seen = people({0: {0: (60, 60)}, 1: {1: (200, 200)}, 2: {0: (100, 100)}})
    (pair,) = pair_frames([AnnotatedFrame("a", truth, (square,))], [AnnotatedFrame("a", seen)])
    assert pair.truth.track_id.tolist() == [0, 2]  # joints on the border are not inside
    assert pair.truth.found.sum() == 2
    assert pair.predicted.track_id.tolist() == [1, 2]


def test_frames_without_annotated_people_do_not_count() -> None:
    nobody, somebody = people({}), people({0: {0: (0, 0)}})
    frames = [AnnotatedFrame("a", nobody), AnnotatedFrame("b", somebody)]
    pairs = pair_frames(frames, [AnnotatedFrame("a", somebody), AnnotatedFrame("b", nobody)])
    assert len(pairs) == 1
    assert len(pairs[0].predicted) == 0


def test_people_without_a_list_of_joints_make_a_frame_count_and_then_go() -> None:
    truth = people({0: {}, 1: {0: (0, 0)}}, listed=[False, True])
    (pair,) = pair_frames([AnnotatedFrame("a", truth)], [AnnotatedFrame("a", people({}))])
    assert pair.truth.track_id.tolist() == [1]
    gone = people({0: {}}, listed=[False])
    (pair,) = pair_frames([AnnotatedFrame("a", gone)], [AnnotatedFrame("a", people({0: {0: (0, 0)}}))])
    assert figures(pair)[1][0] == 0  # all that is predicted there is false


def test_what_cannot_be_judged_is_said() -> None:
    frame = AnnotatedFrame("a/000001.jpg", people({7: {0: (0, 0)}}, heads=False))
    seen = AnnotatedFrame("a/000001.jpg", people({0: {0: (0, 0)}}))
    with pytest.raises(ValueError, match="a/000001.jpg: person 7 has no head box"):
        pair_frames([frame], [seen])
    assert len(pair_frames([frame], [AnnotatedFrame("a", people({}))])) == 1
    with pytest.raises(ValueError, match="has 1 frames, the prediction 0"):
        pair_frames([frame], [])


def test_nothing_at_all_is_ordinary() -> None:
    ap, precision, recall = figures()
    assert ap.tolist() == precision.tolist() == recall.tolist() == [0.0] * 16


def _literal_ap(ranking: Ranking) -> float:
    """Sum over every entry of the step in recall times the best precision from there on."""
    entries = sorted(enumerate(zip(ranking.score, ranking.right, strict=True)), key=lambda e: (-e[1][0], -e[0]))
    points, hits = [], 0
    for number, (_, (_, right)) in enumerate(entries, start=1):
        hits += bool(right)
        points.append((hits / ranking.truths, hits / number))
    area, before = 0.0, 0.0
    for number, (recall, _) in enumerate(points):
        area += (recall - before) * max(precision for _, precision in points[number:])
        before = recall
    return 100 * area


@settings(max_examples=100, deadline=None)
@given(
    entries=st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), min_size=1, max_size=12),
    more=st.integers(0, 4),
)
def test_area_equals_a_literal_sum(entries: list[tuple[float, bool]], more: int) -> None:
    score, right = np.array([e[0] for e in entries]), np.array([e[1] for e in entries])
    ranking = Ranking(score, right, max(int(right.sum()) + more, 1))
    assert average_precision([ranking] * K).ap[0] == pytest.approx(_literal_ap(ranking))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), P=st.integers(0, 4), G=st.integers(0, 4))
def test_assignment_equals_a_literal_one(seed: int, P: int, G: int) -> None:
    rng = np.random.default_rng(seed)
    truth, seen = (
        people(
            {n: {j: tuple(rng.integers(0, 40, 2)) for j in np.flatnonzero(rng.uniform(size=K) < 0.4)} for n in range(c)}
        )
        for c in (G, P)
    )
    pair = FramePair.of(truth, seen)
    share = np.zeros((P, G))
    for p in range(P):
        for g in range(G):
            near = 0
            for j in range(K):
                if truth.found[g, j] and seen.found[p, j]:
                    near += np.linalg.norm(truth.xy[g, j] - seen.xy[p, j]) / 30 <= NEAR
            share[p, g] = near / truth.found[g].sum() if truth.found[g].any() else 0
    for p in range(P):
        for g in range(G):
            if g != int(np.argmax(share[p])):
                share[p, g] = 0
    expected = [-1] * P
    for g in range(G):
        if P and share[:, g].max() > 0:
            expected[int(np.argmax(share[:, g]))] = g
    assert assign_people(pair).tolist() == expected


def test_strict_takes_equal_scores_together_and_has_no_share_of_nothing() -> None:
    truth = people({0: {0: (0, 0), 2: (0, 90)}})
    for order in ((0, 400), (400, 0)):
        seen = people({n: {0: (x, 0, 0.5), 1: (0, 50)} for n, x in enumerate(order)})
        result = average_precision(rank([FramePair.of(truth, seen)]), protocol="strict")
        assert result.ap[0] == pytest.approx(50)
        # Joint 1 is predicted but not annotated, 2 the reverse, 3 neither.
        assert np.isnan(result.ap[:4]).tolist() == np.isnan(result.recall[:4]).tolist() == [False, True, False, True]
        assert np.isnan(result.precision[:4]).tolist() == [False, False, True, True]
        assert (result.ap[2], result.recall[2], result.precision[1]) == (0, 0, 0)
        assert result.ap[15] == pytest.approx(25)


def test_strict_counts_labelled_frames_and_no_others() -> None:
    nobody, somebody = people({}), people({0: {0: (0, 0)}})
    empty = AnnotatedFrame("a", nobody)
    hidden = AnnotatedFrame("b", somebody, is_labelled=False)
    seen = [AnnotatedFrame("a", somebody), AnnotatedFrame("b", somebody)]
    (pair,) = pair_frames([empty, hidden], seen, protocol="strict")
    assert (pair.name, len(pair.truth), len(pair.predicted)) == ("a", 0, 1)
    (pair,) = pair_frames([empty, hidden], seen)
    assert (pair.name, len(pair.truth)) == ("b", 1)


def test_a_region_needs_three_corners() -> None:
    line = np.array([(0.0, 0), (9, 9)])
    with pytest.raises(ValueError, match="a: an ignore region has 2 corners"):
        pair_frames([AnnotatedFrame("a", people({0: {0: (0, 0)}}), (line,))], [AnnotatedFrame("a", people({}))])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 4))
def test_rankings_of_parts_join_to_that_of_all(seed: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [
        FramePair.of(*(people({n: {0: tuple(rng.uniform(0, 60, 3))} for n in range(rng.integers(0, 3))}) for _ in "ab"))
        for _ in range(4)
    ]
    for ranking, joined in zip(rank(pairs), join([rank(pairs[:cut]), rank(pairs[cut:])]), strict=True):
        assert ranking.score.tolist() == joined.score.tolist()
        assert ranking.right.tolist() == joined.right.tolist()
        assert ranking.truths == joined.truths
    assert [ranking.truths for ranking in join([])] == [0] * K


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), P=st.integers(0, 4), G=st.integers(0, 4))
def test_names_of_identities_do_not_matter(seed: int, P: int, G: int) -> None:
    rng = np.random.default_rng(seed)
    worlds = [
        [{j: tuple(rng.uniform(0, 40, 3)) for j in np.flatnonzero(rng.uniform(size=K) < 0.4)} for _ in range(count)]
        for count in (G, P)
    ]
    names = rng.permutation(10_000)[:8].tolist()
    first = FramePair.of(*(people(dict(enumerate(world))) for world in worlds))
    other = FramePair.of(*(people(dict(zip(names, world, strict=False))) for world in worlds))
    np.testing.assert_array_equal(figures(first), figures(other))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 4))
def test_the_order_of_people_does_not_matter_where_nothing_is_equal(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    places = [
        {j: (200 * n + rng.uniform(0, 9), rng.uniform(0, 9), rng.uniform()) for j in range(K)} for n in range(count)
    ]
    moved = [{j: (x + rng.uniform(0, 20), y, score) for j, (x, y, score) in place.items()} for place in places]
    first = FramePair.of(people(dict(enumerate(places))), people(dict(enumerate(moved))))
    some, others = rng.permutation(count).tolist(), rng.permutation(count).tolist()
    other = FramePair.of(people({n: places[n] for n in some}), people({n: moved[n] for n in others}))
    np.testing.assert_allclose(figures(first), figures(other))
