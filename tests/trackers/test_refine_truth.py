"""Refinement against PoseTrack's ground truth: `pytest tests/trackers/test_refine_truth.py -s` prints the figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from posetrack_app.formats.reading import read_poses
from posetrack_app.retrack import side_groups, table_of
from trackers.joining import join_tracks
from trackers.sides import repair_sides
from trackers.table import TrackTable

TREMOR = 0.01
"""Body sizes; the standard deviation of what is added to every joint."""

LATER = 1000
"""Added to the identities of later pieces."""


def sequences(shared: Path, rng: np.random.Generator) -> Iterator[tuple[TrackTable, list[list[tuple[int, int]]]]]:
    """Every sequence with tremor, and its sides."""
    for path in sorted((shared / "data" / "posetrack" / "gt").glob("*.json")):
        sequence = read_poses(path)
        table = table_of(sequence)
        noise = rng.normal(0, TREMOR, table.xy.shape) * table.size[:, None, None]
        xy = np.where(table.found[..., None], table.xy + noise, 0).astype(np.float32)
        yield replace(table, xy=xy), side_groups(sequence.skeleton)


def test_cuts_are_joined_and_strangers_are_not(shared: Path) -> None:
    """Everybody of a sequence is hidden at once for some time: each has all others for rivals."""
    rng = np.random.default_rng(0)
    cuts = right = wrong = 0
    for table, _ in sequences(shared, rng):
        for gap in (0.2, 0.5, 1.0, 2.0):
            if table.times[-1] < gap + 0.6:
                continue
            start = rng.uniform(0.2, table.times[-1] - gap - 0.2)
            later = table.seconds >= start + gap
            track_id = np.where(later, table.track_id + LATER, table.track_id)
            cut = replace(table, track_id=track_id)[later | (table.seconds < start)]
            joined, joins = join_tracks(cut, max_gap_seconds=3.0, min_confidence=0.5)
            cuts += sum(track + LATER in cut.ids for track in cut.ids)
            right += sum(b == a + LATER for a, b in (join.tracks for join in joins))
            wrong += sum(b != a + LATER and b >= LATER > a for a, b in (join.tracks for join in joins))
            assert (joined.xy == cut.xy).all()
    print(f"\n{cuts} cuts: {right} joined, {wrong} joined wrongly")
    assert right > 0.5 * cuts
    assert wrong < 0.02 * right


@pytest.mark.parametrize("inject", [True, False])
def test_sides(inject: bool, shared: Path) -> None:
    """Arms, legs or faces are exchanged for one to seven frames; most come back, and few others are touched."""
    rng = np.random.default_rng(1)
    groups_seen = exchanged = left = touched = 0
    for table, groups in sequences(shared, rng):
        wrong = np.zeros((len(table), len(groups)), dtype=bool)
        if inject:
            for _, rows in table.tracks():
                for group in range(len(groups)):
                    for at in np.flatnonzero(rng.random(len(rows)) < 0.02):
                        wrong[rows[at : at + rng.integers(1, 8)], group] = True
        xy, score = table.xy.copy(), table.joint_score.copy()
        for group, pairs in enumerate(groups):
            here, there = np.array(pairs).ravel(), np.array(pairs)[:, ::-1].ravel()
            for values, source in ((xy, table.xy), (score, table.joint_score)):
                values[np.ix_(wrong[:, group], here)] = source[np.ix_(wrong[:, group], there)]
        repaired, _ = repair_sides(replace(table, xy=xy, joint_score=score), groups=groups)
        for group, pairs in enumerate(groups):
            joints = np.array(pairs).ravel()
            off = (repaired.xy[:, joints] != table.xy[:, joints]).any(axis=(1, 2))
            left += int((off & wrong[:, group]).sum())
            touched += int((off & ~wrong[:, group]).sum())
        groups_seen += wrong.size
        exchanged += int(wrong.sum())
    print(f"\n{groups_seen} groups, {exchanged} exchanged: {left} left so, {touched} others touched")
    assert left <= 0.1 * exchanged
    assert touched < 0.02 * groups_seen
