"""The form of 2017: what is read of it, what is refused, and that both forms hold the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack_app.errors import InputError, OutputError
from posetrack_app.formats import annolist, posetrack2018
from posetrack_app.formats.annotations import JOINTS
from posetrack_app.formats.labelled import NO_SCORE, LabelledFrame
from posetrack_app.formats.posetrack import read_labelled

EARS = [JOINTS.index("left_ear"), JOINTS.index("right_ear")]
NOSE, NECK, ANKLE = JOINTS.index("nose"), JOINTS.index("head_bottom"), JOINTS.index("right_ankle")


def frames(seed: int, counts: list[int], *, ears: bool = False) -> list[LabelledFrame]:
    """A video of frames with so many people, with everything that both forms hold."""
    random = np.random.default_rng(seed)
    video = []
    for t, n in enumerate(counts):
        found = random.random((n, 17)) < 0.7
        if not ears:
            found[:, EARS] = False
        xy = np.where(found[..., None], random.uniform(-50, 900, (n, 17, 2)), 0)
        if n:
            xy[0, NOSE], found[0, NOSE] = 0, True  # a joint at the origin is one
        scored = random.random(n) < 0.5
        corner, size = random.uniform(1, 500, (n, 2)), random.uniform(1, 90, (n, 2))
        heads = random.random(n) < 0.7
        regions = tuple(random.uniform(0, 900, (random.integers(3, 7), 2)) for _ in range(random.integers(0, 3)))
        video.append(
            LabelledFrame(
                image_id=10034180000 + t,
                file_name=f"images/val/003418_mpii_test/{t:06d}.jpg",
                is_labelled=bool(random.random() < 0.7),
                track_id=random.permutation(10000)[:n],
                xy=xy,
                found=found,
                visible=found & (random.random((n, 17)) < 0.9),
                score=np.where(found & scored[:, None], random.random((n, 17)), np.nan),
                head_box=np.where(heads[:, None], np.concatenate([corner, corner + size], axis=1), np.nan),
                ignore_regions=regions,
                person_score=np.where(random.random(n) < 0.5, random.random(n), np.nan) if t % 2 else None,
            )
        )
    return video


def same(some: list[LabelledFrame], others: list[LabelledFrame]) -> None:
    assert len(some) == len(others)
    for a, b in zip(some, others, strict=True):
        assert (a.image_id, a.file_name, a.is_labelled, len(a)) == (b.image_id, b.file_name, b.is_labelled, len(b))
        for name in ("track_id", "xy", "found", "visible"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        # Only 2018 has scores of joints that are missing.
        np.testing.assert_array_equal(*[np.where(f.found, np.nan_to_num(f.score, nan=-1), -1) for f in (a, b)])
        # x1 + (x2 - x1) may differ from x2 in the last digit.
        np.testing.assert_allclose(a.head_box, b.head_box, rtol=1e-13)
        persons = [np.full(len(f), np.nan) if f.person_score is None else f.person_score for f in (a, b)]
        np.testing.assert_array_equal(*persons)
        assert len(a.ignore_regions) == len(b.ignore_regions)
        for region, other in zip(a.ignore_regions, b.ignore_regions, strict=True):
            np.testing.assert_array_equal(region, other)
        np.testing.assert_array_equal(*[f.listed if f.listed is not None else np.ones(len(f), bool) for f in (a, b)])


videos = st.builds(frames, st.integers(0, 10**6), st.lists(st.integers(0, 4), max_size=5))


@settings(max_examples=40, deadline=None)
@given(video=videos)
def test_2017_written_and_read_is_the_same(
    video: list[LabelledFrame], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    annolist.write(path, video)
    same(annolist.read(path), video)
    file = read_labelled(path)
    assert file.form == "2017"
    same(file.frames, video)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), counts=st.lists(st.integers(0, 4), max_size=5))
def test_2018_written_and_read_is_the_same(
    seed: int, counts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    video = frames(seed, counts, ears=True)
    posetrack2018.write(path, video)
    same(posetrack2018.read(path), video)
    assert read_labelled(path).form == "2018"
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in the file"))


@settings(max_examples=40, deadline=None)
@given(video=videos)
def test_there_and_back_is_the_same(video: list[LabelledFrame], tmp_path_factory: pytest.TempPathFactory) -> None:
    old, new, again = (tmp_path_factory.mktemp("json") / f"{name}.json" for name in ("old", "new", "again"))
    annolist.write(old, video)
    posetrack2018.write(new, read_labelled(old).frames)
    same(read_labelled(new).frames, video)
    annolist.write(again, read_labelled(new).frames)
    same(read_labelled(again).frames, video)


def test_what_only_one_form_holds(tmp_path: Path) -> None:
    (frame,) = frames(0, [3])
    found = np.zeros((3, 17), bool)
    found[0, [NOSE, NECK]] = True
    score = np.full((3, 17), np.nan)
    score[0, NOSE] = 0.25
    lists = np.array([True, True, False])
    frame = LabelledFrame(
        image_id=5, file_name="images/a/00000005.jpg", is_labelled=True, track_id=np.array([4, 2, 3]),
        xy=np.ones((3, 17, 2)) * found[..., None], found=found, visible=found, score=score,
        head_box=np.full((3, 4), np.nan), ignore_regions=(), listed=lists,
    )  # fmt: skip
    path = tmp_path / "a.json"
    annolist.write(path, [frame])
    (back,) = annolist.read(path)
    assert back.listed is not None
    assert back.listed.tolist() == lists.tolist()
    assert np.isnan(back.score[0, NECK])
    posetrack2018.write(path, [frame])
    (back,) = posetrack2018.read(path)
    assert back.listed is None
    assert back.score[0, [NOSE, NECK, ANKLE]].tolist() == [0.25, NO_SCORE, 0]
    assert back.found.sum(axis=1).tolist() == [2, 0, 0]


def test_frames_of_one_id_cannot_be_written(tmp_path: Path) -> None:
    (frame,) = frames(0, [1])
    with pytest.raises(ValueError, match="same image_id"):
        posetrack2018.write(tmp_path / "a.json", [frame, frame])
    with pytest.raises(OutputError, match=r"cannot write .*a\.json"):
        annolist.write(tmp_path / "no" / "a.json", [frame])


def _file() -> dict[str, Any]:
    nose = {"id": [13], "x": [5.5], "y": [6], "is_visible": [0], "score": [0.5]}
    ankle = {"id": [0], "x": [0], "y": [0]}
    region = [{"point": [{"x": [0], "y": [0]}, {"x": [9], "y": [0]}, {"x": [9], "y": [9]}]}]
    person = {"x1": [1], "y1": [2], "x2": [4], "y2": [6], "track_id": [7], "score": [0.9]}
    return {
        "annolist": [
            {
                "image": [{"name": "images/a/00000001.jpg"}], "imgnum": [1], "is_labeled": [1],
                "ignore_regions": region,
                "annorect": [
                    {**person, "annopoints": [{"point": [nose, ankle, {**nose, "x": [99]}, {**nose, "id": [15]}]}]},
                    {"track_id": [8], "annopoints": []},
                    {"annopoints": [{}]},
                    {"track_id": [9]},
                    {"track_id": [10], "annopoints": [{"point": []}]},
                ],
            },
            {"image": {"name": "images/a/00000002.jpg"}, "is_labeled": [0], "annorect": []},
        ]
    }  # fmt: skip


def test_ground_truth_of_2017_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(_file()))
    first, second = annolist.read(tmp_path / "a.json")
    assert (len(first), len(second)) == (5, 0)
    assert (first.is_labelled, second.is_labelled) == (True, False)
    assert (first.image_id, second.image_id) == (1, 2)
    assert first.track_id.tolist() == [7, 8, -1, 9, 10]
    assert first.listed is not None
    assert first.listed.tolist() == [True, False, False, False, True]
    assert first.found.sum() == 2  # not the second nose, not the point 15
    assert first.xy[0, NOSE].tolist() == [5.5, 6]
    assert (first.score[0, NOSE], np.isnan(first.score[0, ANKLE])) == (0.5, True)
    assert (first.visible[0, NOSE], first.visible[0, ANKLE]) == (False, True)
    assert first.head_box[0].tolist() == [1, 2, 4, 6]
    assert np.isnan(first.head_box[1:]).all()
    assert first.ignore_regions[0].tolist() == [[0, 0], [9, 0], [9, 9]]
    assert first.person_score is not None
    assert first.person_score[0] == 0.9


def _break(change: Callable[[list[dict[str, Any]]], object]) -> str:
    content = _file()
    change(content["annolist"])
    return json.dumps(content)


def _nan(frames: list[dict[str, Any]]) -> None:
    frames[0]["annorect"][0]["annopoints"][0]["point"][1]["y"] = [float("nan")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ('{"annolist": 3}', "expected `array`, got `int`"),
        (_break(lambda f: f[1].pop("image")), r"required field `image`, at `annolist\[1\]`"),
        (_break(lambda f: f[0]["annorect"][0].pop("track_id")), r"annolist\[0\]\.annorect\[0\]: `track_id` is missing"),
        (_break(lambda f: f[0]["annorect"][0].update(track_id=[1.5])), r"annorect\[0\]: `track_id` is no whole number"),
        (_break(lambda f: f[0]["annorect"][1].update(track_id=["a"])), r"annolist\[0\]\.annorect\[1\]\.track_id\[0\]`"),
        (_break(lambda f: f[0]["annorect"][0]["annopoints"][0]["point"][0].update(x=[])), "point 13 has no `x`"),
        (_break(_nan), r"`annolist\[0\]\.annorect\[0\]\.annopoints\[0\]\.point\[1\]\.y\[0\]` is no finite number"),
        (_break(lambda f: f[1].update(image=[])), r"annolist\[1\]: `image` is empty"),
    ],
)  # fmt: skip
def test_errors_name_the_file_the_person_and_the_field(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(InputError, match=rf"bad\.json.*{message}") as error:
        read_labelled(tmp_path / "bad.json")
    assert "\n" not in str(error.value)


def test_a_frame_as_a_user_wrote_it_is_not_2018_because_of_a_name(tmp_path: Path) -> None:
    content = {
        "images": [{"id": 1, "file_name": "annolist/1.jpg"}],
        "annotations": [],
        "categories": [{"name": "person", "keypoints": list(JOINTS)}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert read_labelled(tmp_path / "a.json").form == "2018"


def test_real_tracks_of_2017_survive_both_conversions(shared: Path, tmp_path: Path) -> None:
    fixtures = shared / "data" / "posetrack" / "fixtures"
    for folder in ("gt_annolist17", "pred_annolist17", "gt_realpred"):
        path = min((fixtures / folder).glob("*.json"))
        frames = annolist.read(path)
        annolist.write(tmp_path / path.name, frames)
        same(annolist.read(tmp_path / path.name), frames)
