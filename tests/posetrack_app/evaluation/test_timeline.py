"""Timelines against a literal account of the same record, and by hand."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack_app.evaluation.annotated import JOINTS, FramePair, People
from posetrack_app.evaluation.clear_mot import Record, follow
from posetrack_app.evaluation.timeline import LEVELS, Line, Piece, timeline

K = len(JOINTS)


Who = dict[int, Iterable[int]]
"""Joints by identity."""


def people(who: Who) -> People:
    """People who all stand in the same place, their joints far apart."""
    found = np.zeros((len(who), K), dtype=np.bool_)
    for n, joints in enumerate(who.values()):
        found[n, list(joints)] = True
    xy = np.stack([np.arange(K) * 100.0, np.zeros(K)], axis=1)
    boxes = np.tile([0.0, 0.0, 30.0, 40.0], (len(who), 1))
    return People.build(xy=np.tile(xy, (len(who), 1, 1)), found=found, track_id=list(who), head_box=boxes)


def test_by_hand() -> None:
    """One person: found as 5, half lost, gone, missed, found as 7, but for one joint."""
    whole, most, last = range(K), range(K - 1), [K - 1]
    truth: list[Who] = [{3: whole}, {3: whole}, {3: whole}, {}, {3: whole}, {3: whole}, {3: whole}]
    seen: list[Who] = [{5: whole}, {5: whole}, {5: range(6)}, {}, {}, {7: whole}, {7: most, 5: last}]
    frames = [
        FramePair.of(people(true), people(predicted), name=f"images/val/x/{number:06d}.jpg")
        for number, (true, predicted) in enumerate(zip(truth, seen, strict=True))
    ]
    found = timeline(follow(frames, protocol="strict"))
    assert found.frames[:2] == ("000000", "000001")
    assert found.false_positives == (0,) * 7
    (line,) = found.lines
    assert line == Line(
        truth=3,
        pieces=(Piece(0, 2, 5, 3), Piece(2, 3, 5, 2), Piece(4, 5, None, 0), Piece(5, 7, 7, 3)),
        changes=(5,),
        switches=((5, 15), (6, 1)),
        objects=6 * K,
        found=4 * K + 6,
    )


def test_nothing() -> None:
    assert timeline(follow([], protocol="strict")).lines == ()
    empty = FramePair.of(people({}), people({}))
    assert timeline(follow([empty] * 2, protocol="strict")).false_positives == (0, 0)


def random_record(seed: int, frames: int) -> Record:
    random = np.random.default_rng(seed)
    pairs = []
    for _ in range(frames):
        G, P = random.integers(0, 4, 2)
        sides = []
        for N, ids in ((G, random.permutation(4)[:G] + 3), (P, random.permutation(5)[:P] + 90)):
            xy = random.integers(0, 3, (N, K, 2)) * 12.0
            boxes = np.tile([0.0, 0.0, 30.0, 40.0], (N, 1))
            sides.append(People.build(xy=xy, found=random.random((N, K)) < 0.5, track_id=ids, head_box=boxes))
        pairs.append(FramePair.of(*sides))
    return follow(pairs, protocol="strict")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), frames=st.integers(0, 6))
def test_as_a_literal_account(seed: int, frames: int) -> None:
    record = random_record(seed, frames)
    lines = {line.truth: line for line in timeline(record).lines}
    matches = record.matches
    for place, truth in enumerate(record.truth_ids.tolist()):
        states, last, changes = [], None, []
        for t, pair in enumerate(record.frames):
            row = (pair.truth.track_id == truth).nonzero()[0]
            there = int(pair.truth.found[row].sum())
            who = record.predicted_ids[matches.predicted[(matches.frame == t) & (matches.truth == place)]].tolist()
            if not there:
                continue
            main = max(sorted(set(who)), key=who.count) if who else None
            states.append((t, main, int(np.ceil(LEVELS * len(who) / there))))
            if main is not None:
                if last not in (None, main):
                    changes.append(t)
                last = main
        if not states:
            assert truth not in lines
            continue
        line = lines[truth]
        told = [(t, piece.predicted, piece.level) for piece in line.pieces for t in range(piece.begin, piece.end)]
        assert told == states
        assert list(line.changes) == changes
    counts = record.counts
    assert sum(line.objects for line in lines.values()) == counts.objects.sum()
    assert sum(line.found for line in lines.values()) == counts.detections.sum()
    assert sum(n for line in lines.values() for _, n in line.switches) == counts.switches.sum()
    for line in lines.values():
        for one, other in zip(line.pieces[:-1], line.pieces[1:], strict=True):
            assert one.end <= other.begin
            assert one.end < other.begin or (one.predicted, one.level) != (other.predicted, other.level)
