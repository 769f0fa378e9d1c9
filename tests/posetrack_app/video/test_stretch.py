"""A stretch is the frames that the whole gives for that time, with the same numbers, times and pictures."""

from __future__ import annotations

import math
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from posetrack_app.config import InputSettings, LiveSettings
from posetrack_app.errors import InputError, UsageError
from posetrack_app.types import Frame
from posetrack_app.video import Source, VideoReader, VideoWriter, expand_inputs, open_reader
from posetrack_app.video.film import Film
from posetrack_app.video.stretch import WHOLE, Stretch

TIMES = [*np.arange(30) / 25, *(2 + np.arange(20) / 10)]
"""Of a film whose rate changes, and which stands still in between."""


def pictures(count: int) -> list[np.ndarray]:
    return [np.full((48, 64, 3), 20 + 4 * index, dtype=np.uint8) for index in range(count)]


def film(path: Path) -> Path:
    with VideoWriter(path, width=64, height=48, rate=Fraction(25)) as writer:
        for image, seconds in zip(pictures(len(TIMES)), TIMES, strict=True):
            writer.write(image, seconds + 1.5)  # players count from the first frame, whatever the clock says
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    for index, image in enumerate(pictures(40)):
        Image.fromarray(image).save(path / f"{index:03}.png")
    return path


def animation(path: Path) -> Path:
    first, *rest = (Image.fromarray(image) for image in pictures(30))
    first.save(path, save_all=True, append_images=rest, duration=80, lossless=True)
    return path


def source_of(path: Path) -> Source:
    (source,) = expand_inputs([str(path)])
    return source


def read(path: Path, stretch: Stretch) -> list[Frame]:
    with VideoReader(source_of(path), stretch=stretch) as reader:
        frames = list(reader)
    assert reader.frames_decoded == len(frames)
    assert reader.warnings == []
    return frames


@pytest.mark.parametrize("kind", ["film.mp4", "pictures", "animation.webp"])
def test_the_same_frames_as_of_the_whole(kind: str, tmp_path: Path) -> None:
    make = {"film.mp4": film, "pictures": folder, "animation.webp": animation}[kind]
    path = make(tmp_path / kind)
    whole = read(path, WHOLE)
    for start, end in [(0.0, 0.4), (0.4, 0.8), (0.41, math.inf), (0.0, 60.0), (1.0, 1.2)]:
        inside = [frame for frame in whole if start - 5e-4 <= frame.pts - whole[0].pts < end - 5e-4]
        found = read(path, Stretch(start, end))
        assert [(frame.index, frame.pts, frame.name) for frame in found] == [
            (frame.index, frame.pts, frame.name) for frame in inside
        ]
        for one, other in zip(found, inside, strict=True):
            np.testing.assert_array_equal(one.image, other.image)


def test_the_length_is_that_of_the_stretch(tmp_path: Path) -> None:
    path = folder(tmp_path / "pictures")
    for stretch, seconds, frames in [
        (Stretch(0.4, 1.2), 0.8, 20), (Stretch(1.2), 0.4, 10), (Stretch(end=9), 1.6, 40), (Stretch(7, 8), 0.0, 0),
    ]:  # fmt: skip
        with VideoReader(source_of(path), stretch=stretch) as reader:
            assert reader.info.duration_seconds == pytest.approx(seconds)
            assert reader.info.frames_expected == frames


@pytest.mark.parametrize(
    ("stretch", "words"), [(Stretch(9), "from 9 s: it lasts 3.9 s"), (Stretch(1.3, 1.9), "from 1.3 s to 1.9 s")]
)
def test_where_there_is_nothing_it_says_so(stretch: Stretch, words: str, tmp_path: Path) -> None:
    """After the end, and where the film stands still."""
    with pytest.raises(InputError, match=f"film.mp4 has no frame {words}"):
        read(film(tmp_path / "film.mp4"), stretch)


def test_what_is_behind_the_end_is_neither_read_nor_missed(tmp_path: Path) -> None:
    """A film that breaks off later is whole up to there, and no time is spent on the rest."""
    path = film(tmp_path / "film.mp4")
    path.write_bytes(path.read_bytes()[:-60])
    with VideoReader(source_of(path)) as reader:
        list(reader)
    assert reader.warnings
    assert len(read(path, Stretch(end=0.4))) == 10


def test_who_leaves_does_not_wait_for_what_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "film.mp4")
    timed = Film._timed
    decoded = 0

    def slow(self: Film, frame: VideoFrame) -> object:
        nonlocal decoded
        decoded += 1
        time.sleep(0.05)
        return timed(self, frame)

    monkeypatch.setattr(Film, "_timed", slow)
    with VideoReader(source_of(path), stretch=Stretch(3.8)) as reader:
        iter(reader)
        time.sleep(0.2)
    assert decoded < len(TIMES) / 2


def test_an_end_that_the_header_promises_is_believed(tmp_path: Path) -> None:
    source = source_of(film(tmp_path / "film.mp4"))
    with pytest.raises(InputError, match=r"film.mp4 has no frame from 90 s: it lasts 3.9 s"):
        VideoReader(source, stretch=Stretch(90))


def test_live_inputs_have_none(tmp_path: Path) -> None:
    live = LiveSettings(mode="always")
    source = source_of(film(tmp_path / "film.mp4"))
    with pytest.raises(UsageError, match="film.mp4 is live: --from and --to are for files"):
        open_reader(source, input_=InputSettings(start=1.0), live=live)
    with open_reader(source, input_=InputSettings(), live=live):
        pass


class Item(NamedTuple):
    """What has a time."""

    pts: float


@given(
    first=st.floats(-10, 1e5),
    steps=st.lists(st.floats(0.01, 10), max_size=20),
    cuts=st.lists(st.floats(0.01, 100), min_size=1, max_size=5, unique=True),
)
def test_stretches_that_meet_give_each_frame_once(first: float, steps: list[float], cuts: list[float]) -> None:
    items = [Item(first + seconds) for seconds in np.cumsum([0.0, *steps]).tolist()]
    limits = [0.0, *sorted(cuts), math.inf]
    parts = [list(Stretch(a, b).cut(items)) for a, b in pairwise(limits)]
    assert [item for part in parts for item in part] == items
