"""Tracking figures: small worlds worked out by hand, and a literal slow version on random ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack_app.evaluation.annotated import JOINTS, FramePair, People
from posetrack_app.evaluation.clear_mot import Counts, count, follow, tracking

K = len(JOINTS)
HEAD = (0.0, 0.0, 30.0, 40.0)  # a diagonal of 50, so a head size of 30 and a reach of 15 pixels
Dots = dict[int, float] | dict[int, complex]
"""By track id: x (+ i y) of joint 0, the only joint."""


def people(dots: Dots) -> People:
    xy, found = np.zeros((len(dots), K, 2)), np.zeros((len(dots), K), bool)
    places = np.array(list(dots.values()), dtype=complex)
    xy[:, 0, 0], xy[:, 0, 1], found[:, 0] = places.real, places.imag, True
    return People.build(xy=xy, found=found, track_id=list(dots), head_box=np.tile(HEAD, (len(dots), 1)))


def counted(*frames: tuple[Dots, Dots]) -> dict[str, float]:
    """Counts of joint 0 over frames of (truth, prediction); the last frame, which never counts, is added here."""
    counts = count([FramePair.of(people(truth), people(seen)) for truth, seen in [*frames, ({0: 0.0}, {0: 0.0})]])
    names = ("objects", "misses", "false_positives", "switches", "detections", "distance")
    return {name: getattr(counts, name)[0] for name in names}


def test_a_perfect_track() -> None:
    found = counted(({0: 0.0}, {5: 3.0}), ({0: 10.0}, {5: 10.0}))
    assert found == {
        "objects": 2, "misses": 0, "false_positives": 0, "switches": 0, "detections": 2, "distance": pytest.approx(0.1),
    }  # fmt: skip


def test_the_last_frame_never_counts() -> None:
    assert count([FramePair.of(people({0: 0.0}), people({}))]).objects.sum() == 0
    assert count([]).objects.sum() == 0


def test_a_switch_counts_against_the_last_match_however_long_ago() -> None:
    found = counted(({0: 0.0}, {1: 0.0}), ({0: 0.0}, {9: 400.0}), ({0: 0.0}, {2: 0.0}))
    assert (found["switches"], found["misses"], found["false_positives"], found["detections"]) == (1, 1, 1, 2)
    # An identity that passes on to somebody new is no switch.
    assert counted(({0: 0.0}, {1: 0.0}), ({3: 0.0}, {1: 0.0}))["switches"] == 0


def test_who_was_matched_before_is_kept_though_another_is_nearer() -> None:
    found = counted(({0: 0.0}, {1: 0.0}), ({0: 0.0}, {2: 1.0, 1: 14.0}))
    assert (found["switches"], found["false_positives"]) == (0, 1)
    assert found["distance"] == pytest.approx(14 / 30)


def test_as_many_pairs_as_possible_then_the_nearest() -> None:
    # Alone, 0-1 would be nearest; but then 1 would have nobody.
    found = counted(({0: 0.0, 1: 14.0}, {1: 1.0, 2: -12.0}))
    assert (found["detections"], found["misses"]) == (2, 0)
    assert found["distance"] == pytest.approx((12 + 13) / 30)


def test_a_frame_with_nobody_on_one_side_costs_one_of_each_for_every_joint() -> None:
    three = people({0: 0.0, 1: 100.0, 2: 200.0})
    empty, last = FramePair.of(three, people({})), FramePair.of(three, three)
    for pair in (empty, FramePair.of(people({}), three)):
        counts = count([pair, last])
        assert counts.objects.tolist() == counts.misses.tolist() == counts.false_positives.tolist() == [1] * K


def test_figures_by_hand_and_of_nothing() -> None:
    none = Counts.nothing()
    result = tracking(none)
    assert np.isnan(result.mota).all()
    assert np.isnan(result.recall).all()
    assert result.motp.tolist() == [0.0] * 16
    ten = np.where(np.arange(K) == 0, 10, 0)
    counts = Counts(objects=ten, misses=ten // 5, false_positives=ten // 2, switches=ten // 10,
                    detections=4 * ten // 5, distance=ten * 0.2)  # fmt: skip
    result = tracking(counts)
    assert result.mota[[0, 15]] == pytest.approx([100 * (1 - 8 / 10)] * 2)
    assert result.motp[0] == pytest.approx(75)
    assert result.motp[15] == pytest.approx(75 / K)
    assert result.precision[0] == pytest.approx(100 * 8 / 13)
    assert result.recall[[0, 15]] == pytest.approx([80] * 2)


def _literal(frames: list[tuple[Dots, Dots]]) -> tuple[int, int, int, int, float]:
    """Misses, false positives, switches, detections, distance: all pairings tried one by one."""
    last: dict[int, int] = {}
    misses = false = switches = detections = 0
    distance = 0.0
    for truth, seen in frames:
        if not truth or not seen:
            misses, false = misses + 1, false + 1
            continue
        pairs: dict[int, int] = {}
        for g in truth:
            h = last.get(g)
            if h in seen and h not in pairs.values() and abs(truth[g] - seen[h]) <= 15:
                pairs[g] = h
        rest, free = [g for g in truth if g not in pairs], [h for h in seen if h not in pairs.values()]
        best: tuple[float, ...] = (0, 0.0)
        chosen: dict[int, int] = {}
        for size in range(1, min(len(rest), len(free)) + 1):
            for gs in itertools.combinations(rest, size):
                for hs in itertools.permutations(free, size):
                    away = [abs(truth[g] - seen[h]) for g, h in zip(gs, hs, strict=True)]
                    if max(away) <= 15 and (-size, sum(away)) < best:
                        best, chosen = (-size, sum(away)), dict(zip(gs, hs, strict=True))
        pairs |= chosen
        for g, h in pairs.items():
            switches += g in last and last[g] != h
            last[g] = h
            distance += abs(truth[g] - seen[h]) / 30
        detections += len(pairs)
        misses += len(truth) - len(pairs)
        false += len(seen) - len(pairs)
    return misses, false, switches, detections, distance


# In a plane, and nobody at the same place: sums of distances that are equal would leave the choice open.
places = st.integers(0, 10**9).map(lambda seed: complex(*np.random.default_rng(seed).uniform(0, 35, 2)))
dots = st.dictionaries(st.integers(0, 4), places, max_size=4).filter(lambda d: len(set(d.values())) == len(d))


@settings(max_examples=150, deadline=None)
@given(frames=st.lists(st.tuples(dots, dots), max_size=5))
def test_counts_equal_those_of_all_pairings_tried(frames: list[tuple[Dots, Dots]]) -> None:
    found = counted(*frames)
    misses, false, switches, detections, distance = _literal(frames)
    assert (found["misses"], found["false_positives"], found["detections"]) == (misses, false, detections)
    assert found["switches"] == switches
    assert found["distance"] == pytest.approx(distance)


def test_strict_counts_every_frame_as_it_is() -> None:
    three, nobody = people({0: 0.0, 1: 100.0, 2: 200.0}), people({})
    counts = count(
        [FramePair.of(three, nobody), FramePair.of(nobody, three), FramePair.of(three, three)], protocol="strict"
    )
    assert counts.objects.tolist() == [6] + [0] * 14
    assert counts.misses.tolist() == counts.false_positives.tolist() == counts.detections.tolist() == [3] + [0] * 14
    only = tracking(count([FramePair.of(three, three)], protocol="strict"), protocol="strict")
    assert only.mota[[0, 15]].tolist() == only.motp[[0, 15]].tolist() == [100, 100]
    assert np.isnan(only.motp[1:15]).all()


def test_an_identity_twice_in_the_truth_is_a_switch_as_in_the_reference() -> None:
    twice = People.build(
        xy=[[(0, 0)] * K, [(100, 0)] * K], found=np.ones((2, K)), track_id=[5, 5], head_box=np.tile(HEAD, (2, 1))
    )
    seen = people({1: 0.0, 2: 100.0})
    counts = count([FramePair.of(twice, seen)] * 2)
    assert (counts.objects[0], counts.detections[0], counts.switches[0]) == (2, 2, 1)


def test_the_record_tells_who_was_matched_when() -> None:
    frames = [({7: 0.0}, {1: 0.0}), ({}, {}), ({7: 0.0, 8: 90.0}, {2: 3.0, 1: 400.0})]
    record = follow([FramePair.of(people(a), people(b)) for a, b in frames], protocol="strict")
    matches = record.matches
    assert matches.frame.tolist() == [0, 2]
    assert record.truth_ids[matches.truth].tolist() == [7, 7]
    assert record.predicted_ids[matches.predicted].tolist() == [1, 2]
    assert record.switch.tolist() == [False, True]
    assert record.counts.misses[:, 0].tolist() == [0, 0, 1]
    assert record.counts.false_positives[:, 0].tolist() == [0, 0, 1]


@settings(max_examples=80, deadline=None)
@given(frames=st.lists(st.tuples(dots, dots), max_size=5), seed=st.integers(0, 1000))
def test_neither_names_of_identities_nor_the_order_of_predictions_matter(
    frames: list[tuple[Dots, Dots]], seed: int
) -> None:
    random = np.random.default_rng(seed)
    names = random.permutation(10_000)[:5].tolist()

    def renamed(dots: Dots, order: list[int]) -> Dots:
        return {names[key]: dots[key] for key in order}

    found = counted(*frames)
    again = counted(*[(renamed(a, list(a)), renamed(b, random.permutation(list(b)).tolist())) for a, b in frames])
    assert found.pop("distance") == pytest.approx(again.pop("distance"))
    assert found == again


def test_of_two_people_who_were_one_prediction_s_the_first_has_it_again() -> None:
    before: list[tuple[Dots, Dots]] = [({0: 0.0}, {9: 0.0}), ({1: 10.0}, {9: 10.0})]
    for order, distance in (((0, 1), 9), ((1, 0), 1)):
        found = counted(*before, ({n: 10.0 * n for n in order}, {9: 9.0}))
        assert (found["detections"], found["misses"], found["switches"]) == (3, 1, 0)
        assert found["distance"] == pytest.approx(distance / 30)
