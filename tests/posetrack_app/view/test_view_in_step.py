"""The page shows the people of the picture that it shows, and says its number, whatever the file.

Browsers end a seek frames too early where durations in a file are not those on the screen: in files of variable rate
with B-frames, and in WebM. Pictures here carry their number as white squares, and their people stand where it says;
both are read off the screen. Skips where there is no Chromium.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import av
import cv2
import numpy as np
import pytest

from models.skeleton import COCO17
from posetrack_app.formats.parquet import write_sequence
from posetrack_app.formats.saving import save_file
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.types import Poses
from posetrack_app.view.page import make_page

if TYPE_CHECKING:
    from .conftest import Browser
else:
    Browser = Any

WIDTH, HEIGHT = 320, 180
FRAMES = 40
TIMES = np.cumsum([0, *np.random.default_rng(3).choice([0.02, 0.033, 0.04, 0.05, 0.1, 0.2, 0.008], FRAMES - 1)])


def film(path: Path, *, start: float = 0.0, codec: str = "libx264", sound: bool = False, **muxer: str) -> Path:
    """A film with B-frames, or what VP9 has of them; six squares at its bottom are the bits of each frame's number."""
    vp9 = codec == "libvpx-vp9"
    ticks = 1000 if vp9 else 90_000
    with av.open(str(path), "w", options=muxer) as container:
        stream = container.add_stream(codec, rate=25, options={} if vp9 else {"bf": "3", "x264-params": "b-adapt=0"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, ticks)
        stream.codec_context.gop_size = 12
        audio = container.add_stream("aac", rate=48000) if sound else None
        for number, time in enumerate(TIMES):
            image = np.full((HEIGHT, WIDTH, 3), 40, dtype=np.uint8)
            for bit in range(6):
                if number >> bit & 1:
                    image[150:170, 20 + 48 * bit : 40 + 48 * bit] = 230
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round((start + float(time)) * ticks), Fraction(1, ticks)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            for begin in range(0, 48000 * 3, 1024):
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                silence.sample_rate, silence.pts, silence.time_base = 48000, begin, Fraction(1, 48000)
                container.mux(audio.encode(silence))
            container.mux(audio.encode(None))
    return path


def cut(source: Path, path: Path, *, start: float) -> Path:
    """The rest of a film without coding it again: an edit list says to leave out what only others are made from."""
    with av.open(str(source)) as whole, av.open(str(path), "w") as part:
        stream = whole.streams.video[0]
        copy = part.add_stream_from_template(stream)
        shift = round(start / stream.time_base)
        whole.seek(shift, stream=stream)
        for packet in whole.demux(stream):
            if packet.dts is not None and packet.pts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copy
                part.mux(packet)
    return path


def place(number: int) -> tuple[float, float]:
    """Where the person of a frame stands."""
    return 25 + 30 * (number % 10), 20 + 30 * (number // 10)


def page(folder: Path, video: Path, *, first: int = 0, last: int | None = None) -> Path:
    """The page of a run of a film, or of a stretch of it."""
    with av.open(str(video)) as container:
        decoded = [(float(frame.time or 0), frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
    posed = []
    for index, (seconds, picture) in enumerate(decoded):
        number = sum(int(picture[160, 30 + 48 * bit] > 130) << bit for bit in range(6))
        xy = np.random.default_rng(0).uniform(-4, 4, (1, 17, 2)) + place(number)
        poses = Poses.untracked(xy=xy, joint_score=np.ones((1, 17)), score=[1]).with_tracks([3])
        posed.append(PosedFrame(index, seconds, poses))
    stretch = posed[first:last]
    sequence = PoseSequence("clip", COCO17, WIDTH, HEIGHT, stretch, is_stretch=len(stretch) < len(posed))
    write_sequence(folder / "poses.parquet", sequence)
    path = folder / "view.html"
    save_file(path, [make_page(folder, out=path, video=video).html])
    return path


class Seen(NamedTuple):
    """Numbers of a frame of the film, from 0."""

    picture: int
    """After its squares."""

    people: int
    """After where somebody stands."""


def seen(browser: Browser, tmp_path: Path) -> Seen:
    browser.picture(tmp_path / "seen.png")
    image = cv2.imread(str(tmp_path / "seen.png"))
    x, y, wide, high = browser.ask(
        "(({x, y, width, height}) => [x, y, width, height].map(Math.round))(canvas.getBoundingClientRect())"
    )
    image = cv2.resize(image[y : y + high, x : x + wide], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(int)
    picture = sum(int(image[160, 30 + 48 * bit].min() > 130) << bit for bit in range(6))
    row, column = np.argwhere(np.ptp(image[:145], axis=2) > 60).mean(axis=0)  # the film is grey
    return Seen(picture, int(10 * np.rint((row - 20) / 30) + np.rint((column - 25) / 30)))


def settle(browser: Browser) -> None:
    """Wait until the browser is where it was sent."""
    browser.wait("!view.player.video.seeking && view.player.wanted === null && !view.player.playing")
    browser.ask("new Promise((done) => setTimeout(done, 50))")  # nothing comes after it


def make(kind: str, folder: Path) -> Path:
    if kind == "webm":
        return film(folder / "film.webm", codec="libvpx-vp9")
    if kind == "cut":
        return cut(film(folder / "whole.mp4"), folder / "film.mp4", start=float(TIMES[15]))
    muxer = {"movflags": "frag_keyframe+empty_moov"} if kind == "fragments" else {}
    return film(folder / "film.mp4", start=2.5 if kind == "late" else 0, sound=kind == "sound", **muxer)


@pytest.mark.parametrize(
    ("kind", "stretch"),
    [("mp4", True), ("webm", False), ("fragments", False), ("late", False), ("cut", True), ("sound", False)],
)
def test_in_step(browser: Browser, tmp_path: Path, kind: str, stretch: bool) -> None:
    """Stepped, clicked, played and paused."""
    video = make(kind, tmp_path)
    begin = 5 if stretch else 0
    browser.open(page(tmp_path, video, first=begin, last=20 if stretch else None))
    browser.ask("document.getElementById('ids').click()")
    count = browser.ask("view.poses.T")
    first = begin + (FRAMES - 25 if kind == "cut" else 0)

    def check(frame: int) -> None:
        """A frame of the table is on the screen, by its number, its picture and its people."""
        settle(browser)
        assert browser.ask("document.getElementById('frame').textContent") == f"frame {frame + 1} of {count}"
        assert seen(browser, tmp_path) == Seen(first + frame, first + frame)

    for frame in range(7):
        check(frame)
        browser.key("ArrowRight")
    browser.key("End")
    for frame in range(count - 1, count - 4, -1):
        check(frame)
        browser.key("ArrowLeft")
    left, top = browser.ask(
        "((box) => [box.x, box.y])(document.querySelector('#timeline canvas').getBoundingClientRect())"
    )
    for frame in (9, 3, 14):
        seconds = f"view.poses.times[{frame}] + view.timeline.step / 2"
        browser.click(left + browser.ask(f"view.timeline.x({seconds})"), top + 5)
        check(frame)
    browser.key("Home")
    check(0)
    browser.ask("view.player.setRate(0.25)")
    for _ in range(2):
        browser.key(" ")
        browser.wait("view.player.playing && view.drawn > 1")
        playing = [seen(browser, tmp_path) for _ in range(2)]
        browser.key(" ")
        settle(browser)
        check(browser.ask("view.player.frame"))
        for picture, people in playing:
            assert picture == people
    browser.ask("view.player.setRate(1)")
    browser.key(" ")
    browser.wait(f"view.player.frame === {count - 1} && !view.player.playing")
    check(count - 1)
    assert browser.complaints == []
