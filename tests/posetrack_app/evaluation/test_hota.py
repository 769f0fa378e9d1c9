"""HOTA and whole tracks: small worlds by hand, and literal slow versions on random ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack_app.evaluation.annotated import JOINTS, FramePair, People
from posetrack_app.evaluation.clear_mot import follow
from posetrack_app.evaluation.hota import ALPHAS, combine, hota
from posetrack_app.evaluation.tracks import TrackCounts, count_tracks

K = len(JOINTS)
HEAD = (0.0, 0.0, 30.0, 40.0)  # a diagonal of 50, so a head size of 30
Dots = dict[int, complex]
"""By track id: place of joint 0, the only joint."""


def people(dots: Dots) -> People:
    xy, found = np.zeros((len(dots), K, 2)), np.zeros((len(dots), K), bool)
    places = np.array(list(dots.values()), dtype=complex)
    xy[:, 0, 0], xy[:, 0, 1], found[:, 0] = places.real, places.imag, True
    return People.build(xy=xy, found=found, track_id=list(dots), head_box=np.tile(HEAD, (len(dots), 1)))


def pairs(*frames: tuple[Dots, Dots]) -> list[FramePair]:
    return [FramePair.of(people(truth), people(seen)) for truth, seen in frames]


HERE, THERE = 100 + 100j, 500 + 100j


def test_a_switch_half_way_by_hand() -> None:
    """One person, four frames, found exactly, under identity 1 twice and then 2 twice."""
    parts = hota(pairs(*[({0: HERE}, {k: HERE}) for k in (1, 1, 2, 2)]))
    figures = parts.figures()
    assert parts.tp[:, 0].tolist() == [4] * 19
    assert figures["det_a"][0] == figures["loc_a"][0] == 1
    # Each found joint's tracks share 2 of the 4 + 2 - 2 joints that one of them has.
    assert figures["ass_a"][0] == pytest.approx(0.5)
    assert figures["hota"][0] == pytest.approx(np.sqrt(0.5))
    assert figures["ass_re"][0] == pytest.approx(0.5)
    assert figures["ass_pr"][0] == pytest.approx(1)
    assert figures["frag_a"][0] == pytest.approx(0.5)  # each piece is as long as what the two share
    alternating = hota(pairs(*[({0: HERE}, {k: HERE}) for k in (1, 2, 1, 2)])).figures()
    assert alternating["ass_a"][0] == pytest.approx(0.5)
    assert alternating["frag_a"][0] == pytest.approx(0.25)


def test_similarity_falls_to_nothing_at_half_a_head() -> None:
    distance = 30 * 0.5001 / 2  # pixels: similarity 1/2
    parts = hota(pairs(({0: HERE}, {0: HERE + distance})))
    assert parts.tp[:, 0].tolist() == [1] * 10 + [0] * 9  # 0.05 to 0.50
    assert parts.fn[:, 0].tolist() == parts.fp[:, 0].tolist() == [0] * 10 + [1] * 9
    assert parts.loc_a[:10, 0] == pytest.approx(0.5)


def test_a_frame_without_predictions_misses_as_much_as_the_sequence_has() -> None:
    frames = pairs(({0: HERE}, {}), ({0: HERE, 1: THERE}, {0: HERE, 1: THERE}))
    assert hota(frames).fn[0, 0] == 3
    assert hota(frames, protocol="strict").fn[0, 0] == 1
    # Not where there are no predictions at all.
    assert hota(pairs(({0: HERE}, {}), ({0: HERE}, {}))).fn[0, 0] == 2


def test_joints_on_the_edge_of_the_picture_are_none_for_posetrack21() -> None:
    frames = pairs(({0: 0 + 50j}, {0: 0 + 50j}))
    assert hota(frames).tp.sum() == 0
    assert hota(frames, protocol="strict").tp[0, 0] == 1


def test_frames_that_are_not_labelled_do_not_count() -> None:
    frame = FramePair.of(people({0: HERE}), people({0: HERE}), is_labelled=False)
    assert hota([frame]).tp.sum() == 0


def test_nothing_is_ordinary() -> None:
    for parts in (hota([]), combine([]), hota(pairs(({}, {})))):
        figures = parts.figures()
        assert figures["hota"].tolist() == [0] * 16
        assert figures["loc_a"].tolist() == [1] * 16
    for parts in (hota([], protocol="strict"), hota(pairs(({}, {})), protocol="strict")):
        for values in (*parts.figures().values(), *combine([parts, parts]).figures().values()):
            assert np.isnan(values).all()
    counts = count_tracks(follow([]))
    assert counts.tracks.tolist() == [0] * K
    assert np.isnan(counts.idf1()).all()


def test_joints_that_are_nowhere_have_no_figure_under_strict_and_count_in_no_mean() -> None:
    """Only joint 0 is there; in one sequence of two nothing is."""
    found, nothing = pairs(({0: HERE}, {0: HERE})), pairs(({}, {}))
    for name, values in hota(found, protocol="strict").figures().items():
        assert values[0] == values[-1] == pytest.approx(1), name
        assert np.isnan(values[1:-1]).all()
    both = combine([hota(some, protocol="strict") for some in (found, nothing)]).figures()
    alone = combine([hota(found, protocol="strict")]).figures()
    for name, values in both.items():
        np.testing.assert_array_equal(values, alone[name])
        assert values[0] == values[-1] == pytest.approx(1)
    assert hota(found).figures()["hota"][-1] == pytest.approx(1 / 15)  # as PoseTrack21's evaluator
    missed = hota(pairs(({0: HERE}, {})), protocol="strict").figures()
    assert missed["hota"][0] == missed["hota"][-1] == 0


places = st.integers(0, 10**9).map(lambda seed: complex(*np.random.default_rng(seed).uniform(1, 30, 2)))
dots = st.dictionaries(st.integers(0, 3), places, max_size=3).filter(lambda d: len(set(d.values())) == len(d))
worlds = st.lists(st.tuples(dots, dots), max_size=5)


def _literal_hota(frames: list[tuple[Dots, Dots]], alpha: float) -> tuple[int, int, int, float]:
    """True and false positives, misses and AssA at one threshold: every pairing tried, every joint looked up."""
    found: list[tuple[int, int]] = []
    misses = false = 0
    for truth, seen in frames:
        best: tuple[float, list[tuple[int, int, float]]] = (0.0, [])
        for size in range(min(len(truth), len(seen)) + 1):
            for gs in itertools.combinations(truth, size):
                for hs in itertools.permutations(seen, size):
                    rows = [
                        (g, h, max(0, 1 - abs(truth[g] - seen[h]) / 30 / 0.5001)) for g, h in zip(gs, hs, strict=True)
                    ]
                    if sum(row[2] for row in rows) > best[0]:
                        best = sum(row[2] for row in rows), rows
        right = [(g, h) for g, h, similarity in best[1] if similarity >= alpha - 1e-12]
        found += right
        misses, false = misses + len(truth) - len(right), false + len(seen) - len(right)
    total = 0.0
    for g, h in found:
        both = found.count((g, h))
        total += both / (sum(g in truth for truth, _ in frames) + sum(h in seen for _, seen in frames) - both)
    return len(found), false, misses, total / max(1, len(found))


@settings(max_examples=80, deadline=None)
@given(frames=worlds, a=st.integers(0, 18))
def test_hota_equals_a_literal_one(frames: list[tuple[Dots, Dots]], a: int) -> None:
    parts = hota(pairs(*frames), protocol="strict")
    tp, fp, fn, ass_a = _literal_hota(frames, ALPHAS[a])
    assert (parts.tp[a, 0], parts.fp[a, 0], parts.fn[a, 0]) == (tp, fp, fn)
    assert parts.ass_a[a, 0] == pytest.approx(ass_a)


def tracks(*frames: tuple[Dots, Dots]) -> TrackCounts:
    return count_tracks(follow(pairs(*frames), protocol="strict"))


def test_tracks_by_hand() -> None:
    """Found 4 of 5 times with a gap; 1 of 6 times; never."""
    frames: list[tuple[Dots, Dots]] = [({0: HERE, 1: THERE}, {5: HERE})] * 2
    frames += [({0: HERE, 1: THERE, 2: 900 + 9j}, {})]
    frames += [({0: HERE, 1: THERE}, {6: HERE, 7: THERE}), ({0: HERE, 1: THERE}, {6: HERE}), ({1: THERE}, {})]
    counts = tracks(*frames)
    assert counts.tracks[0] == 3
    assert counts.mostly_tracked[0] == 1
    assert counts.mostly_lost[0] == 2
    assert counts.fragments[0] == 1
    assert counts.objects[0] == 12
    assert counts.predictions[0] == 5
    # Person 0 is 5 or 6, twice either way; person 1 is 7 once.
    assert counts.identified[0] == 3
    assert counts.idf1()[[0, 15]] == pytest.approx([200 * 3 / 17] * 2)


@settings(max_examples=80, deadline=None)
@given(frames=worlds)
def test_identities_equal_all_choices_tried(frames: list[tuple[Dots, Dots]]) -> None:
    best = 0
    for hs in itertools.permutations([*range(4), *[None] * 4], 4):
        chosen = dict(zip(range(4), hs, strict=True))
        together = sum(
            g in truth and h in seen and abs(truth[g] - seen[h]) <= 15
            for truth, seen in frames
            for g, h in chosen.items()
        )
        best = max(best, together)
    counts = tracks(*frames)
    assert counts.identified[0] == best


@settings(max_examples=60, deadline=None)
@given(frames=worlds)
def test_fragments_and_shares_equal_a_literal_count(frames: list[tuple[Dots, Dots]]) -> None:
    record = follow(pairs(*frames), protocol="strict")
    matches = record.matches
    hit = {(t, int(record.truth_ids[g])) for t, g in zip(matches.frame.tolist(), matches.truth, strict=True)}
    fragments = mostly = hardly = 0
    identities = {g for truth, _ in frames for g in truth}
    for g in identities:
        states = "".join("x" if (t, g) in hit else "-" for t, (truth, _) in enumerate(frames) if g in truth)
        fragments += max(0, len([piece for piece in states.split("-") if piece]) - 1)
        mostly += states.count("x") / len(states) >= 0.8
        hardly += states.count("x") / len(states) < 0.2
    counts = count_tracks(record)
    assert (counts.fragments[0], counts.mostly_tracked[0], counts.mostly_lost[0]) == (fragments, mostly, hardly)
    assert counts.tracks[0] == len(identities)
