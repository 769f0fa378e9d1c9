"""Labels by a teacher: people of several sizes are fused as drawn, and what is not sure does not become a label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.skeleton import COCO17
from posetrack_app.training.teacher import Taught, TeacherConfig, fuse
from posetrack_app.types import Poses

CONFIG = TeacherConfig(sure_score=0.4, min_score=0.1, joint_score=0.4)
WRIST = COCO17.index("left_wrist")
BODY = np.array(
    [(0, 0), (1, -1), (-1, -1), (2, 0), (-2, 0), (4, 6), (-4, 6), (6, 12), (-6, 12), (6, 17), (-6, 17),
     (2, 18), (-2, 18), (3, 27), (-3, 27), (3, 36), (-3, 36)], dtype=float,
) * 4  # fmt: skip
"""A person about their nose, 150 pixels tall."""


def people(*places: tuple[float, float], score: float | tuple[float, ...] = 0.8) -> Poses:
    """People with their noses at the places, all joints as sure as they are."""
    scores = np.broadcast_to(score, len(places))
    return Poses.untracked(
        xy=np.array([BODY + place for place in places]).reshape(-1, 17, 2),
        joint_score=np.repeat(scores[:, None], 17, axis=1),
        score=scores,
    )


def moved(poses: Poses, joint: int, by: tuple[float, float], *, score: float | None = None) -> Poses:
    """The same with a joint of the first person elsewhere."""
    xy, joint_score = poses.xy.copy(), poses.joint_score.copy()
    xy[0, joint] += by
    if score is not None:
        joint_score[0, joint] = score
    return replace(poses, xy=xy, joint_score=joint_score)


def taught(*views: Poses, config: TeacherConfig = CONFIG) -> Taught:
    return fuse(views, skeleton=COCO17, config=config)


def labelled(result: Taught) -> npt.NDArray[np.bool_]:
    """(N,): who is a label, and not left out."""
    return result.sure.any(axis=1)


@pytest.mark.parametrize("sizes", [1, 2, 3])
def test_nobody_at_any_size(sizes: int) -> None:
    result = taught(*[Poses.empty(17)] * sizes)
    assert (result.xy.shape, result.joint_score.shape, result.sure.shape) == ((0, 17, 2), (0, 17), (0, 17))


def test_people_whom_all_sizes_find_are_labelled_where_they_are() -> None:
    view = people((100, 50), (300, 60), (500, 40), score=(0.5, 0.9, 0.7))
    result = taught(view, view[[2, 0, 1]], view[::-1])
    assert result.score == pytest.approx([0.9, 0.7, 0.5])
    assert labelled(result).all()
    assert result.sure.all()
    np.testing.assert_allclose(result.xy, view.xy[[1, 2, 0]], atol=1e-3)


def test_a_place_is_the_mean_weighted_by_score() -> None:
    base = people((100, 50))
    result = taught(moved(base, WRIST, (3, 0), score=0.6), moved(base, WRIST, (0, 1), score=0.9), base)
    # (0.6 * 3, 0.9 * 1) / (0.6 + 0.9 + 0.8)
    np.testing.assert_allclose(result.xy[0, WRIST] - base.xy[0, WRIST], np.array([1.8, 0.9]) / 2.3, atol=1e-4)
    assert result.joint_score[0, WRIST] == pytest.approx(2.3 / 3)


def test_a_joint_that_the_sizes_find_in_different_places_is_no_label() -> None:
    base = people((100, 50))
    result = taught(base, moved(base, WRIST, (60, 0), score=0.7), moved(base, WRIST, (0, 60), score=0.7))
    assert labelled(result).all()
    assert np.flatnonzero(~result.sure[0]).tolist() == [WRIST]
    # The surest place is told, so that nothing is learned around it.
    np.testing.assert_allclose(result.xy[0, WRIST], base.xy[0, WRIST], atol=1e-3)
    assert result.joint_score[0, WRIST] == pytest.approx(0.8 / 3)


def test_one_size_that_errs_does_not_move_a_joint_that_two_agree_on() -> None:
    base = people((100, 50))
    result = taught(base, base, moved(base, WRIST, (60, 0), score=0.7))
    assert result.sure.all()
    np.testing.assert_allclose(result.xy[0, WRIST], base.xy[0, WRIST], atol=1e-3)


def test_a_joint_that_no_size_finds_is_at_no_place() -> None:
    base = people((100, 50))
    lost = moved(base, WRIST, (0, 0), score=0)
    result = taught(lost, lost, lost)
    assert result.joint_score[0, WRIST] == 0
    assert result.xy[0, WRIST].tolist() == [0, 0]
    assert not result.sure[0, WRIST]


def test_whom_only_one_size_of_three_finds_is_left_out() -> None:
    known, other = people((100, 50)), people((100, 50), (400, 50), score=(0.8, 1.0))
    result = taught(known, other, known)
    np.testing.assert_allclose(result.xy[:, 0], [(100, 50), (400, 50)], atol=1e-3)
    assert labelled(result).tolist() == [True, False]
    # Even where the score alone would do.
    generous = taught(known, other, known, config=replace(CONFIG, sure_score=0.2))
    assert labelled(generous).tolist() == [True, False]


def test_weak_people_are_left_out_and_weaker_ones_are_nobody() -> None:
    view = people((100, 50), (300, 50), (500, 50), score=(0.8, 0.3, 0.05))
    result = taught(view, view, view)
    assert labelled(result).tolist() == [True, False]


def test_people_of_few_joints_are_left_out() -> None:
    view = people((100, 50))
    few = replace(view, joint_score=np.where(np.arange(17) < 3, view.joint_score, 0).astype(np.float32))
    assert labelled(taught(few, few)).tolist() == [False]
    assert labelled(taught(few, few, config=replace(CONFIG, min_joints=3))).tolist() == [True]


def test_neighbours_stay_two() -> None:
    view = people((100, 50), (125, 50), score=(0.8, 0.7))
    result = taught(view, view[::-1], view)
    np.testing.assert_allclose(result.xy[:, 0], [(100, 50), (125, 50)], atol=1e-3)
    assert result.sure.all()


_PLACE = st.tuples(st.integers(0, 6), st.integers(0, 4))


@given(
    st.lists(st.tuples(_PLACE, st.floats(0.2, 1)), unique_by=lambda person: person[0], max_size=6),
    st.lists(st.sets(st.integers(0, 5)), min_size=1, max_size=4),
)
def test_nobody_is_lost_doubled_or_mixed(truth: list[tuple[tuple[int, int], float]], missing: list[set[int]]) -> None:
    """People apart, each found at some sizes: one result for each that was found, at its place."""
    noise = np.random.default_rng(len(truth))
    views = []
    for without in missing:
        seen = [row for row in range(len(truth)) if row not in without]
        noise.shuffle(seen)
        view = people(
            *[(200.0 * truth[row][0][0], 300.0 * truth[row][0][1]) for row in seen],
            score=tuple(truth[row][1] for row in seen),
        )
        views.append(replace(view, xy=view.xy + noise.normal(0, 0.5, view.xy.shape).astype(np.float32)))
    result = taught(*views, config=replace(CONFIG, min_score=0))
    found = {row: sum(row not in without for without in missing) for row in range(len(truth))}
    expected = sorted(
        (200 * truth[row][0][0], 300 * truth[row][0][1], round(count * truth[row][1] / len(missing), 4))
        for row, count in found.items()
        if count
    )
    got = [
        (*(np.rint(xy / 10) * 10).astype(int).tolist(), round(float(score), 4))
        for xy, score in zip(result.xy[:, 0], result.score, strict=True)
    ]
    assert [e[:2] for e in expected] == [g[:2] for g in sorted(got)]
    np.testing.assert_allclose([g[2] for g in sorted(got)], [e[2] for e in expected], atol=2e-4)
    assert (np.diff(result.score) <= 0).all()
