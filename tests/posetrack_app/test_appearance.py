"""What people look like: the same clothes are alike, other clothes are not, and what is not seen tells nothing."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.skeleton import COCO17, POSETRACK15, Skeleton
from posetrack_app.appearance import SIZE, looks

RED, NAVY, WHITE, OLIVE = (180, 30, 40), (25, 30, 90), (230, 230, 225), (110, 110, 40)
BODY = np.array(
    [(0, 0), (2, -2), (-2, -2), (5, 0), (-5, 0), (14, 14), (-14, 14), (24, 34), (-24, 34), (26, 54), (-26, 54),
     (9, 56), (-9, 56), (10, 84), (-10, 84), (10, 112), (-10, 112)], dtype=np.float32,
)  # fmt: skip
"""A standing person about their nose."""

Image = npt.NDArray[np.uint8]


def dressed(*people: tuple[float, float, float, tuple[int, int, int], tuple[int, int, int]]) -> tuple[Image, Image]:
    """A picture of people (x, y, scale, shirt, trousers), and their poses (N, 17, 2)."""
    rng = np.random.default_rng(1)
    image = rng.integers(90, 150, (400, 600, 3), dtype=np.uint8)
    poses = []
    for x, y, scale, shirt, trousers in people:
        xy = BODY * scale + np.float32([x, y])
        thick = round(10 * scale)
        for colour, chains in (
            (shirt, [(5, 6, 12, 11, 5), (5, 7, 9), (6, 8, 10)]),
            (trousers, [(11, 13, 15), (12, 14, 16)]),
        ):
            for chain in chains:
                points = np.rint(xy[list(chain)]).astype(np.int32)
                if len(chain) == 5:
                    cv2.fillPoly(image, [points], colour)
                cv2.polylines(image, [points], False, colour, thick)
        poses.append(xy)
    return image, np.array(poses, dtype=np.float32).reshape(-1, 17, 2)


def likeness(a: Image, b: Image) -> float:
    """Cosine of the angle between two looks."""
    x, y = a.astype(float), b.astype(float)
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


def seen(*people: tuple[float, float, float, tuple[int, int, int], tuple[int, int, int]]) -> Image:
    image, xy = dressed(*people)
    return looks(image, xy, np.ones(xy.shape[:2]), skeleton=COCO17)


def test_the_same_clothes_are_alike_and_others_are_not() -> None:
    here, there, other_shirt, other_trousers, nothing_same = seen(
        (60, 30, 1.0, RED, NAVY),
        (200, 100, 2.2, RED, NAVY),
        (330, 30, 1.0, OLIVE, NAVY),
        (420, 200, 1.0, RED, WHITE),
        (520, 60, 1.0, WHITE, OLIVE),
    )
    assert likeness(here, there) > 0.98
    assert 0.3 < likeness(here, other_shirt) < 0.75
    assert 0.3 < likeness(here, other_trousers) < 0.75
    assert likeness(here, nothing_same) < 0.3


def test_somewhat_more_light_is_still_the_same_person() -> None:
    image, xy = dressed((100, 60, 2.0, RED, NAVY), (350, 60, 2.0, OLIVE, WHITE))
    brighter = cv2.convertScaleAbs(image, alpha=1.15)
    (a, other), (b, _) = (looks(picture, xy, np.ones((2, 17)), skeleton=COCO17) for picture in (image, brighter))
    assert likeness(a, b) > 0.9 > likeness(b, other)


@pytest.mark.parametrize("skeleton", [COCO17, POSETRACK15])
def test_nobody(skeleton: Skeleton) -> None:
    K = len(skeleton.joints)
    found = looks(np.zeros((5, 5, 3), dtype=np.uint8), np.zeros((0, K, 2)), np.zeros((0, K)), skeleton=skeleton)
    assert found.shape == (0, SIZE)
    assert found.dtype == np.uint8


def test_halves_that_are_not_seen_tell_nothing() -> None:
    image, xy = dressed((100, 60, 2.0, RED, NAVY))
    score = np.ones((1, 17))
    whole = looks(image, xy, score, skeleton=COCO17)[0].reshape(2, -1)
    score[0, 13:] = 0  # no knees
    upper = looks(image, xy, score, skeleton=COCO17)[0].reshape(2, -1)
    np.testing.assert_array_equal(upper[0], whole[0])
    assert not upper[1].any()
    score[0, 11:] = 0  # arms alone are too little of the upper half
    assert not looks(image, xy, score, skeleton=COCO17).any()
    cut = looks(image[:170], xy, np.ones((1, 17)), skeleton=COCO17)[0].reshape(2, -1)  # legs are below the picture
    assert likeness(cut[0], whole[0]) > 0.98
    assert not cut[1].any()
    for nowhere in (xy + 5000, xy - 5000):
        assert not looks(image, nowhere, np.ones((1, 17)), skeleton=COCO17).any()
    assert not looks(image, xy, np.zeros((1, 17)), skeleton=COCO17).any()


def test_a_flat_colour_is_divided_among_the_cells_around_it() -> None:
    """Against weights written out: the nearer a cell in L*, a* and b*, the more it has."""
    colour = np.array([148, 132, 116], dtype=np.uint8)  # in the middle of the steps of eight
    image = np.full((300, 300, 3), colour, dtype=np.uint8)
    found = looks(image, BODY[None] + 100, np.ones((1, 17)), skeleton=COCO17)[0]
    lightness, a, b = cv2.cvtColor(image[:1, :1].astype(np.float32) / 256, cv2.COLOR_RGB2LAB)[0, 0].tolist()
    assert 0 < a < 12
    assert 0 < b < 12
    cells = {}
    for i in range(6):
        for j in range(3):
            for k in range(3):
                away = (abs(lightness / 20 - i), abs(a / 12 + 1 - j), abs(b / 12 + 1 - k))
                cells[9 * i + 3 * j + k] = np.prod([max(1 - distance, 0) for distance in away])
    expected = [255 * np.sqrt(cells[number]) for number in range(54)]
    np.testing.assert_allclose(found.reshape(2, 54), [expected, expected], atol=1.01)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    persons=st.integers(0, 5),
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    spread=st.floats(0, 1e5),
)
def test_each_half_is_whole_or_nothing_and_people_do_not_count_for_each_other(
    seed: int, persons: int, width: int, height: int, spread: float
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    xy = rng.normal(min(width, height) / 2, spread, (persons, 15, 2)).astype(np.float32)
    score = rng.uniform(0, 1, (persons, 15)) * (rng.random((persons, 15)) < 0.8)
    found = looks(image, xy, score, skeleton=POSETRACK15)
    length = np.linalg.norm(found.reshape(-1, 54) / 255, axis=1)
    assert ((length == 0) | (abs(length - 1) < 0.02)).all()
    alone = [looks(image, xy[i : i + 1], score[i : i + 1], skeleton=POSETRACK15)[0] for i in range(persons)]
    np.testing.assert_array_equal(found, np.array(alone, dtype=np.uint8).reshape(-1, SIZE))


def test_a_mirrored_person_looks_the_same() -> None:
    image, xy = dressed((100, 60, 2.0, RED, NAVY))
    mirrored = np.ascontiguousarray(image[:, ::-1])
    back = (xy * [-1, 1] + [image.shape[1] - 1, 0])[:, COCO17.mirror]
    score = np.ones((1, 17))
    a, b = looks(image, xy, score, skeleton=COCO17)[0], looks(mirrored, back, score, skeleton=COCO17)[0]
    assert likeness(a, b) > 0.99
