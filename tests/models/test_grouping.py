"""Grouping: people who were drawn come back, whoever stands beside them and however many joints a map holds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.body import asked_stature, importances, misfits, partings, per_reach, reach, statures
from models.grouping import Grouped, GroupingConfig, group
from models.peaks import find_peaks
from models.skeleton import COCO17, POSETRACK15, SKELETONS, Skeleton

STANDING = {
    "nose": (0, -0.41), "left_eye": (0.02, -0.43), "right_eye": (-0.02, -0.43), "left_ear": (0.05, -0.42),
    "right_ear": (-0.05, -0.42), "left_shoulder": (0.10, -0.29), "right_shoulder": (-0.10, -0.29),
    "left_elbow": (0.15, -0.14), "right_elbow": (-0.15, -0.14), "left_wrist": (0.16, -0.01),
    "right_wrist": (-0.16, -0.01), "left_hip": (0.06, 0.01), "right_hip": (-0.06, 0.01), "left_knee": (0.07, 0.24),
    "right_knee": (-0.07, 0.24), "left_ankle": (0.07, 0.46), "right_ankle": (-0.07, 0.46),
    "head_top": (0, -0.5), "head_bottom": (0, -0.31),
}  # fmt: skip
"""Places of joints of a person of stature 1 about the middle of the body, y down."""


def standing(x: float, y: float, stature: float, skeleton: Skeleton = COCO17) -> npt.NDArray[np.float64]:
    """(K, 2): an upright person, in cells."""
    return np.array([STANDING[joint] for joint in skeleton.joints]) * stature + [x, y]


def draw(
    people: npt.NDArray[np.float64],
    tags: npt.NDArray[np.float64],
    *,
    size: tuple[int, int],
    skeleton: Skeleton = COCO17,
    maps: int | None = None,
    visible: npt.NDArray[np.float64] | None = None,
    sigma: float = 1.5,
    step: float = 0.03,
    mirrored: bool = False,
) -> tuple[Tensor, Tensor]:
    """Heatmaps (1, C, H, W) and tags (1, D, C, H, W) of people (N, K, 2) with tags (N, D) of their own.

    `visible` (N, K) are heights of the peaks. With `mirrored` the last tag is that of the mirrored picture, where each
    joint has the offset of its mirror joint.
    """
    width, height = size
    clusters = skeleton.clusters[maps or len(skeleton.joints)]
    D = tags.shape[1]
    heat = np.zeros((len(clusters), height, width))
    tag = np.zeros((D, len(clusters), height, width))
    offset = np.zeros(len(skeleton.joints))
    for joints in clusters:
        offset[list(joints)] = (np.arange(len(joints)) - (len(joints) - 1) / 2) * step
    rows, columns = np.mgrid[:height, :width]
    for number, joints in enumerate(clusters):
        for n, person in enumerate(people):
            for joint in joints:
                top = 1.0 if visible is None else visible[n, joint]
                square = (columns - person[joint, 0]) ** 2 + (rows - person[joint, 1]) ** 2
                blob = top * np.exp(-square / (2 * sigma**2))
                mine = blob > heat[number]
                heat[number] = np.maximum(heat[number], blob)
                for view in range(D):
                    as_joint = skeleton.mirror[joint] if mirrored and view == D - 1 else joint
                    tag[view, number][mine] = tags[n, view] + offset[as_joint]
    return torch.tensor(heat, dtype=torch.float32)[None], torch.tensor(tag, dtype=torch.float32)[None]


def find(maps: tuple[Tensor, Tensor], skeleton: Skeleton = COCO17, config: GroupingConfig | None = None) -> Grouped:
    peaks = find_peaks(*maps, max_peaks=200)
    return group(peaks.xy[0], peaks.score[0], peaks.tags[0], skeleton=skeleton, config=config or GroupingConfig())


def assert_same_people(found: Grouped, people: npt.NDArray[np.float64], *, atol: float = 0.06) -> None:
    """Each person drawn is found once, with all joints where they are; in any order."""
    assert len(found.score) == len(people)
    apart = np.abs(found.xy[:, None] - people[None]).max(axis=(2, 3))
    assert (apart.min(axis=0) <= atol).all(), apart.round(2)
    assert sorted(apart.argmin(axis=1)) == list(range(len(people)))


def asked(people: npt.NDArray[np.float64], skeleton: Skeleton = COCO17) -> npt.NDArray[np.floating]:
    """(N, K, K): the statures that the joints of each person (N, K, 2) ask for of each other."""
    places = people.transpose(2, 0, 1)
    return asked_stature(places[..., None], places[..., None, :], per_reach(skeleton.joints))


ROW = [standing(20, 30, 50), standing(45, 32, 40), standing(70, 28, 45)]


@pytest.mark.parametrize(
    ("skeleton", "maps"),
    [(COCO17, 17), (COCO17, 5), (COCO17, 1), (POSETRACK15, 15), (POSETRACK15, 5), (POSETRACK15, 3)],
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_people_in_a_row(skeleton: Skeleton, maps: int, mirrored: bool) -> None:
    # A person so large that no two joints of one map melt into each other.
    size = 90 if maps < len(skeleton.joints) else 45
    people = np.stack([standing(1.1 * size * n + 45, 0.55 * size + n, size, skeleton) for n in range(3)])
    if maps < len(skeleton.joints):
        people[:, [skeleton.joints.index("nose")]] += [0, 0.05 * size]
    tags = np.array([[-3.0, 3.0], [0.5, -0.4], [4.0, -4.1]])[:, : 1 + mirrored]
    width, height = int(people[..., 0].max()) + 10, int(people[..., 1].max()) + 10
    drawn = draw(people, tags, size=(width, height), skeleton=skeleton, maps=maps, mirrored=mirrored, sigma=0.7)
    assert_same_people(find(drawn, skeleton), people)


@pytest.mark.parametrize("maps", [5, 1])
@pytest.mark.parametrize("missing", ["left_eye", "left_wrist", "left_ear", "right_hip", "right_ankle"])
def test_offsets_of_tags_say_which_joint_is_missing(maps: int, missing: str) -> None:
    people = standing(60, 60, 100)[None]
    people[:, 0] += [0, 8]
    visible = np.ones((1, 17))
    visible[0, COCO17.index(missing)] = 0
    found = find(draw(people, np.array([[1.0]]), size=(120, 120), maps=maps, visible=visible, sigma=0.7))
    assert len(found.score) == 1
    np.testing.assert_array_equal(found.joint_score[0] > 0, visible[0] > 0)
    np.testing.assert_allclose(found.xy[0][visible[0] > 0], people[0][visible[0] > 0], atol=0.06)


def test_two_who_overlap_are_told_apart_by_their_tags() -> None:
    people = np.stack([standing(40, 40, 60), standing(47, 43, 58)])
    assert_same_people(find(draw(people, np.array([[-1.5], [1.5]]), size=(90, 90))), people, atol=0.5)


def test_two_of_one_tag_are_told_apart_by_their_places() -> None:
    """Tags of this kind of network follow the place from left to right: people one above another have the same."""
    people = np.stack([standing(40, 28, 45), standing(41, 90, 45)])
    assert_same_people(find(draw(people, np.array([[0.3], [0.3]]), size=(90, 130))), people)


def test_nobody() -> None:
    empty = find((torch.zeros(1, 17, 20, 20), torch.zeros(1, 1, 17, 20, 20)))
    assert empty.xy.shape == (0, 17, 2)
    assert empty.joint_score.shape == (0, 17)
    assert empty.score.shape == (0,)


@pytest.mark.parametrize("maps", [17, 5, 1])
def test_a_lone_peak_is_nobody(maps: int) -> None:
    heatmaps = torch.zeros(1, maps, 20, 20)
    heatmaps[0, 0, 10, 10] = 1
    assert len(find((heatmaps, torch.zeros(1, 1, maps, 20, 20))).score) == 0
    one = GroupingConfig(min_joints=1, min_score=0)
    assert len(find((heatmaps, torch.zeros(1, 1, maps, 20, 20)), config=one).score) == 1


def test_left_and_right_echo_each_other_and_nobody_is_found_twice() -> None:
    """Maps of the left answer weakly to the right, as those of real networks do."""
    people = np.stack(ROW)
    tags = np.array([[-2.0], [0.0], [2.0]])
    heatmaps, tag_maps = draw(people, tags, size=(95, 60))
    echoes = draw(people[:, COCO17.mirror], tags, size=(95, 60))
    heatmaps = torch.maximum(heatmaps, 0.4 * echoes[0])
    tag_maps = torch.where(heatmaps[:, None] == 0.4 * echoes[0][:, None], echoes[1], tag_maps)
    found = find((heatmaps, tag_maps))
    assert len(found.score) == 3
    far = list(range(5, 17))  # where echoes do not melt into the joints
    apart = np.abs(found.xy[:, None, far] - people[None][:, :, far]).max(axis=(2, 3))
    assert (apart.min(axis=0) < 0.5).all()


def test_a_forearm_whose_tags_went_astray_is_still_of_its_person() -> None:
    people = standing(30, 35, 55)[None]
    heatmaps, tags = draw(people, np.array([[0.0]]), size=(60, 70))
    for joint in ("left_elbow", "left_wrist"):
        tags[0, 0, COCO17.index(joint)] = 1.2
    assert_same_people(find((heatmaps, tags)), people)


def test_a_limb_that_no_body_reaches_is_let_go() -> None:
    people = standing(30, 35, 30)[None]
    wrist = COCO17.index("left_wrist")
    people[0, wrist] = (110, 60)
    found = find(draw(people, np.array([[0.0]]), size=(130, 70)))
    assert len(found.score) == 1
    assert found.joint_score[0, wrist] == 0
    assert (np.delete(found.joint_score[0], wrist) > 0).all()


def test_the_legs_of_another_are_not_tied_to_a_head_far_above() -> None:
    """Two people of one tag, of whom one shows the head and the shoulders, the other the legs."""
    people = np.stack([standing(40, 30, 40), standing(42, 110, 40)])
    visible = np.ones((2, 17))
    visible[0, 7:] = 0
    visible[1, :11] = 0
    found = find(draw(people, np.array([[0.3], [0.3]]), size=(80, 150), visible=visible))
    assert sorted((found.joint_score > 0).sum(axis=1)) == [6, 7]


def test_the_order_of_people_is_that_of_their_scores() -> None:
    people = np.stack(ROW)
    visible = np.ones((3, 17)) * np.array([[0.5], [0.9], [0.3]])
    found = find(draw(people, np.array([[-3.0], [0.0], [3.0]]), size=(95, 60), visible=visible))
    assert (np.diff(found.score) <= 0).all()
    np.testing.assert_allclose(found.joint_score.max(axis=1), [0.9, 0.5, 0.3], atol=0.03)


def test_small_people_score_less_than_large_ones_of_the_same_heights() -> None:
    small, large = standing(15, 20, 20), standing(60, 40, 70)
    found = find(draw(np.stack([small, large]), np.array([[-2.0], [2.0]]), size=(100, 90)))
    assert np.ptp(found.xy[0, :, 1]) > np.ptp(found.xy[1, :, 1])
    assert found.score[1] < 0.8 * found.score[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(COCO17, 17), (COCO17, 5), (COCO17, 1), (POSETRACK15, 15)]))
def test_whatever_the_peaks_no_peak_is_used_twice(seed: int, kind: tuple[Skeleton, int]) -> None:
    skeleton, maps = kind
    rng = np.random.default_rng(seed)
    P, D = int(rng.integers(0, 40)), int(rng.integers(1, 3))
    xy = rng.uniform(0, 100, (maps, P, 2)).astype(np.float32)
    score = (rng.uniform(0, 1, (maps, P)) * rng.integers(0, 2, (maps, P))).astype(np.float32)
    tags = rng.normal(0, 3, (maps, P, D)).astype(np.float32)
    config = GroupingConfig()
    found = group(xy, score, tags, skeleton=skeleton, config=config)
    K = len(skeleton.joints)
    assert found.xy.shape == (len(found.score), K, 2)
    assert ((found.joint_score > 0).sum(axis=1) >= config.min_joints).all()
    assert (np.diff(found.score) <= 0).all()
    assert ((found.score >= config.min_score) & (found.score <= 1)).all()
    assert (found.xy[found.joint_score == 0] == 0).all()
    for number, joints in enumerate(skeleton.clusters[maps]):
        used = [tuple(place) for joint in joints for place in found.xy[found.joint_score[:, joint] > 0, joint]]
        offered = {tuple(place) for place in xy[number][score[number] >= config.peak_threshold]}
        assert len(used) == len(set(used))
        assert set(used) <= offered


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_peaks_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 100, (17, 12, 2))
    score = rng.uniform(0, 1, (17, 12))
    tags = rng.normal(0, 2, (17, 12, 1))
    first = group(xy, score, tags, skeleton=COCO17, config=GroupingConfig())
    order = rng.permutation(12)
    second = group(xy[:, order], score[:, order], tags[:, order], skeleton=COCO17, config=GroupingConfig())
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_hundreds_of_peaks() -> None:
    people = np.stack([standing(14 + 22 * (n % 8), 25 + 45 * (n // 8), 40) for n in range(24)])
    tags = np.arange(24.0)[:, None] * 3
    rng = np.random.default_rng(0)
    heatmaps, tag_maps = draw(people, tags, size=(190, 145))
    heatmaps = torch.maximum(heatmaps, torch.tensor(rng.uniform(0, 0.09, tuple(heatmaps.shape))).float())
    found = find((heatmaps, tag_maps))
    assert len(found.score) == 24
    assert (np.abs(found.xy[:, None] - people[None]).max(axis=(2, 3)).min(axis=0) < 0.6).all()


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_reach_is_a_metric_alike_on_both_sides(skeleton: Skeleton) -> None:
    ways = reach(skeleton.joints)
    assert np.isfinite(ways).all()
    np.testing.assert_allclose(ways, ways.T)
    assert (ways + np.eye(len(ways)) > 0).all()
    assert (ways[:, None] <= ways[:, :, None] + ways[None] + 1e-12).all()
    np.testing.assert_allclose(ways[np.ix_(skeleton.mirror, skeleton.mirror)], ways)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("stature", [20, 50, 200])
def test_stature_of_a_standing_person(skeleton: Skeleton, stature: float) -> None:
    """To a third, and smaller ones suffer from the slack that inexact peaks are given."""
    person = standing(300, 300, stature, skeleton)[None]
    told = statures(asked(person, skeleton), np.ones(person.shape[:2]), importances(skeleton.joints))[0]
    assert 0.7 * stature - 3 < told < 1.3 * stature


def test_a_joint_far_off_is_the_misfit_however_it_stretches_the_person() -> None:
    person = standing(100, 100, 50)[None]
    whole = misfits(asked(person), np.ones((1, 17)), COCO17.joints)
    assert whole.max() < 1
    person[0, 9] += [200, 0]
    torn = misfits(asked(person), np.ones((1, 17)), COCO17.joints)
    assert torn[0].argmax() == 9
    assert torn[0, 9] > 2
    gone = np.ones((1, 17))
    gone[0, 9] = 0
    assert misfits(asked(person), gone, COCO17.joints).max() < 1


def test_parts_of_one_person_are_not_parted_and_those_of_two_are() -> None:
    whole = standing(100, 100, 50)[None]
    strain, parts = partings(asked(whole), np.ones((1, 17)), COCO17.joints)
    assert strain.max() < 1
    torn = whole.copy()
    torn[0, 11:] += [0, 90]
    strain, parts = partings(asked(torn), np.ones((1, 17)), COCO17.joints)
    assert strain[0].max() > 1
    assert np.flatnonzero(parts[strain[0].argmax()]).tolist() == list(range(11, 17))
    few = np.zeros((1, 17))
    few[0, [0, 15]] = 1
    assert partings(asked(torn), few, COCO17.joints)[0].max() == 0
