"""Cuts are found where they are drawn, and nowhere else: not where a camera moves, and not where the light changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from posetrack_app.errors import InputError
from posetrack_app.types import Frame
from posetrack_app.video import VideoReader, expand_inputs
from posetrack_app.video.cuts import marked

Image = npt.NDArray[np.uint8]
H, W = 180, 320


def place(seed: int) -> Image:
    """A picture of smooth patches in a few colours of its own, three times as wide as a frame."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 236, (4, 3), dtype=np.uint8)[rng.integers(0, 4, (6, 18))]
    return np.asarray(cv2.resize(coarse, (3 * W, H), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def cuts(images: Sequence[Image]) -> list[int]:
    frames = list(marked(Frame(index=i, pts=i / 25, image=image) for i, image in enumerate(images)))
    assert all(frame.image is image for frame, image in zip(frames, images, strict=True))
    return [frame.index for frame in frames if frame.cut]


def noisy(image: Image, seed: int) -> Image:
    noise = np.random.default_rng(seed).normal(0, 6, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(10))
def test_a_cut_is_where_the_place_changes(seed: int) -> None:
    one, other = place(2 * seed)[:, :W], place(2 * seed + 1)[:, :W]
    assert cuts([noisy(one, i) for i in range(10)] + [noisy(other, i) for i in range(10)]) == [10]
    assert cuts([one] * 5 + [other] * 5 + [one] * 5) == [5, 10]
    assert cuts([one, other]) == [1]
    black = np.zeros_like(one)
    assert cuts([black] * 5 + [one] * 5 + [black] * 50 + [other] * 5 + [black] * 5) == [60]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_shots_may_be_short(length: int) -> None:
    """Down to pictures that have nothing to do with each other."""
    images = [place(3 * number)[:, :W] for number in range(12) for _ in range(length)]
    assert cuts(images) == [length * number for number in range(1, 12)]


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_over_at_once_cuts_nothing(seed: int, length: int) -> None:
    """Flashes that leave nothing to be seen, lost frames, frames of rubbish."""
    one, rubbish = place(seed)[:, :W], place(seed + 50)[:, :W]
    for value in (0, 128, 255):
        assert cuts([one] * 9 + [np.full_like(one, value)] * length + [one] * 9) == []
    assert cuts([one] * 9 + [rubbish] * length + [one] * 9) == []
    assert cuts([one] * 9 + [rubbish] * 4 + [one] * 9) == [9, 13]


@pytest.mark.parametrize("length", [4, 10, 30])
@pytest.mark.parametrize("between", [0, 255])
@pytest.mark.parametrize("seed", range(5))
def test_a_fade_to_another_place_is_a_cut_and_to_the_same_is_none(seed: int, between: int, length: int) -> None:
    one, other = place(2 * seed)[:, :W], place(2 * seed + 1)[:, :W]
    share = np.arange(1, length + 1) / length

    def faded(image: Image, shares: npt.NDArray[np.float64]) -> list[Image]:
        return [noisy(image * a + between * (1 - a), i) for i, a in enumerate(shares)]

    away = [noisy(one, i) for i in range(9)] + faded(one, 1 - share)
    (found,) = cuts([*away, *faded(other, share), *[noisy(other, i) for i in range(9)]])
    assert 9 + length <= found <= 9 + 2 * length, "where the other begins to be seen"
    assert cuts([*away, *faded(one, share), *[noisy(one, i) for i in range(9)]]) == []


def test_frames_wait_at_a_cut_only_and_are_not_lost_where_the_film_breaks() -> None:
    taken = 0

    def film() -> Iterator[Frame]:
        nonlocal taken
        for index, image in enumerate([place(1)[:, :W]] * 5 + [place(2)[:, :W]] * 3):
            taken += 1
            yield Frame(index=index, pts=index / 25, image=image)
        raise InputError("the film breaks")

    frames = marked(film())
    for index in range(5):
        assert next(frames).index == index
        assert taken == index + 1
    rest = [next(frames) for _ in range(3)]
    assert [(frame.index, frame.cut) for frame in rest] == [(5, True), (6, False), (7, False)]
    with pytest.raises(InputError, match="breaks"):
        next(frames)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("step", [2, 10, 40, 80])
def test_a_camera_that_moves_cuts_nothing(seed: int, step: int) -> None:
    """Also one that is swept by a quarter of the picture a frame, where it does not begin to at once."""
    wide, at, speed, images = place(seed), 0.0, 0.0, []
    while at < 2 * W:
        images.append(wide[:, int(at) : int(at) + W])
        speed = min(speed + step / 4, step)
        at += speed
    assert cuts(images) == []


@pytest.mark.parametrize("seed", range(5))
def test_light_cuts_nothing(seed: int) -> None:
    """A flash, a lamp that is switched off, a dissolve."""
    one, other = place(seed)[:, :W].astype(float), place(seed + 50)[:, :W].astype(float)
    flash, dim = np.clip(one * 0.6 + 100, 0, 255), one * 0.4
    dissolve = [one * (1 - part) + other * part for part in np.linspace(0, 1, 25)]
    images = [one, one, flash, one, one, dim, dim, one, *dissolve]
    assert cuts([image.astype(np.uint8) for image in images]) == []


@pytest.mark.parametrize("size", [(1, 1), (2, 700), (2160, 3840)])
def test_any_size(size: tuple[int, int]) -> None:
    images = [np.full((*size, 3), value, dtype=np.uint8) for value in (10, 10, 200, 200)]
    assert cuts(images) == []
    assert cuts([]) == []


def test_real_clips(shared: Path) -> None:
    """A clip of twelve pieces, and others, one of which ends black, in which cameras are swept round."""
    known = {
        "bench_720p.mp4": [120, 270, 420, 570, 705, 885, 1035, 1185, 1365, 1515, 1665],
    }
    names = ["breakdance_inverted", "dense_crowd_portrait_cut", "sprint_start_camera_drop", "rooftop_and_lawn_sunset"]
    for path in [shared / "data/videos/bench_720p.mp4", *(shared / f"data/videos/real/{name}.mp4" for name in names)]:
        (source,) = expand_inputs([str(path)])
        with VideoReader(source) as reader:
            found = [frame.index for frame in marked(reader) if frame.cut]
        assert found == known.get(path.name, []), path.name
