"""The drawn clip: the same every time, true to its ground truth, with the story that it tells."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from models.skeleton import COCO17
from posetrack_app.errors import UsageError
from posetrack_app.sample import SampleConfig, SampleFrame, draw

SMALL = {"width": 320, "height": 180}


def _at(seconds: float, **settings: int) -> SampleFrame:
    """The frame of the default clip at one time, of whole tenths."""
    for sample in draw(SampleConfig(seconds=seconds + 0.1, rate=10, **settings)):
        last = sample
    return last


@pytest.fixture(scope="module")
def story() -> list[SampleFrame]:
    """Ten frames a second of the whole default clip, small."""
    return list(draw(SampleConfig(rate=10, **SMALL)))


def test_same_seed_same_bytes_and_other_seed_other_people() -> None:
    first, again, other = (
        list(draw(SampleConfig(seed=seed, seconds=0.3, rate=10, people=3, **SMALL))) for seed in (5, 5, 6)
    )
    assert len(first) == 3
    for one, two in zip(first, again, strict=True):
        assert one.frame.image.tobytes() == two.frame.image.tobytes()
        assert one.truth.xy.tobytes() == two.truth.xy.tobytes()
    assert not np.array_equal(first[0].frame.image, other[0].frame.image)


def test_frames_have_the_size_and_times_asked_for() -> None:
    samples = list(draw(SampleConfig(seconds=0.5, rate=8, people=1, width=97, height=61)))
    assert [sample.frame.index for sample in samples] == [0, 1, 2, 3]
    assert [sample.frame.pts for sample in samples] == [0, 0.125, 0.25, 0.375]
    assert all(sample.frame.image.shape == (61, 97, 3) for sample in samples)


def test_nobody_and_no_time_are_ordinary() -> None:
    (sample,) = draw(SampleConfig(seconds=0.1, rate=10, people=0, **SMALL))
    assert sample.truth.xy.shape == (0, 17, 2)
    assert sample.truth.visible.shape == (0, 17)
    assert sample.truth.head_box.shape == (0, 4)
    assert list(draw(SampleConfig(seconds=0))) == []


@pytest.mark.parametrize("setting", [{"people": 11}, {"people": -1}, {"rate": 0}, {"width": 5}, {"seconds": -1.0}])
def test_what_cannot_be_drawn_is_refused_in_one_line(setting: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=rf"sample: {next(iter(setting))} is .* must be from") as error:
        SampleConfig(**setting)
    assert "\n" not in str(error.value)


def test_joints_lie_on_the_figures_that_cover_them() -> None:
    """Pictures with and without a person differ on that person, and not where somebody else hides them."""
    pictures = {people: _at(3.0, people=people) for people in (0, 1, 2)}
    both = pictures[2].truth
    a, b = both.track_id.tolist().index(0), both.track_id.tolist().index(1)
    pixels = np.rint(both.xy).astype(int)

    def differs(person: int, joints: np.ndarray, one: int, two: int) -> np.ndarray:
        x, y = pixels[person, joints].T
        first, second = (pictures[people].frame.image[y, x].astype(int) for people in (one, two))
        return np.abs(first - second).max(axis=-1) > 0

    shown = both.in_frame[a] & ~both.occluded[a]
    assert shown.sum() == 17
    assert differs(a, shown, 0, 1).all()
    hidden = both.occluded[b]
    shown = both.in_frame[b] & ~hidden
    assert hidden.sum() >= 5
    assert shown.sum() >= 3
    # At the edge of who hides it a joint still shines through a little.
    assert differs(b, hidden, 1, 2).mean() <= 0.1
    assert differs(b, shown, 1, 2).all()


def test_a_face_shows_its_skin_and_a_back_hides_it(story: list[SampleFrame]) -> None:
    """C walks towards the camera: nose, eyes and shoulders are seen; A and B in profile hide one side."""
    nose, eyes = COCO17.index("nose"), [COCO17.index("left_eye"), COCO17.index("right_eye")]
    towards = story[52].truth
    c = towards.track_id.tolist().index(2)
    assert towards.visible[c, [nose, *eyes, 5, 6]].all()
    x, y = np.rint(towards.xy[c, nose]).astype(int)
    red, green, blue = story[52].frame.image[y, x].astype(int)
    assert red > green > blue
    left_eye, right_eye = towards.xy[c, eyes]
    assert left_eye[0] > right_eye[0]
    profile = story[30].truth
    a = profile.track_id.tolist().index(0)
    right_of_a = [COCO17.index(name) for name in ("right_shoulder", "right_ear", "right_eye")]
    left_of_a = [COCO17.index(name) for name in ("left_shoulder", "left_ear", "left_eye")]
    assert not profile.self_occluded[a, right_of_a].any()
    assert profile.self_occluded[a, left_of_a].all()


def test_head_boxes_hold_the_head_and_fit_it(story: list[SampleFrame]) -> None:
    for sample in story[::7]:
        truth = sample.truth
        x1, y1, x2, y2 = truth.head_box.T
        size = 0.6 * np.hypot(x2 - x1, y2 - y1)
        for point in (*truth.xy[:, :5].transpose(1, 0, 2), truth.head_top):
            assert (point[:, 0] >= x1 - 1).all()
            assert (point[:, 0] <= x2 + 1).all()
            assert (point[:, 1] >= y1 - 1).all()
            assert (point[:, 1] <= y2 + 1).all()
        assert (truth.neck[:, 1] > y1 + 0.7 * (y2 - y1)).all()
        body = truth.xy[:, 15:, 1].max(axis=1) - truth.head_top[:, 1]
        assert ((size / body > 0.06) & (size / body < 0.16)).all()


def test_people_move_smoothly_and_keep_their_ids(story: list[SampleFrame]) -> None:
    for before, after in itertools.pairwise(story):
        assert len(set(after.truth.track_id.tolist())) == len(after.truth.track_id)
        for row, person in enumerate(after.truth.track_id.tolist()):
            if person in before.truth.track_id:
                was = before.truth.xy[before.truth.track_id == person][0]
                height = np.ptp(was[:, 1]) + 1
                assert np.abs(after.truth.xy[row] - was).max() < 0.35 * height


def _present(story: list[SampleFrame], person: int) -> np.ndarray:
    return np.array([person in sample.truth.track_id for sample in story])


def _share_hidden(story: list[SampleFrame], person: int, frame: int) -> float:
    truth = story[frame].truth
    row = truth.track_id.tolist().index(person)
    return float(truth.occluded[row].mean())


def test_the_story_is_as_told(story: list[SampleFrame]) -> None:
    a, b, c, d, e = (_present(story, person) for person in range(5))
    assert not a[:5].any()
    assert a[9:53].all()
    assert not a[55:].any()
    assert b[:64].all()
    assert not b[68:].any()
    assert c.all()
    assert d[:39].all()
    assert not d[41:60].any()
    assert d[63:].all()
    assert not e[:12].any()
    assert e[16:86].all()
    for hidden, frame in ((2, 24), (1, 30), (4, 37), (2, 37), (1, 46), (4, 61), (4, 70), (3, 86)):
        assert _share_hidden(story, hidden, frame) >= 0.5, (hidden, frame)
    for shown, frame in ((0, 30), (1, 25), (2, 80), (3, 30), (4, 30)):
        assert _share_hidden(story, shown, frame) < 0.2, (shown, frame)
