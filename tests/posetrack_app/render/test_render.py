"""Pictures of people, held against geometry that is worked out here."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any, Literal, get_args, get_type_hints

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.skeleton import COCO17, POSETRACK15, Skeleton
from posetrack_app.config import RenderSettings
from posetrack_app.render import Renderer
from posetrack_app.render.colours import LEFT, MIDDLE, RIGHT, track_colour
from posetrack_app.types import Frame, Origin, Poses

Picture = npt.NDArray[np.uint8]
STYLES = get_args(get_type_hints(RenderSettings)["style"])

# A grown-up who faces the camera, 1.7 m tall with the feet at y = 0: metres, x to the right and y down.
BODY = {
    "nose": (0, -1.56), "left_eye": (0.032, -1.6), "right_eye": (-0.032, -1.6), "left_ear": (0.075, -1.58),
    "right_ear": (-0.075, -1.58), "head_bottom": (0, -1.44), "head_top": (0, -1.7),
    "left_shoulder": (0.18, -1.38), "right_shoulder": (-0.18, -1.38), "left_elbow": (0.25, -1.1),
    "right_elbow": (-0.25, -1.1), "left_wrist": (0.28, -0.85), "right_wrist": (-0.28, -0.85),
    "left_hip": (0.1, -0.9), "right_hip": (-0.1, -0.9), "left_knee": (0.12, -0.5), "right_knee": (-0.12, -0.5),
    "left_ankle": (0.13, -0.08), "right_ankle": (-0.13, -0.08),
}  # fmt: skip
HEAD = (0.0, -1.585, 0.12)
"""Middle and radius of the head."""


def body(skeleton: Skeleton = COCO17, *, x: float, y: float, metre: float) -> npt.NDArray[np.float32]:
    """(K, 2): the grown-up with the feet at (x, y), `metre` pixels large a metre."""
    return np.array([(x + metre * BODY[name][0], y + metre * BODY[name][1]) for name in skeleton.joints], np.float32)


def people(*bodies: npt.NDArray[np.float32], joint_score: float = 0.9) -> Poses:
    """Well seen people with ids 0, 1, ..."""
    xy = np.array(bodies)
    score = np.full(xy.shape[:2], joint_score)
    return Poses.untracked(xy=xy, joint_score=score, score=np.full(len(xy), 0.9)).with_tracks(np.arange(len(xy)))


def frame(height: int = 240, width: int = 320, *, grey: int = 128, seconds: float = 0.0) -> Frame:
    return Frame(index=0, pts=seconds, image=np.full((height, width, 3), grey, dtype=np.uint8))


def noise(height: int = 240, width: int = 320) -> Frame:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Frame(index=0, pts=0.0, image=image)


def draw(where: Frame, poses: Poses, skeleton: Skeleton = COCO17, **options: Any) -> Picture:
    return Renderer(skeleton, replace(RenderSettings(), **options)).draw(where, poses)


def changed(image: Picture, before: Picture) -> npt.NDArray[np.bool_]:
    return np.asarray((image != before).any(axis=2))


def distance(shape: tuple[int, int], start: npt.ArrayLike, end: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """(H, W): pixels from each pixel's centre to a segment."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    points = np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), axis=-1) - a
    along = b - a
    share = np.clip(points @ along / max(float(along @ along), 1e-12), 0, 1)
    return np.asarray(np.hypot(*np.moveaxis(points - share[..., None] * along, -1, 0)))


def to_the_skeleton(shape: tuple[int, int], xy: npt.NDArray[np.float32], skeleton: Skeleton) -> npt.NDArray[np.float64]:
    """(H, W): pixels to the nearest limb, or to the neck from the shoulders to the nose."""
    segments = [(xy[a], xy[b]) for a, b in skeleton.limbs]
    if skeleton is COCO17:
        segments.append(((xy[5] + xy[6]) / 2, xy[0]))
    return np.asarray(np.min([distance(shape, a, b) for a, b in segments], axis=0))


ALONE = body(x=160, y=220, metre=110)


@pytest.mark.parametrize("style", STYLES)
def test_nobody(style: str) -> None:
    before = noise()
    image = draw(before, Poses.empty(17), style=style, trails_seconds=1.0)
    assert np.array_equal(image, np.zeros_like(before.image) if style == "black" else before.image)
    assert not np.shares_memory(image, before.image)


@pytest.mark.parametrize("style", STYLES)
def test_the_frame_stays_as_it_is(style: str) -> None:
    before = noise()
    kept = before.image.copy()
    before.image.setflags(write=False)
    image = draw(before, people(ALONE), style=style, trails_seconds=1.0)
    assert np.array_equal(before.image, kept)
    assert image.shape == kept.shape
    assert image.dtype == np.uint8
    assert changed(image, kept).any()


def test_a_picture_that_is_a_view() -> None:
    wide = noise(240, 700).image
    view = Frame(index=0, pts=0.0, image=wide[:, ::-1][:, 10:330])
    plain = Frame(index=0, pts=0.0, image=np.ascontiguousarray(view.image))
    assert np.array_equal(draw(view, people(ALONE)), draw(plain, people(ALONE)))


@pytest.mark.parametrize("skeleton", [COCO17, POSETRACK15])
@pytest.mark.parametrize("metre", [30, 110, 130])
def test_pixels_change_on_limbs_and_nowhere_else(skeleton: Skeleton, metre: float) -> None:
    xy = body(skeleton, x=160.3, y=228.7, metre=metre)
    before = frame()
    mask = changed(draw(before, people(xy), skeleton, labels=False), before.image)
    away = to_the_skeleton(mask.shape, xy, skeleton)
    assert mask[away < 0.8].all()
    assert not mask[away > 6].any()


def test_limbs_grow_with_the_person_and_with_the_resolution() -> None:
    def width(metre: float, scale: int) -> float:
        xy = body(x=640, y=700, metre=metre) * scale
        before = frame(720 * scale, 1280 * scale)
        mask = changed(draw(before, people(xy), labels=False), before.image)
        row = round(float(xy[13:15, 1].mean() - 0.15 * metre * scale))  # through both thighs
        return float(mask[row].sum()) / 2

    assert width(350, 1) > 1.3 * width(120, 1)
    assert width(350, 3) == pytest.approx(3 * width(350, 1), rel=0.25)


def test_joints_that_are_not_found_draw_nothing() -> None:
    before = frame()
    poses = people(ALONE)
    lost = [COCO17.index("left_wrist"), COCO17.index("nose")]
    poses.xy[0, lost] = 0
    poses.joint_score[0, lost] = 0
    mask = changed(draw(before, poses, labels=False), before.image)
    assert not mask[:60, :100].any()
    assert not mask[distance(mask.shape, ALONE[7], ALONE[9]) < 2][5:].all()
    poses.joint_score[0, lost[0]] = 0.9  # now it is found, at (0, 0)
    assert changed(draw(before, poses, labels=False), before.image)[:3, :3].all()
    poses.joint_score[:] = 0
    for style in STYLES:
        assert not changed(draw(frame(grey=0), poses, style=style), frame(grey=0).image).any()


def test_unsure_joints_are_fainter_and_can_be_left_out() -> None:
    before = frame(grey=255)
    knee, ankle = ALONE[13], ALONE[15]
    poses = people(ALONE)
    middle = tuple(np.rint((knee + ankle) / 2).astype(int)[::-1])

    def ink(score: float, **options: Any) -> int:
        poses.joint_score[0, 15] = score
        return int((255 - draw(before, poses, labels=False, **options)[middle].astype(int)).sum())

    assert ink(0.9) > 1.2 * ink(0.4) > 1.2 * 1.2 * ink(0.15) > 0
    assert ink(0.15, min_joint_score=0.2) == 0
    assert ink(0.05) == 0


def test_people_who_are_not_seen_are_thinner_fainter_and_labelled_otherwise() -> None:
    before = frame(720, 960, grey=255)
    seen = people(3 * ALONE)
    coasted = replace(seen, origin=np.array([Origin.COASTED], dtype=np.uint8))
    for style in ("skeleton", "boxes"):
        one, other = (draw(before, poses, style=style, labels=False) for poses in (seen, coasted))
        assert changed(other, before.image).sum() < 0.9 * changed(one, before.image).sum()
        assert (255 - other).max() < 0.7 * (255 - one).max()
        label = changed(draw(before, coasted, style=style), other)
        assert label.any()
        assert not np.array_equal(draw(before, coasted, style=style)[label], draw(before, seen, style=style)[label])


def test_people_without_an_identity_are_drawn_when_asked_for_in_grey_and_without_label() -> None:
    poses = people(ALONE).with_tracks([-1])
    for style in STYLES:
        nobody = draw(frame(), Poses.empty(17), style=style)
        for color_by in ("identity", "side"):
            image = draw(frame(), poses, style=style, color_by=color_by, untracked=True)
            assert changed(image, nobody).any()
            assert np.ptp(image.astype(int), axis=2).max() <= 1
            again = draw(frame(), poses, style=style, color_by=color_by, untracked=True, labels=False)
            assert np.array_equal(image, again)
        if style != "blur-faces":  # which hides their faces all the same
            assert np.array_equal(draw(frame(), poses, style=style), nobody)


def test_colours_of_sides() -> None:
    image = draw(frame(), people(ALONE), color_by="side", labels=False)
    thigh = {side: ALONE[[hip, knee]].mean(axis=0) for side, hip, knee in (("left", 11, 13), ("right", 12, 14))}
    for place, colour in (
        (thigh["left"], LEFT),
        (thigh["right"], RIGHT),
        (0.7 * ALONE[11] + 0.3 * ALONE[12], MIDDLE),
    ):
        x, y = np.rint(place).astype(int)
        assert np.abs(image[y, x].astype(int) - colour).max() < 40, place
    by_identity = draw(frame(), people(ALONE), labels=False)
    x, y = np.rint(thigh["left"]).astype(int)
    assert np.abs(by_identity[y, x].astype(int) - track_colour(0)).max() < 40


def crowd() -> Poses:
    """Four people over one another: one hardly seen, one predicted, one unknown; two of the same size."""
    poses = people(
        body(x=160, y=220, metre=110), body(x=175, y=225, metre=110), body(x=150, y=200, metre=90),
        body(x=170, y=230, metre=125),
    )  # fmt: skip
    poses.joint_score[0] = np.linspace(0.1, 0.6, 17)
    poses.origin[1] = Origin.COASTED
    poses.track_id[2] = -1
    return poses


@pytest.mark.parametrize("style", STYLES)
def test_the_order_of_people_does_not_matter(style: str) -> None:
    poses, before = crowd(), noise()
    first = draw(before, poses, style=style, untracked=True)
    for order in ([3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]):
        assert np.array_equal(first, draw(before, poses[np.array(order)], style=style, untracked=True))


def test_the_nearer_cover_the_farther() -> None:
    near, far = body(x=160, y=235, metre=140), body(x=160, y=235, metre=110)
    both = draw(frame(), people(far, near), labels=False)
    alone = draw(frame(), people(near).with_tracks([1]), labels=False)
    mask = changed(alone, frame().image)
    inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3))).astype(bool)
    assert inside.sum() > 200
    assert (both == alone)[inside].mean() > 0.93  # all but smooth edges


def test_black_shows_nothing_of_the_picture() -> None:
    options: dict[str, Any] = {"style": "black", "trails_seconds": 1.0}
    assert np.array_equal(draw(noise(), crowd(), **options), draw(frame(grey=200), crowd(), **options))
    on_black = draw(frame(grey=0), crowd(), style="skeleton", trails_seconds=1.0)
    assert np.array_equal(draw(noise(), crowd(), **options), on_black)


def test_styles_and_colourings_differ() -> None:
    pictures = {
        (style, by): draw(noise(), people(ALONE), style=style, color_by=by)
        for style in STYLES
        for by in ("identity", "side")
    }
    for one, other in combinations(pictures, 2):
        if one[0] == other[0] == "boxes":  # a box has no sides
            continue
        assert not np.array_equal(pictures[one], pictures[other]), (one, other)


def test_a_box_surrounds_the_person() -> None:
    before = frame()
    mask = changed(draw(before, people(ALONE), style="boxes", labels=False), before.image)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert columns[0] < ALONE[:, 0].min() - 3
    assert columns[-1] > ALONE[:, 0].max() + 3
    assert rows[0] < 220 - 1.68 * 110  # the crown
    assert rows[-1] > ALONE[:, 1].max() + 3
    assert not mask[rows[0] + 8 : rows[-1] - 8, columns[0] + 8 : columns[-1] - 8].any()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (3, 3), (17, 31), (120, 160), (241, 321)])
@pytest.mark.parametrize("style", STYLES)
def test_any_size(size: tuple[int, int], style: str) -> None:
    renderer = Renderer(COCO17, replace(RenderSettings(), style=style, trails_seconds=1.0))  # type: ignore[arg-type]
    for step in range(3):
        xy = body(x=size[1] / 2 + step, y=size[0], metre=size[0] / 1.7)
        before = frame(*size, seconds=step / 25)
        image = renderer.draw(before, people(xy, xy + 5))
        assert image.shape == before.image.shape
    assert draw(frame(0, 4), people(xy), style=style).shape == (0, 4, 3)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    style=st.sampled_from(STYLES),
)
def test_any_coordinates(data: st.DataObject, style: Literal["skeleton"]) -> None:
    number = st.one_of(
        st.floats(-500, 800, width=32),
        st.sampled_from([0.0, 1e6, -1e6, 3e38, -3e38, np.nan, np.inf, -np.inf, 2**31, 2**27 + 0.5]),
    )
    xy = np.array(data.draw(st.lists(number, min_size=68, max_size=68)), dtype=np.float32).reshape(2, 17, 2)
    scores = np.array(data.draw(st.lists(st.floats(0, 1, width=32), min_size=34, max_size=34))).reshape(2, 17)
    poses = replace(people(*xy), joint_score=scores.astype(np.float32))
    renderer = Renderer(COCO17, RenderSettings(style=style, trails_seconds=1.0))
    for step in range(2):
        assert renderer.draw(frame(48, 64, seconds=step / 25), poses).shape == (48, 64, 3)


def test_a_limb_that_leaves_the_picture_is_drawn_up_to_its_border() -> None:
    poses = people(ALONE)
    poses.joint_score[:] = 0
    poses.joint_score[0, [7, 9]] = 0.9
    poses.xy[0, 7], poses.xy[0, 9] = (-4e6, 100), (5e6, 100)
    before = frame()
    mask = changed(draw(before, poses, labels=False), before.image)
    assert mask[100].all()
    assert not mask[:90].any()
    assert not mask[110:].any()
    poses.xy[0, 7], poses.xy[0, 9] = (-4e6, 100), (-50, 100)
    assert not changed(draw(before, poses, labels=False), before.image).any()


def test_a_new_renderer_draws_the_same_again() -> None:
    def film() -> list[Picture]:
        renderer = Renderer(COCO17, RenderSettings(trails_seconds=1.0))
        return [renderer.draw(noise(), crowd()) for _ in range(3)]

    assert all(np.array_equal(one, other) for one, other in zip(film(), film(), strict=True))


def walk(renderer: Renderer, steps: range, *, size: tuple[int, int] = (240, 320)) -> Picture:
    """The last picture of somebody who walks four pixels a frame at 25 frames a second."""
    for step in steps:
        xy = body(x=(40 + 4 * step) * size[1] / 320, y=0.95 * size[0], metre=0.46 * size[0])
        image = renderer.draw(frame(*size, seconds=step / 25), people(xy))
    return image


def test_a_path_fades_and_ends() -> None:
    renderer = Renderer(COCO17, RenderSettings(trails_seconds=1.0, labels=False))
    image = walk(renderer, range(50))
    row = round(0.95 * 240 - 0.9 * 0.46 * 240)  # of the hips
    strength = np.abs(image[row].astype(int) - 128).sum(axis=1)
    at = [40 + 4 * step for step in (10, 27, 33, 40)]
    assert strength[at[0]] == 0  # 1.5 seconds ago
    assert 0 < strength[at[1]] < strength[at[2]] < strength[at[3]]
    without = walk(Renderer(COCO17, RenderSettings(labels=False)), range(50))
    assert not changed(without, frame().image)[row, : at[3]].any()
    later = renderer.draw(frame(seconds=3.1), Poses.empty(17))
    assert np.array_equal(later, frame().image)


def test_a_path_follows_a_change_of_the_size() -> None:
    renderer = Renderer(COCO17, RenderSettings(trails_seconds=2.0, labels=False))
    walk(renderer, range(25))
    turned = walk(renderer, range(25, 26), size=(480, 640))
    row = round(0.95 * 480 - 0.9 * 0.46 * 480)
    mask = changed(turned, frame(480, 640).image)
    assert mask[row, 2 * 60 : 2 * 130].all()
    assert not mask[row - 12, 2 * 60 : 2 * 100].any()


def test_a_path_is_broken_where_the_person_was_away_and_where_time_starts_anew() -> None:
    renderer = Renderer(COCO17, RenderSettings(trails_seconds=9.0, labels=False))
    row = round(0.95 * 240 - 0.9 * 0.46 * 240)
    walk(renderer, range(5))
    image = walk(renderer, range(40, 45))
    assert not changed(image, frame().image)[row, 70:180].any()
    again = walk(renderer, range(20, 24))
    assert not changed(again, frame().image)[row, 175:].any()
