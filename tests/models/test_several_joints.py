"""Maps that hold several joints: what training asks for is what grouping reads, name by name."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.grouping import Grouped, GroupingConfig, group
from models.peaks import find_peaks
from models.skeleton import COCO17
from models.targets import Labels, heatmaps, under_peaks

Points = npt.NDArray[np.float64]

HEAD = {0: (0, 0.05), 1: (0.03, -0.02), 2: (-0.03, -0.02), 3: (0.07, 0.02), 4: (-0.07, 0.02)}
"""Places of the face about the middle of the head, for a stature of 1, y down."""

LIMBS = ((5, 7, 9), (6, 8, 10), (11, 13, 15), (12, 14, 16))
LENGTHS = ((0.17, 0.145), (0.17, 0.145), (0.24, 0.23), (0.24, 0.23))
TORSO = {5: (0.1, -0.15), 6: (-0.1, -0.15), 11: (0.06, 0.14), 12: (-0.06, 0.14)}


def somebody(rng: np.random.Generator, middle: Points, stature: float) -> Points:
    """(17, 2): a body of random posture, tilted as a whole, in cells."""
    xy = np.zeros((17, 2))
    for joint, place in TORSO.items():
        xy[joint] = place
    for joint, place in HEAD.items():
        xy[joint] = np.array(place) + (0, -0.3)
    for (root, bend, end), lengths in zip(LIMBS, LENGTHS, strict=True):
        turn = rng.normal(0, 0.6)
        for joint, parent, length in ((bend, root, lengths[0]), (end, bend, lengths[1])):
            xy[joint] = xy[parent] + length * np.array([np.sin(turn), np.cos(turn)])
            turn += rng.normal(0, 0.6)
    tilt = rng.normal(0, 0.3)
    return middle + stature * xy @ np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])


def tag_offsets(maps: int, step: float) -> Points:
    """(17,): of each joint from the tag of its person, written out from the paper's equations (3) to (5)."""
    offsets = np.zeros(17)
    for joints in COCO17.clusters[maps]:
        middle = sum(range(len(joints))) / len(joints)
        for d, joint in enumerate(joints):
            offsets[joint] = (d - middle) * step
    return offsets


def find(people: Points, labelled: npt.NDArray[np.bool_], tags: Points, *, maps: int, sigma: float) -> Grouped:
    """Who is found of people (N, 17, 2) with tags (N,) in maps as training asks for."""
    width, height = (int(side) + 10 for side in people.max(axis=(0, 1)))
    labels = Labels(
        torch.tensor(people, dtype=torch.float32)[None],
        torch.tensor(labelled)[None],
        torch.zeros(1, len(people)),
        torch.zeros(1, 17, height, width, dtype=torch.bool),
    )
    clusters = COCO17.clusters[maps]
    config = GroupingConfig()
    theirs = torch.tensor(tags[:, None] + tag_offsets(maps, config.tag_step))[None]
    # Values under peaks are positive.
    tag_maps = under_peaks(theirs + 100, labels, clusters, sigma=sigma, default=100) - 100
    peaks = find_peaks(heatmaps(labels, clusters, sigma=sigma), tag_maps[:, None], max_peaks=200)
    return group(peaks.xy[0], peaks.score[0], peaks.tags[0], skeleton=COCO17, config=config)


def apart(people: Points, maps: int) -> float:
    """Cells between the two nearest joints of one map."""
    least = np.inf
    for joints in COCO17.clusters[maps]:
        places = people[:, list(joints)].reshape(-1, 2)
        gaps = np.linalg.norm(places[:, None] - places, axis=2) + 1e9 * np.eye(len(places))
        least = min(least, gaps.min())
    return least


def right_names(found: Grouped, people: Points) -> npt.NDArray[np.intp]:
    """(N,): joints that the found person most like each drawn one has where they were drawn."""
    if not len(found.score):
        return np.zeros(len(people), dtype=np.intp)
    hit = (np.abs(found.xy[:, None] - people).max(axis=3) < 0.5) & (found.joint_score[:, None] > 0)
    return np.asarray(hit.sum(axis=2).max(axis=0))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 5]), st.integers(1, 3))
def test_everybody_comes_back_joint_by_joint(seed: int, maps: int, count: int) -> None:
    """People who may overlap, of tags as near as the limit for one person allows."""
    rng = np.random.default_rng(seed)
    people = np.stack([somebody(rng, 90 + rng.uniform(0, 60, 2), rng.uniform(90, 130)) for _ in range(count)])
    assume(apart(people, maps) > 4)
    tags = rng.permutation(np.linspace(-0.6, 0.6, count)) + rng.uniform(-0.1, 0.1, count)
    found = find(people, np.ones((count, 17), dtype=bool), tags, maps=maps, sigma=1.0)
    assert len(found.score) == count
    assert right_names(found, people).tolist() == [17] * count


@pytest.mark.parametrize("maps", [3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_people_of_one_tag_are_told_apart_by_their_places(maps: int, seed: int) -> None:
    """Tags of this kind of network follow the place: people one above another have the same."""
    rng = np.random.default_rng(seed)
    people = np.zeros((3, 17, 2))
    while apart(people, maps) < 4:  # until no two joints of one map melt into each other
        people = np.stack([somebody(rng, np.array([90 + 140 * n, 90]), 120) for n in range(3)])
    found = find(people, np.ones((3, 17), dtype=bool), np.full(3, 0.7), maps=maps, sigma=0.8)
    assert len(found.score) == 3
    assert right_names(found, people).tolist() == [17] * 3


@pytest.mark.parametrize(("maps", "share"), [(3, 0.94), (5, 0.96)])
def test_joints_that_are_missing_do_not_rename_the_others(maps: int, share: float) -> None:
    """Two people of whom a quarter is hidden: what is left may fit other names as well, but seldom."""
    rng = np.random.default_rng(0)
    right = drawn = 0
    for _ in range(25):
        people = np.stack([somebody(rng, np.array([80 + 60 * n, 80]), 110) for n in range(2)])
        labelled = rng.random((2, 17)) < 0.75
        found = find(people, labelled, rng.permutation([-1.5, 0.2]), maps=maps, sigma=0.8)
        right += right_names(found, np.where(labelled[..., None], people, -99)).sum()
        drawn += labelled.sum()
    assert right >= share * drawn
