"""Poses as predictions for PoseTrack: the joints that the other writer gives, and identities within the rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.skeleton import COCO17, POSETRACK15, Skeleton
from posetrack_app.config import OutputSettings
from posetrack_app.formats.annotations import JOINTS
from posetrack_app.formats.posetrack2018 import PoseTrack2018Writer, read
from posetrack_app.formats.predicted import kept, legal_identities, predicted_frame
from posetrack_app.types import Poses

EARS = [JOINTS.index("left_ear"), JOINTS.index("right_ear")]


def people(skeleton: Skeleton, *, seed: int = 0) -> Poses:
    random = np.random.default_rng(seed)
    score = random.uniform(0.01, 1, (6, len(skeleton.joints))) * (random.random((6, len(skeleton.joints))) > 0.3)
    xy = random.normal(300, 200, (6, len(skeleton.joints), 2)) * (score > 0)[..., None]
    return Poses.untracked(xy=xy, joint_score=score, score=random.random(6)).with_tracks(range(6))


@pytest.mark.parametrize("skeleton", [COCO17, POSETRACK15])
def test_the_joints_are_those_of_the_other_writer_without_ears(skeleton: Skeleton, tmp_path: Path) -> None:
    poses = people(skeleton)
    writer = PoseTrack2018Writer(tmp_path / "poses.json", video="clip", skeleton=skeleton)
    writer.add(0, None, poses)
    writer.close()
    (other,) = read(tmp_path / "poses.json")
    ours = predicted_frame(poses, skeleton, image_id=3, file_name="a/b.jpg")
    evaluated = np.delete(np.arange(17), EARS)
    assert not ours.found[:, EARS].any()
    assert np.array_equal(ours.found[:, evaluated], other.found[:, evaluated])
    assert np.array_equal(ours.xy[:, evaluated], other.xy[:, evaluated])
    assert ours.found.sum() > 50
    assert ours.score[ours.found] == pytest.approx(other.score[ours.found], abs=1e-4)
    assert np.isnan(ours.score[~ours.found]).all()


def test_people_without_an_evaluated_joint_are_nobody() -> None:
    score = np.zeros((2, 17))
    score[0, COCO17.index("left_ear")] = score[1, COCO17.index("left_hip")] = 0.5
    poses = Poses.untracked(xy=np.ones((2, 17, 2)), joint_score=score, score=[0.9, 0.8])
    frame = predicted_frame(poses, COCO17, image_id=0, file_name="")
    assert frame.person_score is not None
    assert frame.person_score.tolist() == [0.8]
    assert len(predicted_frame(Poses.empty(17), COCO17, image_id=0, file_name="")) == 0


def test_what_is_too_unsure_goes() -> None:
    poses = people(COCO17)
    poses.track_id[2] = -1
    frame = predicted_frame(poses, COCO17, image_id=0, file_name="")
    some = kept(frame, OutputSettings(min_joint_score=0.5, min_person_score=0.3))
    expected = [n for n in range(6) if n != 2 and poses.score[n] >= 0.3 and (frame.score[n] >= 0.5).any()]
    assert some.track_id.tolist() == expected
    assert np.array_equal(some.found, frame.found[expected] & (frame.score[expected] >= 0.5))
    assert not some.xy[~some.found].any()
    everybody = kept(frame, OutputSettings(untracked=True))
    assert everybody.track_id.tolist() == frame.track_id.tolist()


@st.composite
def sequences(draw: st.DrawFn) -> list[np.ndarray]:
    """Frames in which up to 8 people have distinct identities or none."""
    identity = st.integers(0, 30)
    frames = draw(st.lists(st.tuples(st.lists(identity, unique=True, max_size=6), st.integers(0, 2)), max_size=12))
    return [np.array([*tracks, *[-1] * nobodies], dtype=np.int64) for tracks, nobodies in frames]


@given(frames=sequences(), largest=st.integers(8, 40))
def test_identities_are_legal_and_tell_the_same(frames: list[np.ndarray], largest: int) -> None:
    numbered = legal_identities(frames, largest=largest)
    tracks = {track for frame in frames for track in frame.tolist()} - {-1}
    first = {track: min(t for t, frame in enumerate(frames) if track in frame) for track in tracks}
    last = {track: max(t for t, frame in enumerate(frames) if track in frame) for track in tracks}
    alive = max((sum(first[k] <= t <= last[k] for k in tracks) for t in range(len(frames))), default=0)
    number_of: dict[int, set[int]] = {}
    for before, after in zip(frames, numbered, strict=True):
        assert len(before) == len(after)
        shown = after[after >= 0]
        assert len(set(shown.tolist())) == len(shown)
        assert (after <= largest).all()
        for track, number in zip(before.tolist(), after.tolist(), strict=True):
            if track >= 0:
                number_of.setdefault(track, set()).add(number)
    if alive <= largest + 1:  # numbers suffice for those who are there at one time: everybody keeps theirs
        assert all(len(numbers) == 1 and -1 not in numbers for numbers in number_of.values())
        for a in tracks:
            for b in tracks - {a}:
                if first[a] <= last[b] and first[b] <= last[a]:
                    assert number_of[a] != number_of[b]
    if len(tracks) <= largest + 1:  # nobody shares
        assert len({number for numbers in number_of.values() for number in numbers}) == len(tracks)
    if not tracks or max(tracks) <= largest:
        assert all(numbers == {track} for track, numbers in number_of.items())


def test_a_frame_of_more_people_than_numbers() -> None:
    (numbers,) = legal_identities([np.arange(5, 15)], largest=3)
    assert sorted(numbers.tolist()) == [-1] * 6 + [0, 1, 2, 3]
