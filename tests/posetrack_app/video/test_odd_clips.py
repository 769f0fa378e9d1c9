"""A hundred clips with something odd about each, and what a right reader gives: `index.json` beside them says.

The pattern in them: red top left, green top right, blue bottom left, white bottom right, a quarter of the width
and height each, before any orientation is applied.
"""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posetrack_app.errors import InputError
from posetrack_app.types import Frame
from posetrack_app.video import Source, VideoInfo, VideoReader, expand_inputs

ROOT = Path(__file__).resolve().parents[3]
_DATA = Path(os.environ.get("POSETRACK_TEST_DATA", ROOT.parent / "shared"))


def _index() -> dict[str, dict[str, Any]]:
    """Entries by file name; one that skips where the data is absent."""
    for folder in (_DATA / "data", _DATA):
        path = folder / "videos" / "odd" / "index.json"
        if path.is_file():
            return {entry["file"]: entry for entry in json.loads(path.read_text(encoding="utf-8"))["files"]}
    return {}


INDEX = _index()

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}

# Where the reader's policy says other than the index measured: times of the first and the last frame.
TIMES: dict[str, tuple[float, float]] = {
    "raw_annexb.h264": (0.0, 29 / 30),
    "raw_annexb.hevc": (0.0, 19 / 30),
    "resolution_change.h264": (0.0, 39 / 30),
    "duplicate_pts.mkv": (0.0, 0.595),  # the last frame has the time of the one before
    "mpeg4_asp_bframes_qpel.avi": (1 / 30, 1.0),  # as FFmpeg 8 guesses
    "ts_discontinuity_forward.ts": (10.0, 10 + 59 / 30),
    "ts_discontinuity_backward.ts": (500.0, 500 + 59 / 30),
    "two_video_streams_second_default.mkv": (0.0, 0.967),
    "animated.webp": (0.0, 0.366),
}
# Where the index leaves a choice: frames that this reader gives.
FRAMES = {"two_video_streams_second_default.mkv": 30, "animated.webp": 12}
SIZES = {
    "two_video_streams_second_default.mkv": (320, 240), "animated.webp": (320, 240),
    "png_gap/": (160, 120), "png_nonpadded/": (160, 120), "png_mixed_sizes/": (160, 120),
}  # fmt: skip
# What must be told, and where nothing may be.
WARNINGS = {
    "corrupt_middle.mp4": "frames are damaged",
    "corrupt_middle.ts": "28 frames came, 30 were expected",
    "duplicate_pts.mkv": "10 of 20 frames are not later",
    "raw_annexb.h264": "30 a second",
    "raw_annexb.hevc": "30 a second",
    "resolution_change.h264": "changes size from 320x240 to 160x90 at frame 20",
    "resolution_change.ts": "changes size from 320x240 to 160x90 at frame 20",
    "truncated.mkv": "ends early: 33 frames came, 60 were expected",
    "truncated_with_moov.mp4": "ends early: 32 frames came, 60 were expected",
    "ts_discontinuity_backward.ts": "clock",
    "ts_discontinuity_forward.ts": "clock",
    "png_gap/": "2 between img_0004.png and img_0007.png",
    "png_mixed_sizes/": "2 different sizes",
}
NO_FILM = [name for name, entry in INDEX.items() if entry["expect"].startswith("clear error (")]
FILMS = [name for name in INDEX if name not in NO_FILM]


@pytest.fixture(scope="module")
def odd(shared: Path) -> Path:
    """Folder of the odd clips."""
    for folder in (shared / "data" / "videos" / "odd", shared / "videos" / "odd"):
        if folder.is_dir():
            return folder
    pytest.skip(f"no odd clips in {shared}")


def read(odd: Path, name: str) -> tuple[Source, VideoInfo, list[Frame], list[str]]:
    (source,) = expand_inputs([str(odd / name)])
    with VideoReader(source) as reader:
        frames = list(reader)
    assert reader.frames_decoded == len(frames)
    return source, reader.info, frames, reader.warnings


def test_the_index_is_there(odd: Path) -> None:
    assert len(INDEX) == 115
    assert len(NO_FILM) == 7


@pytest.mark.parametrize("name", FILMS)
def test_every_frame_in_its_place(name: str, odd: Path, capfd: pytest.CaptureFixture[str]) -> None:
    entry = INDEX[name]
    source, info, frames, warnings = read(odd, name)

    assert len(frames) == FRAMES.get(name, entry.get("frames"))
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert source.name

    size = SIZES.get(name) or tuple(entry["display_size"])
    assert frames[0].image.shape == (size[1], size[0], 3)
    assert (info.width, info.height) == size

    assert all(a.pts < b.pts for a, b in pairwise(frames))
    if "first_pts" in entry or name in TIMES:
        first, last = TIMES.get(name) or (entry["first_pts"], entry["last_pts"])
        assert frames[0].pts == pytest.approx(first, abs=1e-3)
        assert frames[-1].pts == pytest.approx(last, abs=1e-3)

    if name in WARNINGS:
        assert any(WARNINGS[name] in line for line in warnings)
    else:
        assert warnings == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", FILMS)
def test_colours_are_in_their_corners(name: str, odd: Path) -> None:
    entry = INDEX[name]
    if (name.endswith(".webp") and "corners_displayed" not in entry) or name.endswith("/"):
        corners = {"tl": "red", "tr": "green", "bl": "blue", "br": "white"}
    else:
        corners = entry["corners_displayed"]
    _, _, frames, _ = read(odd, name)
    # Chroma of the 16-pixel clips bleeds; nowhere else is there room for a wrong matrix or range.
    tolerance = 26 if "16" in name.partition(".")[0].split("_")[-1].split("x") else 5
    for frame in (frames[0], frames[-1]):
        height, width = frame.image.shape[:2]
        for corner, colour in corners.items():
            y = height // 8 if corner[0] == "t" else height - 1 - height // 8
            x = width // 8 if corner[1] == "l" else width - 1 - width // 8
            around = frame.image[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].reshape(-1, 3)
            expected = COLOURS.get(colour) or (int(colour.split()[-1]),) * 3
            np.testing.assert_allclose(np.median(around, axis=0), expected, atol=tolerance, err_msg=f"{name} {corner}")


@pytest.mark.parametrize("name", NO_FILM)
def test_what_is_no_film_is_said_in_a_line(name: str, odd: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError) as caught:
        read(odd, name)
    message = str(caught.value)
    assert Path(name).name in message
    assert "\n" not in message
    assert capfd.readouterr().err == ""


def test_numbers_of_pictures_are_in_order(odd: Path) -> None:
    _, _, frames, _ = read(odd, "png_nonpadded/")
    assert [frame.name for frame in frames] == ["8.png", "9.png", "10.png", "11.png", "12.png"]


def test_a_wrapping_clock_has_even_steps(odd: Path) -> None:
    _, _, frames, _ = read(odd, "ts_pts_wrap.ts")
    np.testing.assert_allclose(np.diff([frame.pts for frame in frames]), 1 / 30, atol=1e-5)


@pytest.mark.parametrize(("name", "stream"), [("cover_art_first.mp4", 1), ("cover_art_second.mp4", 0)])
def test_the_cover_is_not_the_film(name: str, stream: int, odd: Path) -> None:
    _, info, _, _ = read(odd, name)
    assert info.stream == stream


def test_a_folder_of_odd_names(odd: Path) -> None:
    sources = expand_inputs([str(odd / "names dir")])
    assert len(sources) == 8  # all but the one without an extension
    for source in sources:
        with VideoReader(source) as reader:
            assert reader.info.width == 320
