"""Bodies keep their measures and stand on the ground; walks go where the story says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.skeleton import COCO17
from posetrack_app.sample.body import Build, Part, joint_points, pose_body, stride_length
from posetrack_app.sample.gait import arm_angles, leg_angles
from posetrack_app.sample.space import Bone
from posetrack_app.sample.story import MOST_PEOPLE, PERIOD_SECONDS, path_of, walk
from posetrack_app.sample.wardrobe import choose_person, dress

# Parts of the body's height, Winter, figure 4.1: thigh, shank, upper arm, forearm.
LIMBS = {
    ("left_hip", "left_knee"): 0.245, ("right_hip", "right_knee"): 0.245,
    ("left_knee", "left_ankle"): 0.246, ("right_knee", "right_ankle"): 0.246,
    ("left_shoulder", "left_elbow"): 0.186, ("right_shoulder", "right_elbow"): 0.186,
    ("left_elbow", "left_wrist"): 0.146, ("right_elbow", "right_wrist"): 0.146,
}  # fmt: skip


def _soles(bones: tuple[Bone, ...], build: Build) -> np.ndarray:
    heel, ball, toe = (0, -0.06825, -0.055), (0, -0.06825, 0.12), (0, -0.05625, 0.185)
    points = np.array([heel, ball, toe]) * build.scale
    return np.concatenate([bones[foot].at(points)[:, 1] for foot in (Part.RIGHT_FOOT, Part.LEFT_FOOT)])


@settings(max_examples=60, deadline=None)
@given(
    height=st.floats(1.4, 2.0), heading=st.floats(-7, 7), phase=st.floats(-3, 3), vigour=st.floats(0, 1.4),
    x=st.floats(-5, 5), z=st.floats(2, 12),
)  # fmt: skip
def test_limbs_keep_their_length_and_feet_the_ground(
    height: float, heading: float, phase: float, vigour: float, x: float, z: float
) -> None:
    build = Build(height=height)
    bones = pose_body(build, place=(x, z), heading=heading, phase=phase, vigour=vigour)
    joints = joint_points(build, bones)
    for (upper, lower), share in LIMBS.items():
        length = np.linalg.norm(joints[COCO17.index(upper)] - joints[COCO17.index(lower)])
        assert length == pytest.approx(share * height, abs=1e-9)
    for bone in bones:
        assert np.allclose(bone.rotation @ bone.rotation.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(bone.rotation) == pytest.approx(1.0)
    assert _soles(bones, build).min() == pytest.approx(0.0, abs=1e-9)


def test_who_stands_upright_is_as_tall_as_said_and_has_left_on_the_left() -> None:
    build = Build(height=1.8)
    joints = joint_points(build, pose_body(build, place=(0, 5), heading=0.0, phase=0.2, vigour=0.0))
    assert joints[17, 1] == pytest.approx(1.8, abs=0.02)
    # Heading 0 walks away from the viewer, so the person's left is the viewer's left.
    for left, right in COCO17.mirror_pairs:
        assert joints[left, 0] < joints[right, 0]
    assert joints[COCO17.index("nose"), 2] > joints[COCO17.index("left_ear"), 2]


def test_the_foot_that_carries_does_not_slide() -> None:
    build = Build()
    stride = stride_length(build, 1.0)
    assert 1.0 < stride < 1.7
    feet = []
    for phase in np.linspace(0.08, 0.42, 18):
        bones = pose_body(build, place=(0, phase * stride), heading=0.0, phase=phase, vigour=1.0)
        feet.append(bones[Part.RIGHT_FOOT].at((0, -0.06, 0.04))[2])
    assert np.ptp(feet) < 0.10 * stride


def test_knees_bend_backwards_only_and_arms_swing_against_the_legs() -> None:
    phases = np.linspace(0, 1, 50)
    assert min(leg_angles(phase).knee for phase in phases) > 0
    legs = [leg_angles(phase).hip for phase in phases]
    arms = [arm_angles(phase)[0] for phase in phases]
    assert np.corrcoef(legs, arms)[0, 1] < -0.7


@pytest.mark.parametrize("person", range(MOST_PEOPLE))
def test_walks_are_closed_smooth_and_forward(person: int) -> None:
    build = Build()
    way = walk(path_of(person, np.random.default_rng(1)), build, start_phase=0.3)
    first, again = way.at(1.7), way.at(1.7 + PERIOD_SECONDS)
    assert first.place == pytest.approx(again.place)
    assert np.sin(np.pi * (first.phase - again.phase)) == pytest.approx(0.0, abs=1e-6)
    turn = first.heading - again.heading
    assert (np.cos(turn), np.sin(turn)) == pytest.approx((1.0, 0.0))
    for seconds in np.arange(0, PERIOD_SECONDS, 0.5):
        here, next_ = way.at(seconds), way.at(seconds + 0.04)
        moved = np.subtract(next_.place, here.place)
        assert np.linalg.norm(moved) < 3.0 * 0.04
        assert moved @ (np.sin(here.heading), np.cos(here.heading)) > 0
        assert next_.phase > here.phase or seconds + 0.04 >= PERIOD_SECONDS


def test_people_differ_and_all_their_cones_hang_on_bones() -> None:
    people = [choose_person(np.random.default_rng(3), index) for index in range(MOST_PEOPLE)]
    assert len({(clothing.shirt, clothing.trousers, clothing.hair) for _, clothing in people}) == MOST_PEOPLE
    for build, _ in people:
        assert {cone.bone for cone in dress(build)} == set(Part)
