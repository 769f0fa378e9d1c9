"""The tracker: invariants on anything, and drawn stories whose right answer is known."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.skeleton import COCO17
from trackers.tracker import COASTED, OBSERVED, TrackedFrame, Tracker, TrackerConfig

SIGMAS = np.array(COCO17.sigmas)
BODY = np.stack([np.tile([-10.0, 10.0], 9)[:17], np.linspace(-50, 50, 17)], axis=-1)
CONFIG = TrackerConfig()
PATIENT = replace(CONFIG, sure_score=2.0)
"""Nobody is a person at once."""

Person = tuple[float, float, float]
"""x, y and score."""


def poses(people: Sequence[Person], joints: int = 17) -> dict[str, np.ndarray]:
    """People of one size, drawn at their places."""
    places = np.array([person[:2] for person in people], dtype=np.float32).reshape(-1, 1, 2)
    score = np.array([person[2] for person in people], dtype=np.float32)
    xy = places + BODY[:joints].astype(np.float32)
    return {"xy": xy, "joint_score": np.repeat(score[:, None], joints, axis=1), "score": score}


def track(
    story: Sequence[Sequence[Person]], config: TrackerConfig = CONFIG, *, rate: float = 25.0
) -> list[TrackedFrame]:
    """All frames of a story, finished."""
    return track_all([(i / rate, poses(people)) for i, people in enumerate(story)], config)


def track_all(
    video: Sequence[tuple[float, dict[str, Any]]],
    config: TrackerConfig,
    joints: int = 17,
    mirror: np.ndarray | None = None,
) -> list[TrackedFrame]:
    tracker = Tracker(config, sigmas=SIGMAS[:joints], mirror=mirror)
    done: list[TrackedFrame] = []
    for index, (seconds, people) in enumerate(video):
        done += tracker.update(index=index, seconds=seconds, **people)
    return done + tracker.flush()


def ids(frame: TrackedFrame) -> list[int]:
    return frame.track_id[frame.origin == OBSERVED].tolist()


# Anything at all.


@st.composite
def videos(draw: st.DrawFn) -> tuple[list[tuple[float, dict[str, np.ndarray]]], int]:
    """Wandering people who come and go, of which anything may be missing or no number; times that go anywhere."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    joints = draw(st.sampled_from([1, 2, 3, 17]))
    people = draw(st.integers(0, 8))
    steps = draw(st.lists(st.sampled_from([0.04, 0.04, 0.04, 0.0, -5.0, 0.5, 3.0, 7200.0, -7200.0]), max_size=25))
    spoilt = draw(st.booleans())
    place = rng.uniform(0, 300, (people, 1, 2))
    video, seconds = [], 0.0
    for step in steps:
        seconds += step
        place = place + rng.normal(0, 5, place.shape)
        here = rng.random(people) < 0.8
        xy = (place[here] + BODY[:joints] + rng.normal(0, 1, (here.sum(), joints, 2))).astype(np.float32)
        joint_score = rng.random(xy.shape[:2]).astype(np.float32) * (rng.random(xy.shape[:2]) < 0.8)
        score = rng.random(len(xy)).astype(np.float32).round(draw(st.sampled_from([1, 7])))
        if spoilt:
            bad = np.array([np.nan, np.inf, -np.inf, 3e38, -1.0], dtype=np.float32)
            for array in (xy, joint_score, score):
                hit = rng.random(array.shape) < 0.1
                array[hit] = rng.choice(bad, hit.sum())
        video.append((seconds, {"xy": xy, "joint_score": joint_score, "score": score}))
    return video, joints


def cleaned(people: dict[str, np.ndarray]) -> list[tuple[bytes, ...]]:
    """Each pose as bytes, with what is no number, or in no picture, taken as not found."""
    result = []
    for xy, joint_score, score in zip(people["xy"], people["joint_score"], people["score"], strict=True):
        good = (np.abs(xy) < 1e7).all(axis=1) & np.isfinite(joint_score) & (joint_score > 0)
        clean = np.where(good[:, None], xy, np.float32(0)), np.where(good, joint_score, np.float32(0))
        result.append((*(part.tobytes() for part in clean), (score if np.isfinite(score) else np.float32(0)).tobytes()))
    return result


@settings(deadline=None, max_examples=150)
@given(drawn=videos())
def test_invariants(drawn: tuple[list[tuple[float, dict[str, np.ndarray]]], int]) -> None:
    video, joints = drawn
    tracker = Tracker(CONFIG, sigmas=SIGMAS[:joints])
    done: list[TrackedFrame] = []
    times = [0.0]
    for number, (seconds, people) in enumerate(video):
        before = {name: array.copy() for name, array in people.items()}
        done += tracker.update(index=3 * number + 5, seconds=seconds, **people)
        step = seconds - video[number - 1][0] if number else 0.0
        times.append(times[-1] + (step if step > 0 else 0.01))
        waited = times[-1] - times[len(done) + 1] if len(done) <= number else 0
        assert number + 1 - len(done) <= CONFIG.birth_frames or waited <= CONFIG.coast_seconds, "too late"
        assert all(array.tobytes() == people[name].tobytes() for name, array in before.items()), "input changed"
    handed_over = [frame.track_id.copy() for frame in done]
    done += tracker.flush()
    assert [frame.track_id.tolist() for frame in done[: len(handed_over)]] == [a.tolist() for a in handed_over]
    assert [(frame.index, frame.seconds) for frame in done] == [(3 * i + 5, t) for i, (t, _) in enumerate(video)]
    last_seen: dict[int, tuple[int, float]] = {}
    clock = 0.0
    for number, (frame, (seconds, people)) in enumerate(zip(done, video, strict=True)):
        N = len(frame.score)
        assert frame.xy.shape == (N, joints, 2)
        assert frame.joint_score.shape == (N, joints)
        assert [a.dtype for a in (frame.xy, frame.joint_score, frame.score, frame.track_id, frame.origin)] == [
            np.float32, np.float32, np.float32, np.int64, np.uint8,
        ]  # fmt: skip
        assert np.isfinite(frame.xy).all()
        named = frame.track_id[frame.track_id >= 0].tolist()
        assert len(set(named)) == len(named)
        observed = frame.origin == OBSERVED
        assert (frame.track_id[~observed] >= 0).all()
        out = [
            tuple(part[n].tobytes() for part in (frame.xy, frame.joint_score, frame.score))
            for n in range(observed.sum())
        ]
        rest = iter(cleaned(people))
        assert all(pose in rest for pose in out), "poses come out as they went in, in order, less duplicates"
        clock += max(seconds - video[number - 1][0], 0) if number else 0
        for name in ids(frame):
            if name >= 0 and name in last_seen:
                assert clock - last_seen[name][1] <= CONFIG.death_seconds + 1e-6, "an identity came back from the dead"
            if name >= 0:
                last_seen[name] = number, clock
    assert sorted(last_seen) == list(range(len(last_seen))), "identities count from 0 without holes"


@settings(deadline=None, max_examples=60)
@given(drawn=videos(), seed=st.integers(0, 100))
def test_the_order_of_people_does_not_matter(
    drawn: tuple[list[tuple[float, dict[str, np.ndarray]]], int], seed: int
) -> None:
    """And two trackers side by side do not know of each other."""
    video, joints = drawn
    rng = np.random.default_rng(seed)
    straight, shuffled = (Tracker(CONFIG, sigmas=SIGMAS[:joints]) for _ in range(2))
    a: list[TrackedFrame] = []
    b: list[TrackedFrame] = []
    for index, (seconds, people) in enumerate(video):
        order = rng.permutation(len(people["score"]))
        a += straight.update(index=index, seconds=seconds, **people)
        b += shuffled.update(index=index, seconds=seconds, **{name: array[order] for name, array in people.items()})
    a, b = a + straight.flush(), b + shuffled.flush()
    for one, other in zip(a, b, strict=True):
        rows = [
            sorted(
                (frame.xy[n].tobytes(), frame.joint_score[n].tobytes(), int(frame.track_id[n]))
                for n in range(len(frame.score))
            )
            for frame in (one, other)
        ]
        assert rows[0] == rows[1]


def test_hundreds_of_people() -> None:
    story = [[(40.0 * (n % 25) + i, 130.0 * (n // 25), 0.9) for n in range(300)] for i in range(6)]
    for frame in track(story):
        assert ids(frame) == list(range(300))


def test_memory_does_not_grow() -> None:
    tracker = Tracker(CONFIG, sigmas=SIGMAS)
    rng = np.random.default_rng(0)
    for index in range(500):
        tracker.update(index=index, seconds=index, **poses([(*rng.uniform(0, 9000, 2), s) for s in (0.9, 0.45, 0.1)]))
    assert len(pickle.dumps(tracker)) < 100_000


# Stories.


def test_nobody_and_nothing() -> None:
    assert track([]) == []
    assert [len(frame.score) for frame in track([[], [], []])] == [0, 0, 0]


@pytest.mark.parametrize("score", [0.45, 0.9])
def test_a_single_picture_has_identities(score: float) -> None:
    (frame,) = track([[(0, 0, score), (200, 0, score)]])
    assert ids(frame) == [0, 1]


def test_unrelated_pictures_have_identities_at_once() -> None:
    frames = track([[(500.0 * i, 0, 0.9)] for i in range(5)])
    assert [ids(frame) for frame in frames] == [[0], [1], [2], [3], [4]]


@pytest.mark.parametrize("speed", [2.0, 6.0])
def test_two_who_cross_keep_their_identities(speed: float) -> None:
    story = [[(speed * i, 0, 0.9), (speed * (60 - i), 4, 0.9)] for i in range(61)]
    for frame in track(story):
        # In the middle they stand upon each other, and one of the two may be taken for a duplicate.
        assert ids(frame) == [0, 1] or len(ids(frame)) == 1
    assert ids(track(story)[-1]) == [0, 1]


def test_one_who_is_hidden_while_passing_behind_another_is_found_again() -> None:
    story = [[(150, 0, 0.9)] if 20 < i < 36 else [(150, 0, 0.9), (5.0 * i, 3, 0.8)] for i in range(60)]
    frames = track(story)
    assert ids(frames[0]) == ids(frames[-1]) == [0, 1]
    assert {name for frame in frames for name in ids(frame)} == {0, 1}


@pytest.mark.parametrize(("gone", "back"), [(3.9, 0), (4.2, 1)])
@pytest.mark.parametrize("rate", [10.0, 50.0])
def test_who_comes_back_in_time_is_the_same(gone: float, back: int, rate: float) -> None:
    count = round(rate)
    story = [[(0, 0, 0.9)]] * count + [[]] * round(gone * rate - 1) + [[(5, 0, 0.9)]] * count
    frames = track(story, rate=rate)
    assert ids(frames[0]) == [0]
    assert ids(frames[-1]) == [back]


def test_the_gate_widens_with_time() -> None:
    def back_after(frames: int) -> int:
        return ids(track([[(0, 0, 0.9)]] * 10 + [[]] * frames + [[(60, 0, 0.9)]] * 5)[-1])[0]

    assert back_after(1) == 1
    assert back_after(25) == 0


@pytest.mark.parametrize("config", [CONFIG, PATIENT])
def test_a_flicker_stays_without_identity_and_is_not_lost(config: TrackerConfig) -> None:
    story: list[list[Person]] = [[(0, 0, 0.9)] for _ in range(12)]
    story[5].append((300, 0, 0.5))
    frames = track(story, config)
    assert ids(frames[5]) == [0, -1]
    assert all(ids(frame) == [0] for frame in frames[:5] + frames[6:])


def test_early_frames_get_the_identity_back() -> None:
    tracker = Tracker(PATIENT, sigmas=SIGMAS)
    out = [tracker.update(index=i, seconds=i / 25, **poses([(2.0 * i, 0, 0.9)])) for i in range(6)]
    assert [[frame.index for frame in done] for done in out] == [[], [], [0, 1, 2], [3], [4], [5]]
    assert [ids(frame) for done in out for frame in done] == [[0]] * 6


def test_a_missed_frame_does_not_undo_a_birth() -> None:
    frames = track([[(0, 0, 0.5)], [], [(1, 0, 0.5)], [(1, 0, 0.5)], [(1, 0, 0.5)]])
    assert [ids(frame) for frame in frames] == [[0], [], [0], [0], [0]]


def test_a_frame_does_not_wait_longer_than_birth_frames_and_is_not_changed_afterwards() -> None:
    tracker = Tracker(PATIENT, sigmas=SIGMAS)
    here = [True, False, True, False, True, True]
    done = []
    for i, seen in enumerate(here):
        done += tracker.update(index=i, seconds=i / 25, **poses([(0, 0, 0.9)] if seen else []))
        assert i + 1 - len(done) <= PATIENT.birth_frames
    assert [ids(frame) for frame in done] == [[-1], [], [0], [], [0], [0]]


def test_weak_poses_continue_a_track_but_begin_none() -> None:
    story = [[(0, 0, 0.9), (300, 0, 0.2)]] * 5 + [[(0, 0, 0.2), (300, 0, 0.2)]] * 10
    assert [ids(frame) for frame in track(story)] == [[0, -1]] * 15


def test_a_ghost_has_no_part_in_tracks() -> None:
    """Who is away for ten frames is not held where a ghost is, and keeps the identity where they come back."""
    story = [[(0, 0, 0.9)]] * 5 + [[(4 * step, 0, 0.1)] for step in range(10)] + [[(0, 0, 0.9)]] * 2
    frames = track(story)
    seen = [[i for i, origin in zip(ids(frame), frame.origin, strict=True) if origin == OBSERVED] for frame in frames]
    assert seen == [[0]] * 5 + [[-1]] * 10 + [[0]] * 2
    assert frames[-1].xy[0, 0].tolist() == pytest.approx(frames[0].xy[0, 0].tolist())


def test_weak_poses_make_nobody_a_person_and_nothing_grows() -> None:
    story = [[(0, 0, 0.4)], *([(0, 0, 0.2)] for _ in range(300))]
    assert not any((frame.track_id >= 0).any() for frame in track([*story, []]))
    tracker, sizes = Tracker(CONFIG, sigmas=SIGMAS), []
    for index, frame in enumerate(story):
        tracker.update(index=index, seconds=index / 25, **poses(frame))
        sizes.append(len(pickle.dumps(tracker)))
    assert max(sizes[50:]) <= 1.1 * max(sizes[:50])


def test_a_strong_pose_comes_before_a_nearer_weak_one() -> None:
    story = [[(0, 0, 0.9)]] * 5 + [[(0, 0, 0.2), (16, 0, 0.9)]]
    assert ids(track(story)[-1]) == [-1, 0]


def test_duplicates_go_and_neighbours_stay() -> None:
    frames = track([[(0, 0, 0.7), (1, 0, 0.9), (45, 0, 0.8)]] * 3)
    assert [frame.score.tolist() for frame in frames] == [pytest.approx([0.9, 0.8])] * 3


def test_who_is_seen_twice_is_one_person() -> None:
    """Their second sight, with sides exchanged, is strong, but begins no track; somebody beside them does."""
    twice = BODY[COCO17.mirror] + np.random.default_rng(3).normal(0, 1, BODY.shape)

    def identities(second: np.ndarray, score: float, *, sizes: float) -> list[int]:
        people = {"xy": np.stack([BODY, second]), "joint_score": np.ones((2, 17)), "score": np.array([0.9, score])}
        video = [(index / 25, people) for index in range(6)]
        return ids(track_all(video, replace(CONFIG, overlay_sizes=sizes), mirror=COCO17.mirror)[-1])

    assert identities(twice, 0.5, sizes=CONFIG.overlay_sizes) == [0, -1]
    assert identities(twice, 0.5, sizes=0) == [0, 1]
    assert identities(BODY + [40, 0], 0.5, sizes=CONFIG.overlay_sizes) == [0, 1]


def test_coasting_goes_on_a_little_and_fades() -> None:
    story: list[list[Person]] = [[] if 20 <= i < 24 else [(3.0 * i, 0, 0.8)] for i in range(30)]
    frames = track(story, replace(CONFIG, coast_seconds=0.17))
    coasted = [frame for frame in frames if (frame.origin == COASTED).any()]
    assert [frame.index for frame in coasted] == [20, 21, 22, 23]
    for frame in coasted:
        assert frame.track_id.tolist() == [0]
        assert frame.xy[0, :, 0].mean() == pytest.approx(3.0 * frame.index + BODY[:, 0].mean(), abs=3)
    scores = [0.8, *(float(frame.score[0]) for frame in coasted)]
    assert scores == sorted(scores, reverse=True)
    assert 0.3 < scores[-1] < scores[1] < 0.8
    assert all((frame.joint_score > 0).all() for frame in coasted)
    assert not any((frame.origin == COASTED).any() for frame in track(story, replace(CONFIG, coast_seconds=0.0)))


@pytest.mark.parametrize("back", [False, True])
def test_nobody_coasts_who_does_not_come_back_in_time(back: bool) -> None:
    story = [[] if 20 <= i < 25 or (i >= 25 and not back) else [(3.0 * i, 0, 0.8)] for i in range(30)]
    frames = track(story, replace(CONFIG, coast_seconds=0.17))
    assert not any((frame.origin == COASTED).any() for frame in frames)
    assert {name for frame in frames for name in ids(frame)} == {0}


def test_coasting_shows_only_the_joints_that_were_seen_last() -> None:
    people = poses([(0, 0, 0.9)])
    half = {name: array.copy() for name, array in people.items()}
    half["joint_score"][0, 8:] = 0
    half["xy"][0, 8:] = 0
    frames = track_all([(0.0, people), (0.04, people), (0.08, half), (0.12, poses([])), (0.16, people)], CONFIG)
    assert ((frames[3].joint_score[0] > 0) == (half["joint_score"][0] > 0)).all()
    assert (frames[3].xy[0, 8:] == 0).all()


def test_nobody_coasts_where_another_stands() -> None:
    story = [[(0, 0, 0.9), (40.0 - 2 * i, 0, 0.9)] for i in range(20)]
    story += [[(0, 0, 0.9)]] * 3
    frames = track(story)
    assert all((frame.origin == OBSERVED).all() for frame in frames[20:])


def test_times_that_stand_still_or_run_backwards() -> None:
    walk = [poses([(2.0 * i, 0, 0.9)]) for i in range(30)]
    for times in (np.zeros(30), -np.arange(30.0), np.full(30, np.nan), np.arange(30) % 7 * 0.04):
        frames = track_all(list(zip(times.tolist(), walk, strict=True)), CONFIG)
        assert [ids(frame) for frame in frames] == [[0]] * 30


def test_after_hours_everybody_is_new() -> None:
    one = poses([(0, 0, 0.9)])
    frames = track_all([(0.0, one), (0.04, one), (7200.0, one), (7200.04, one)], CONFIG)
    assert [ids(frame) for frame in frames] == [[0], [0], [1], [1]]


def test_after_flush_the_count_goes_on() -> None:
    tracker = Tracker(CONFIG, sigmas=SIGMAS)
    one = poses([(0, 0, 0.9)])
    first = tracker.update(index=0, seconds=0, **one) + tracker.flush()
    second = tracker.update(index=0, seconds=0, **one) + tracker.flush()
    assert [ids(frame) for frame in first + second] == [[0], [1]]
    assert tracker.flush() == []


def only(people: dict[str, np.ndarray], joints: slice) -> dict[str, np.ndarray]:
    """The same people with only some joints seen."""
    part = {name: np.zeros_like(array) for name, array in people.items()}
    part["score"][:] = people["score"]
    for name in ("xy", "joint_score"):
        part[name][:, joints] = people[name][:, joints]
    return part


def test_equals_are_told_apart_whatever_their_order() -> None:
    people = poses([(0, 0, 0.9), (4, 0, 0.9), (8, 0, 0.9)])
    config = replace(CONFIG, duplicate_oks=0.7)
    out = []
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        (frame,) = track_all([(0, {name: array[order] for name, array in people.items()})], config)
        out.append(sorted(zip(frame.xy[:, 0, 0].tolist(), ids(frame), strict=True)))
    assert out[0] == out[1] == out[2]
    assert len(out[0]) < 3


def test_at_the_end_only_who_was_there_all_the_time_becomes_a_person() -> None:
    steady, broken = track([[(0, 0, 0.5)]] * 2), track([[(0, 0, 0.5)], [], [(0, 0, 0.5)]])
    assert [ids(frame) for frame in steady] == [[0], [0]]
    assert [ids(frame) for frame in broken] == [[-1], [], [-1]]


def test_a_body_that_is_hidden_but_for_its_head_keeps_its_size() -> None:
    still, moved = poses([(0, 0, 0.9)]), poses([(9, 0, 0.9)])
    story = [still] * 10 + [only(still, slice(5))] * 3 + [only(moved, slice(5))] * 3
    frames = track_all([(i / 25, people) for i, people in enumerate(story)], replace(CONFIG, max_sizes_per_second=3.0))
    assert [ids(frame) for frame in frames] == [[0]] * 16


def test_joints_unseen_for_long_speak_for_nobody() -> None:
    """Legs last seen long ago could be anywhere; they must not make a stranger look like the person."""
    person, stranger = poses([(0, 0, 0.9)]), poses([(20, 0, 0.9)])
    story = [person] * 5 + [only(person, slice(9))] * 50 + [stranger]
    frames = track_all([(i / 25, people) for i, people in enumerate(story)], CONFIG)
    assert ids(frames[-2]) == [0]
    assert ids(frames[-1]) == [1]


def test_a_pose_without_joints_stays_without_identity() -> None:
    people = poses([(0, 0, 0.9), (300, 0, 0.9)])
    people["joint_score"][1] = 0
    people["xy"][0, 3] = np.nan
    frames = track_all([(i / 25, people) for i in range(4)], CONFIG)
    assert [ids(frame) for frame in frames] == [[0, -1]] * 4
    assert all(frame.joint_score[0, 3] == 0 and (frame.xy[0, 3] == 0).all() for frame in frames)


def test_wrong_shapes_are_named() -> None:
    tracker = Tracker(CONFIG, sigmas=SIGMAS)
    with pytest.raises(ValueError, match=r"xy \(1, 17, 2\).*got \(1, 5, 2\)"):
        tracker.update(index=0, seconds=0, **poses([(0, 0, 0.9)], joints=5))


@pytest.mark.parametrize(("name", "value"), [("death_seconds", -1.0), ("min_similarity", float("nan"))])
def test_settings_that_mean_nothing_are_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        TrackerConfig(**{name: value})


def test_settings_are_read_by_msgspec() -> None:
    assert msgspec.toml.decode("birth_frames = 5\ncoast_seconds = 1", type=TrackerConfig) == TrackerConfig(
        birth_frames=5, coast_seconds=1.0
    )
    with pytest.raises(msgspec.ValidationError, match="birth_frames"):
        msgspec.toml.decode("birth_frames = -5", type=TrackerConfig)


@pytest.mark.parametrize("name", [name for name, value in vars(CONFIG).items() if isinstance(value, (int, float))])
def test_every_setting_may_be_zero_or_large(name: str) -> None:
    rng = np.random.default_rng(1)
    story = [[(float(x), float(y), float(s)) for x, y, s in rng.uniform(0, [200, 200, 1], (5, 3))] for _ in range(12)]
    for value in (0, 1000):
        frames = track(story, replace(CONFIG, **{name: value}))
        assert len(frames) == 12
        assert all(np.isfinite(frame.xy).all() for frame in frames)


# Camera and appearance.


def swing(i: int) -> np.ndarray:
    """Where the camera is in frame i: whole body sizes away within a few frames."""
    return np.array([70 * np.sin(0.9 * i), 20 * np.cos(0.5 * i)])


@pytest.mark.parametrize("told", [False, True])
def test_a_swinging_camera_loses_nobody_if_it_is_told_of(told: bool) -> None:
    tracker = Tracker(CONFIG, sigmas=SIGMAS)
    done: list[TrackedFrame] = []
    for i in range(40):
        people = poses([(2.0 * i, 0, 0.9), (90 + 2.0 * i, 0, 0.9)])
        people["xy"] = people["xy"] + swing(i).astype(np.float32)
        camera = np.column_stack([np.eye(2), swing(i) - swing(max(i - 1, 0))])
        done += tracker.update(index=i, seconds=i / 25, **people, camera=camera if told else None)
    done += tracker.flush()
    assert all(ids(frame) == [0, 1] for frame in done) == told


def test_turning_and_zooming_of_the_camera_is_followed() -> None:
    """A picture that turns about its corner and grows: people stand still in the world."""
    tracker = Tracker(CONFIG, sigmas=SIGMAS)
    turn = 1.05 * np.array([[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]])
    people = poses([(400, 100, 0.9), (480, 100, 0.9)])
    whole = np.eye(2)
    done: list[TrackedFrame] = []
    for i in range(15):
        seen = {**people, "xy": people["xy"] @ whole.T}
        done += tracker.update(index=i, seconds=i / 25, **seen, camera=np.column_stack([turn, [0, 0]]))
        whole = turn @ whole
    assert all(ids(frame) == [0, 1] for frame in done + tracker.flush())


@pytest.mark.parametrize("zoom", [0.25, 4.0])
def test_a_zoom_changes_nothing_about_who_is_found_again(zoom: float) -> None:
    """Somebody is hidden, meanwhile the camera zooms; how far away they are found again is a matter of body sizes."""
    still, zoomed = [], []
    for away in range(0, 2000, 100):
        story = [[(0, 0, 0.9)]] * 10 + [[]] * 5 + [[(away, 0, 0.9)]] * 5
        for scale, found in ((1.0, still), (zoom, zoomed)):
            tracker = Tracker(CONFIG, sigmas=SIGMAS)
            done: list[TrackedFrame] = []
            for i, people in enumerate(story):
                seen = poses([(x / 5, y, score) for x, y, score in people])
                seen["xy"] = seen["xy"] * np.float32(5 * (scale if i >= 12 else 1))
                camera = (scale if i == 12 else 1) * np.eye(2, 3)
                done += tracker.update(index=i, seconds=i / 25, **seen, camera=camera)
            found.append(ids((done + tracker.flush())[-1]))
    assert zoomed == still
    assert still[0] == [0]
    assert still[-1] == [1]


def test_a_wrong_camera_is_named() -> None:
    tracker = Tracker(CONFIG, sigmas=SIGMAS)
    with pytest.raises(ValueError, match=r"camera must be \(2, 3\)"):
        tracker.update(index=0, seconds=0, **poses([]), camera=np.eye(3))


LOOKS = np.random.default_rng(3).normal(size=(4, 16)) + 0.8
"""What four people look like: alike in much."""


def track_looks(story: Sequence[Sequence[tuple[int, float]]], config: TrackerConfig = CONFIG) -> list[TrackedFrame]:
    """All frames of a story told as who stands at which x."""
    rng = np.random.default_rng(0)
    tracker = Tracker(config, sigmas=SIGMAS)
    done: list[TrackedFrame] = []
    for i, people in enumerate(story):
        looks = np.array([LOOKS[who] for who, _ in people]).reshape(-1, 16)
        done += tracker.update(
            index=i,
            seconds=i / 25,
            **poses([(x, 0, 0.9) for _, x in people]),
            appearance=looks + rng.normal(0, 0.1, looks.shape),
        )
    return done + tracker.flush()


def test_who_comes_back_elsewhere_after_long_is_known_by_appearance() -> None:
    both = [(0, 0.0), (1, 300.0)]
    frames = track_looks([both] * 25 + [[]] * 200 + [[(1, 900.0), (0, 600.0)]] * 5)
    assert ids(frames[0]) == [0, 1]
    assert ids(frames[-1]) == [1, 0]
    forgotten = track_looks([both] * 25 + [[]] * 200 + [[(1, 900.0)]] * 5, replace(CONFIG, recall_seconds=5.0))
    assert ids(forgotten[-1]) == [2]


def test_who_is_known_by_appearance_stands_still_at_first() -> None:
    """The way from where they were is no velocity: seen once, they are expected there again."""
    frames = track_looks([[(0, 0.0)]] * 25 + [[]] * 30 + [[(0, 900.0)]] + [[]] * 3 + [[(0, 900.0)]] * 5)
    gap = frames[56:59]
    assert [frame.track_id.tolist() for frame in gap] == [[0]] * 3
    assert all((frame.origin == COASTED).all() for frame in gap)
    for frame in gap:
        np.testing.assert_allclose(frame.xy[0], BODY + [900, 0], atol=1)


def test_a_stranger_at_the_same_place_is_somebody_new() -> None:
    story = [[(0, 0.0)]] * 25 + [[]] * 25 + [[(2, 3.0)]] * 5
    frames = track_looks(story, replace(CONFIG, min_likeness_near=0.85))
    assert ids(frames[0]) == [0]
    assert ids(frames[-1]) == [1]
    assert ids(track_looks(story, replace(CONFIG, min_likeness_near=0))[-1]) == [0]


@settings(deadline=None, max_examples=100)
@given(drawn=videos(), every=st.integers(1, 9))
def test_shots_are_tracked_as_videos_of_their_own(
    drawn: tuple[list[tuple[float, dict[str, np.ndarray]]], int], every: int
) -> None:
    """Where nothing is known of looks, a cut is as if nobody were there for long."""
    video, joints = drawn
    tracker = Tracker(CONFIG, sigmas=SIGMAS[:joints])
    done: list[TrackedFrame] = []
    for index, (seconds, people) in enumerate(video):
        done += tracker.update(index=index, seconds=seconds, **people, cut=index > 0 and index % every == 0)
    done += tracker.flush()
    first = 0
    for start in range(0, len(video), every):
        shot = video[start : start + every]
        if start + every < len(video):
            nothing = {name: array[:0] for name, array in shot[-1][1].items()}
            shot = [*shot, *((shot[-1][0] + 10 * (i + 1), nothing) for i in range(4))]
        alone = track_all(shot, CONFIG, joints)[:every]
        for one, other in zip(alone, done[start : start + every], strict=True):
            np.testing.assert_array_equal(np.where(one.track_id >= 0, one.track_id + first, -1), other.track_id)
            np.testing.assert_array_equal(one.origin, other.origin)
            np.testing.assert_allclose(one.xy, other.xy, rtol=1e-5)
        first += len({name for frame in alone for name in frame.track_id.tolist() if name >= 0})


def test_who_is_back_in_a_later_shot_is_known_by_appearance_only() -> None:
    """A and B, then C where A was, then B and A the other way round: places say nothing, looks do."""
    shots = [[[(0, 0.0), (1, 300.0)]] * 25, [[(2, 0.0)]] * 30, [[(1, 0.0), (0, 300.0)]] * 10]
    rng = np.random.default_rng(0)
    tracker = Tracker(CONFIG, sigmas=SIGMAS)
    done: list[TrackedFrame] = []
    for number, shot in enumerate(shots):
        for place, people in enumerate(shot):
            looks = np.array([LOOKS[who] for who, _ in people])
            done += tracker.update(
                index=len(done),
                seconds=(place + sum(map(len, shots[:number]))) / 25,
                **poses([(x, 0, 0.9) for _, x in people]),
                appearance=looks + rng.normal(0, 0.1, looks.shape),
                cut=number > 0 and place == 0,
            )
    done += tracker.flush()
    assert all((frame.origin == OBSERVED).all() for frame in done)
    assert [ids(frame) for frame in done] == [[0, 1]] * 25 + [[2]] * 30 + [[1, 0]] * 10


def test_a_body_has_the_size_of_its_shot() -> None:
    """After a close-up a person is not taken for a giant: somebody near by is somebody else."""
    large, small = 8 * BODY, BODY
    tracker = Tracker(CONFIG, sigmas=SIGMAS)
    done: list[TrackedFrame] = []
    story = [(large, [(0, 400.0)])] * 25 + [(small, [(2, 900.0)])] * 30 + [(small, [(0, 400.0), (2, 900.0)])] * 3
    story += [(small, [(1, 470.0), (2, 900.0)])] * 5  # 0 leaves, a stranger stands seventy pixels farther
    for index, (body, people) in enumerate(story):
        xy = np.array([body + [x, 0] for _, x in people], dtype=np.float32)
        done += tracker.update(
            index=index,
            seconds=index / 25,
            xy=xy,
            joint_score=np.full(xy.shape[:2], 0.9, dtype=np.float32),
            score=np.full(len(xy), 0.9, dtype=np.float32),
            appearance=np.array([LOOKS[who] for who, _ in people]),
            cut=index in (25, 55),
        )
    done += tracker.flush()
    assert ids(done[56])[0] == 0
    assert ids(done[-1])[0] not in (0, 1)


def test_pictures_that_have_nothing_to_do_with_each_other_stay_quick() -> None:
    rng = np.random.default_rng(0)
    tracker = Tracker(CONFIG, sigmas=SIGMAS)
    done: list[TrackedFrame] = []
    for index in range(300):
        people = poses([(x, 0, 0.9) for x in (0, 300, 600)])
        done += tracker.update(
            index=index, seconds=index / 25, **people, appearance=rng.normal(size=(3, 16)), cut=index > 0
        )
        assert len(tracker._tracks) <= 203
    assert [ids(frame) for frame in done] == [[3 * i, 3 * i + 1, 3 * i + 2] for i in range(len(done))]


def test_twins_are_not_guessed_at() -> None:
    """Two who look the same and come back far away are new: either could be either."""
    story = [[(3, 0.0), (3, 300.0)]] * 25 + [[]] * 50 + [[(3, 900.0)]] * 5
    assert ids(track_looks(story)[-1]) == [2]


def test_appearance_that_tells_nothing_changes_nothing() -> None:
    story = [[(0, 0, 0.9)]] * 10 + [[]] * 20 + [[(3, 0, 0.9)]] * 5
    tracker = Tracker(CONFIG, sigmas=SIGMAS)
    done: list[TrackedFrame] = []
    for i, people in enumerate(story):
        looks = np.full((len(people), 8), np.nan if i % 2 else 0.0)
        done += tracker.update(index=i, seconds=i / 25, **poses(people), appearance=looks)
    assert [ids(frame) for frame in done + tracker.flush()] == [ids(frame) for frame in track(story)]


def test_who_was_just_seen_is_not_found_far_away() -> None:
    """Who was seen a moment ago cannot be far away; after a while they can."""
    here, away = [(0, 0.0)], [(0, 900.0)]
    assert ids(track_looks([here] * 10 + [away] * 5)[-1]) == [1]
    assert ids(track_looks([here] * 10 + [[]] * 25 + [away] * 5)[-1]) == [0]


def test_looks_stay_with_their_people() -> None:
    """In the order in which poses come out; predicted people have none, and without looks there are none."""
    tracker = Tracker(CONFIG, sigmas=SIGMAS)
    plain = Tracker(CONFIG, sigmas=SIGMAS)
    done: list[TrackedFrame] = []
    for i in range(12):
        places = [(0, 0, 0.9), (0, 2, 0.4), (300, 0, 0.8)]  # the second is a duplicate of the first
        people = poses(places if i not in (5, 6) else places[:2])
        looks = np.array([[10] * 4, [11] * 4, [12] * 4], dtype=np.uint8)[: len(people["score"])]
        done += tracker.update(index=i, seconds=i / 25, **people, appearance=looks)
        assert all(frame.appearance is None for frame in plain.update(index=i, seconds=i / 25, **people))
    for frame in done + tracker.flush():
        assert frame.appearance is not None
        assert frame.appearance.dtype == np.uint8
        assert frame.appearance[:, 0].tolist() == ([10, 0] if frame.index in (5, 6) else [10, 12])


def test_a_wrong_appearance_is_named() -> None:
    tracker = Tracker(CONFIG, sigmas=SIGMAS)
    with pytest.raises(ValueError, match=r"appearance of 1 poses must be \(1, D\), got \(2, 8\)"):
        tracker.update(index=0, seconds=0, **poses([(0, 0, 0.9)]), appearance=np.ones((2, 8)))


def test_a_double_does_not_take_the_identity() -> None:
    """Part of a person, found a second time for a few frames, fits as well as the person, but with fewer joints."""
    people, part = poses([(0, 0, 0.8)]), only(poses([(9, 4, 0.5)]), slice(6))
    both = {name: np.concatenate([people[name], part[name]]) for name in people}
    story = [people] * 6 + [both] * 2 + [people] * 3 + [both] + [people] * 5
    frames = track_all([(i / 25, seen) for i, seen in enumerate(story)], CONFIG)
    assert all(frame.track_id[0] == 0 for frame in frames)
