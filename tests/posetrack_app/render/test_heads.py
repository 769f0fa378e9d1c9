"""Faces: found from whatever is known, and gone afterwards."""

from __future__ import annotations

from itertools import chain, combinations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from models.skeleton import COCO17, POSETRACK15, Skeleton
from posetrack_app.config import RenderSettings
from posetrack_app.render import Renderer
from posetrack_app.render.heads import obscure
from posetrack_app.types import Frame, Poses

FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
SHOULDERS = ("left_shoulder", "right_shoulder")

# Metres, x to the right and y down, from the middle of a head that faces the camera; a chin at 0.12, a crown at -0.12.
UPPER_BODY = {
    "nose": (0, 0.025), "left_eye": (0.032, -0.015), "right_eye": (-0.032, -0.015), "left_ear": (0.075, 0.005),
    "right_ear": (-0.075, 0.005), "head_bottom": (0, 0.14), "head_top": (0, -0.12), "left_shoulder": (0.18, 0.23),
    "right_shoulder": (-0.18, 0.23), "left_hip": (0.1, 0.7), "right_hip": (-0.1, 0.7),
    "left_elbow": (0.25, 0.5), "right_elbow": (-0.25, 0.5),
}  # fmt: skip


def known(names: tuple[str, ...], skeleton: Skeleton = COCO17, *, x: float, y: float, metre: float) -> Poses:
    """Somebody of whom only these joints are found, with the head at (x, y)."""
    xy, score = np.zeros((1, len(skeleton.joints), 2)), np.zeros((1, len(skeleton.joints)))
    for name in names:
        joint = skeleton.index(name)
        xy[0, joint] = x + metre * UPPER_BODY[name][0], y + metre * UPPER_BODY[name][1]
        score[0, joint] = 0.9
    return Poses.untracked(xy=xy, joint_score=score, score=[0.9])


def checkerboard(height: float, width: float, square: float) -> npt.NDArray[np.uint8]:
    rows, columns = np.ogrid[: round(height), : round(width)]
    board = (rows // square + columns // square) % 2 * 255
    return np.repeat(board[..., None], 3, axis=2).astype(np.uint8)


def hidden(poses: Poses, image: npt.NDArray[np.uint8], skeleton: Skeleton = COCO17) -> npt.NDArray[np.uint8]:
    """The picture with faces hidden and nothing drawn: no joint is sure enough, yet faces are found by all."""
    options = RenderSettings(style="blur-faces", min_joint_score=2.0, labels=False)
    return Renderer(skeleton, options).draw(Frame(index=0, pts=0.0, image=image), poses)


def face_of(shape: tuple[int, ...], *, x: float, y: float, metre: float) -> npt.NDArray[np.bool_]:
    """(H, W): eyes, nose and mouth: an ellipse from the brows to the lips."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return ((columns - x) / (0.055 * metre)) ** 2 + ((rows - y - 0.02 * metre) / (0.075 * metre)) ** 2 <= 1


SUBSETS = [*chain.from_iterable(combinations(FACE, count) for count in range(1, 6)), SHOULDERS]


@pytest.mark.parametrize("metre", [60, 250, 900])
@pytest.mark.parametrize("rest", [SHOULDERS, (*SHOULDERS, "left_hip", "right_hip", "left_elbow", "right_elbow")])
def test_a_face_is_gone_for_whatever_is_found_of_it(rest: tuple[str, ...], metre: float) -> None:
    place = {"x": 3 + 0.7 * metre, "y": 2 + 0.5 * metre, "metre": metre}
    board = checkerboard(1.4 * metre, 1.4 * metre, max(1, metre // 60))
    face = face_of(board.shape, **place)
    before = board[face].var()
    for subset in SUBSETS:
        after = hidden(known(tuple({*subset, *rest}), COCO17, **place), board)[face].var()
        assert after < before / 50, subset


def test_one_shoulder_or_a_lone_face_will_do() -> None:
    place = {"x": 150.0, "y": 120.0, "metre": 250.0}
    board = checkerboard(350, 350, 4)
    face = face_of(board.shape, **place)
    for names in (("right_shoulder", "right_hip", "right_elbow"), FACE, FACE[:3], FACE[3:]):
        assert hidden(known(names, COCO17, **place), board)[face].var() < board[face].var() / 50, names


def test_the_joints_of_posetrack() -> None:
    place = {"x": 150.0, "y": 120.0, "metre": 250.0}
    board = checkerboard(350, 350, 4)
    face = face_of(board.shape, **place)
    for names in (("nose", "head_top"), ("head_bottom", "head_top"), ("nose", "head_bottom", *SHOULDERS), SHOULDERS):
        after = hidden(known(names, POSETRACK15, **place), board, POSETRACK15)
        assert after[face].var() < board[face].var() / 50, names


def test_a_body_that_lies_or_hangs_keeps_its_head_where_it_is() -> None:
    board = checkerboard(400, 400, 4)
    upright = known((*SHOULDERS, "left_hip", "right_hip"), x=200, y=120, metre=250)
    face = face_of(board.shape, x=200, y=120, metre=250)
    for turn in range(4):  # quarter turns of the picture: (x, y) goes to (y, 399 - x)
        xy = upright.xy.copy()
        for _ in range(turn):
            xy = np.stack([xy[..., 1], 399 - xy[..., 0]], axis=-1)
        poses = Poses.untracked(xy=xy, joint_score=upright.joint_score, score=upright.score)
        after = hidden(poses, board)[np.rot90(face, turn)]
        assert after.var() < board[face].var() / 50, turn


@pytest.mark.parametrize(("x", "y"), [(0, 60), (119, 60), (60, 0), (60, 119), (0, 0), (119, 119)])
def test_heads_at_the_border(x: float, y: float) -> None:
    board = checkerboard(120, 120, 3)
    face = face_of(board.shape, x=x, y=y, metre=200)
    assert hidden(known((*FACE, *SHOULDERS), x=x, y=y, metre=200), board)[face].var() < board[face].var() / 20


def test_what_is_no_head_stays() -> None:
    image = checkerboard(400, 400, 5)
    poses = known((*FACE, *SHOULDERS, "left_hip", "right_hip"), x=200, y=120, metre=250)
    rows, columns = np.ogrid[:400, :400]
    far = np.hypot(columns - 200, rows - 120) > 0.25 * 250
    assert np.array_equal(hidden(poses, image)[far], image[far])


def test_a_misplaced_ear_does_not_hide_the_picture() -> None:
    poses = known((*FACE, *SHOULDERS, "left_hip", "right_hip"), x=200, y=120, metre=100)
    poses.xy[0, COCO17.index("left_ear")] = 3e7, -4e8
    image = checkerboard(400, 400, 5)
    assert np.array_equal(hidden(poses, image)[250:], image[250:])


def test_guesses_beside_sure_joints_do_not_hide_the_picture() -> None:
    """A face that the network does not see has weak joints anywhere."""
    poses = known((*FACE, *SHOULDERS, "left_hip", "right_hip", "left_elbow", "right_elbow"), x=200, y=120, metre=100)
    image, sure = checkerboard(400, 400, 5), hidden(poses, checkerboard(400, 400, 5))
    for name, place in (("left_eye", (20, 380)), ("right_ear", (390, 300))):
        poses.xy[0, COCO17.index(name)] = place
        poses.joint_score[0, COCO17.index(name)] = 0.06
    weak = hidden(poses, image)
    assert np.array_equal(weak[200:], image[200:])
    face = face_of(image.shape, x=200, y=120, metre=100)
    assert weak[face].var() < 2 * sure[face].var() + 1


def test_no_head_is_larger_than_a_thigh_is_long() -> None:
    names = (*FACE, *SHOULDERS, "left_hip", "right_hip", "left_elbow", "right_elbow")
    poses = known(names, x=200, y=120, metre=100)
    poses.xy[0, COCO17.index("left_ear")] = 390, 390
    image = checkerboard(400, 400, 5)
    changed = (hidden(poses, image) != image).any(axis=2)
    assert changed.sum() < np.pi * 60**2


@pytest.mark.parametrize("radius", [1.0, 4.0, 9.5, 40.0, 180.0])
def test_no_pattern_survives(radius: float) -> None:
    for square in (1, 2, 3, 5, 8):
        if square * 4 > radius:
            continue
        board = checkerboard(400, 400, square)
        after = board.copy()
        obscure(after, 200.4, 199.7, radius)
        inside = np.zeros((400, 400), dtype=np.uint8)
        cv2.circle(inside, (200, 200), int(radius) - 1, 1, -1)
        assert after[inside > 0].var() < board[inside > 0].var() / 50, square
        assert (after[inside > 0].mean(), 127.5) == pytest.approx((127.5, 127.5), abs=12)


def test_what_remains_is_coarse() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    after = noise.copy()
    obscure(after, 100, 100, 60)

    def fine(image: npt.NDArray[np.uint8]) -> float:
        """Share of the power with more than nine periods across the head (six in 80 of its 120 pixels)."""
        part = image[60:140, 60:140, 0].astype(float)
        spectrum = np.abs(np.fft.fft2((part - part.mean()) * np.hanning(80) * np.hanning(80)[:, None])) ** 2
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(80, 1 / 80), np.fft.fftfreq(80, 1 / 80)))
        return float(spectrum[frequency > 6].sum() / spectrum.sum())

    assert fine(noise) > 0.9
    assert fine(after) < 0.1
    assert after[60:140, 60:140].var() < noise.var() / 100
