"""Skeletons hang together: mirrors, limbs, sigmas and the paper's clusters."""

from __future__ import annotations

import numpy as np
import pytest

from models.skeleton import COCO17, SKELETONS, Skeleton


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_a_skeleton_is_consistent(skeleton: Skeleton) -> None:
    joints = len(skeleton.joints)
    assert len(set(skeleton.joints)) == joints
    assert len(skeleton.sigmas) == joints
    np.testing.assert_array_equal(skeleton.mirror[skeleton.mirror], np.arange(joints))
    for joint, other in enumerate(skeleton.mirror):
        exchanged = skeleton.joints[joint].replace("left", "?").replace("right", "left").replace("?", "right")
        assert skeleton.joints[other] == exchanged
    for count, clusters in skeleton.clusters.items():
        assert len(clusters) == count
        assert sorted(joint for cluster in clusters for joint in cluster) == list(range(joints))


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_limbs_join_all_joints_into_one_body(skeleton: Skeleton) -> None:
    bodies = 2 if skeleton is COCO17 else 1  # COCO's head hangs on nothing: no neck joins it to the shoulders
    parts = [{joint} for joint in range(len(skeleton.joints))]
    for a, b in skeleton.limbs:
        joined = next(part for part in parts if a in part) | next(part for part in parts if b in part)
        parts = [part for part in parts if not part & joined] + [joined]
    assert len(parts) == bodies


def test_clusters_have_the_sizes_of_the_paper() -> None:
    assert sorted(map(len, COCO17.clusters[5])) == [3, 3, 3, 4, 4]
    assert [len(cluster) for cluster in COCO17.clusters[3]] == [5, 6, 6]
    assert {COCO17.joints[joint] for joint in COCO17.clusters[5][0]} == {"nose", "left_eye", "right_eye"}
