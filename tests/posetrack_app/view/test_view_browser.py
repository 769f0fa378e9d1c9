"""The page in a browser, from disk: picture and poses in step, doubts to jump to, edits that do what they say.

Skips where there is no Chromium.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from models.skeleton import COCO17
from posetrack_app.edits import parse_edits, replay
from posetrack_app.formats.parquet import write_sequence
from posetrack_app.formats.saving import save_file
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.render.colours import track_colour
from posetrack_app.retrack import table_of
from posetrack_app.types import Poses
from posetrack_app.video import VideoWriter
from posetrack_app.view.page import make_page

if TYPE_CHECKING:
    from .conftest import Browser
else:
    Browser = Any

WIDTH, HEIGHT = 321, 200  # odd: the writer adds a column
STEP = 12  # pixels that everything moves a frame


def someone(x: float, y: float) -> npt.NDArray[np.float32]:
    """(K, 2): a body of 30 by 60 pixels with its middle at a place."""
    random = np.random.default_rng(7)
    return (random.uniform(-1, 1, (17, 2)) * [15, 30] + [x, y]).astype(np.float32)


def people(places: dict[int, npt.NDArray[np.float32]], origin: dict[int, int] | None = None) -> Poses:
    ids = list(places)
    return Poses(
        xy=np.array([places[track] for track in ids], dtype=np.float32).reshape(-1, 17, 2),
        joint_score=np.ones((len(ids), 17), dtype=np.float32),
        score=np.ones(len(ids), dtype=np.float32),
        track_id=np.array(ids, dtype=np.int64),
        origin=np.array([(origin or {}).get(track, 0) for track in ids], dtype=np.uint8),
    )


def write_run(folder: Path, poses: list[Poses], times: list[float], *, film: bool = False) -> PoseSequence:
    """A run's folder with its page; its film shows a white square where 3 stands."""
    folder.mkdir(parents=True, exist_ok=True)
    posed = [PosedFrame(t, time, one) for t, (time, one) in enumerate(zip(times, poses, strict=True))]
    sequence = PoseSequence("clip", COCO17, WIDTH, HEIGHT, posed)
    write_sequence(folder / "poses.parquet", sequence)
    if film:
        with VideoWriter(folder / "film.mp4", width=WIDTH, height=HEIGHT, rate=Fraction(25), quality=10) as writer:
            for t, time in enumerate(times):
                image = np.full((HEIGHT, WIDTH, 3), 40, dtype=np.uint8)
                image[170:190, square(t) : square(t) + 10] = 255
                writer.write(image, time)
    return sequence


def write_page(folder: Path, *, film: bool = False) -> Path:
    path = folder / "view.html"
    save_file(path, [make_page(folder, out=path, video=folder / "film.mp4" if film else None).html])
    return path


def square(frame: int) -> int:
    """Left edge of the square."""
    return 20 + STEP * frame


def seen(browser: Browser, tmp_path: Path) -> tuple[float, float]:
    """Which frame the picture shows, by its square, and which the poses are of, by the vertical axis of person 3."""
    browser.picture(tmp_path / "seen.png")
    image = cv2.imread(str(tmp_path / "seen.png"))
    box = browser.ask("(({x, y, width, height}) => [x, y, width, height])(canvas.getBoundingClientRect())")
    x, y, width, height = (round(value) for value in box)
    image = cv2.resize(image[y : y + height, x : x + width], (WIDTH * 2, HEIGHT * 2), interpolation=cv2.INTER_AREA)
    bright = np.flatnonzero((image[340:380].min(axis=2) > 200).mean(axis=0) > 0.8)
    colour = np.array(track_colour(3)[::-1])
    body = np.argwhere(np.abs(image[40:320].astype(int) - colour).max(axis=2) < 20)
    joints = someone(0, 0)[:, 0]
    middle = (body[:, 1].min() + body[:, 1].max()) / 4 - (joints.min() + joints.max()) / 2
    return (bright.mean() / 2 - 4.75 - 20) / STEP, (middle - 20) / STEP


@pytest.mark.parametrize("first", [-0.7, 0.0, 2.5])
def test_picture_and_poses_are_in_step(browser: Browser, tmp_path: Path, first: float) -> None:
    """Of a film of variable rate whose times start before, at and after zero; sought, stepped and playing."""
    steps = [0.04, 0.2, 0.04, 0.05, 0.3, 0.1, 0.04, 0.04, 0.04, 0.4, 0.02, 0.08, 0.04, 0.25, 0.04, 0.5, 0.04, 0.2, 0.2]
    times = (first + np.cumsum([0, *steps])).tolist()
    write_run(tmp_path, [people({3: someone(20 + STEP * t, 90)}) for t in range(len(times))], times, film=True)
    browser.open(write_page(tmp_path, film=True))
    browser.ask("document.getElementById('ids').click()")
    settled = "!view.player.video.seeking && view.player.wanted === null && view.drawn === {}"
    for frame in (7, 0, 1, 18, 19, 9, 10, 4):
        browser.ask(f"view.player.seek({frame})")
        browser.wait(settled.format(frame))
        assert seen(browser, tmp_path) == pytest.approx((frame, frame), abs=0.2)
        shown = browser.ask("document.getElementById('frame').textContent")
        assert shown == f"frame {frame + 1} of {len(times)}"
    browser.key("ArrowRight")
    browser.wait(settled.format(5))
    for _ in range(3):  # faster than the browser can seek
        browser.key("ArrowRight")
    browser.wait(settled.format(8))
    browser.key("ArrowLeft")
    browser.wait(settled.format(7))
    assert seen(browser, tmp_path) == pytest.approx((7, 7), abs=0.2)
    browser.key("Home")
    browser.wait(settled.format(0))
    browser.ask("view.player.setRate(0.5)")
    browser.key(" ")
    browser.wait("view.player.playing && view.drawn > 0")
    pairs = [seen(browser, tmp_path) for _ in range(4)]
    browser.wait(f"view.drawn > {pairs[-1][1] + 0.5}")
    pairs.append(seen(browser, tmp_path))
    browser.key(" ")
    browser.wait("!view.player.playing")
    for picture, pose in pairs:
        assert picture == pytest.approx(pose, abs=0.2)
    assert pairs[-1] > pairs[0]
    assert browser.complaints == []


def walkers() -> tuple[list[Poses], list[float]]:
    """3 and 5 cross at frame 10; 7 ends where 8 goes on; 9 is there for a while, predicted in the middle."""
    poses = []
    for t in range(20):
        places = {3: someone(40 + STEP * t, 60), 5: someone(40 + STEP * (19 - t), 70)}
        if t != 9:
            places[7 if t < 9 else 8] = someone(60, 150)
        if 4 <= t < 12:
            places[9] = someone(200, 150)
        poses.append(people(places, {9: 1 if 6 <= t < 9 else 0}))
    return poses, (np.arange(20) / 25).tolist()


DOUBTS = [
    {"seconds": 0.4, "frame": 10, "kind": "swap", "tracks": [3, 5], "why": "they <i>cross</i>", "confidence": 0.9},
    {"seconds": 0.4, "frame": 10, "kind": "break", "tracks": [7, 8], "why": "8 goes on", "confidence": 0.7},
    {"seconds": 0.16, "frame": 4, "kind": "jump", "tracks": [9], "why": "9 leaps", "confidence": 0.3},
]


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> tuple[Browser, PoseSequence]:
    """The walkers, without a video."""
    sequence = write_run(tmp_path, *walkers())
    (tmp_path / "doubts.json").write_text(json.dumps({"doubts": DOUBTS}))
    browser.open(write_page(tmp_path))
    return browser, sequence


def said(browser: Browser) -> str:
    return str(browser.ask("document.getElementById('said').textContent"))


def test_doubts(page: tuple[Browser, PoseSequence]) -> None:
    browser, _ = page
    state = "[view.player.frame, view.selected, view.doubt.kind]"
    browser.key("n")
    assert browser.ask(state) == [4, [9], "jump"]
    browser.key("n")
    assert browser.ask(state) == [10, [3, 5], "swap"]
    assert said(browser) == "swap, 90 % sure: they <i>cross</i>"
    browser.key("n")
    assert browser.ask(state) == [10, [7, 8], "break"]
    browser.key("n")
    assert browser.ask(state) == [10, [7, 8], "break"]
    browser.key("p")
    browser.key("p")
    assert browser.ask(state) == [4, [9], "jump"]
    browser.ask("view.player.seek(7)")
    browser.key("p")
    assert browser.ask(state) == [4, [9], "jump"]
    browser.ask("document.querySelectorAll('#doubts button')[2].click()")
    assert browser.ask(state) == [10, [7, 8], "break"]
    browser.ask("(sure.value = '0.8', sure.dispatchEvent(new Event('change')))")
    assert browser.ask("document.querySelectorAll('#doubts button').length") == 1
    assert browser.complaints == []


People = dict[tuple[int, int], float]
"""Place of the first joint by frame and identity, of everybody who has one."""


def ids_of(browser: Browser) -> People:
    """On the page."""
    rows = browser.ask(
        "[...view.edits.ids].map((id, row) => [view.poses.frame[row], id, view.poses.place(row, 0)[0]])"
        ".filter(([, id]) => id >= 0)"
    )
    people = {(frame, track): x for frame, track, x in rows}
    assert len(people) == len(rows)
    return people


def replayed(sequence: PoseSequence, text: str) -> Any:
    """The same after the program replayed a file, to within a step of the page's places."""
    table, _ = replay(table_of(sequence), parse_edits(text))
    keep = table.track_id >= 0
    rows = zip(table.frame[keep].tolist(), table.track_id[keep].tolist(), table.xy[keep, 0, 0].tolist(), strict=True)
    return pytest.approx({(frame, track): x for frame, track, x in rows}, abs=0.05)


def file_of(browser: Browser) -> str:
    return str(browser.ask("view.edits.file(view.content.command)"))


def test_edits_by_keys(page: tuple[Browser, PoseSequence]) -> None:
    browser, sequence = page
    browser.key("s")
    assert "choose two people" in said(browser)
    browser.key("n")
    browser.key("n")
    browser.key("s")
    browser.key("n")
    browser.key("m")
    browser.ask("view.player.seek(6)")
    browser.ask("(view.pick(null), view.pick(9))")
    browser.key("x")
    browser.ask("(view.pick(null), view.pick(10))")
    browser.key("d")
    text = file_of(browser)
    assert text.splitlines()[1:] == [
        "swap 3 5 from 00:00.4", "merge 8 into 7", "split 9 at 00:00.24 as 10", "delete 10"
    ]  # fmt: skip
    assert "retrack" in text.splitlines()[0]
    assert ids_of(browser) == replayed(sequence, text)
    assert browser.ask("view.timeline.lanes.map((lane) => lane.id)") == [3, 5, 7, 9]
    listed = browser.ask("[...document.querySelectorAll('#list button')].map((one) => one.textContent)")
    assert listed == text.splitlines()[1:]
    for _ in range(3):
        browser.key("u")
    assert file_of(browser).splitlines()[1:] == ["swap 3 5 from 00:00.4"]
    assert ids_of(browser) == replayed(sequence, file_of(browser))
    browser.key("z", modifiers=2)
    assert ids_of(browser) == replayed(sequence, "")
    assert browser.complaints == []


def test_what_does_not_apply_is_said(page: tuple[Browser, PoseSequence]) -> None:
    browser, sequence = page
    browser.ask("(view.pick(3), view.pick(5))")
    browser.key("m")
    assert said(browser).startswith("5 and 3 are both seen in 20 frames, first at 00:00.000")
    browser.key("x")
    assert said(browser) == "3 begins here: there is nothing before"
    browser.ask("(view.pick(null), view.pick(7), view.player.seek(15))")
    browser.key("x")
    assert said(browser) == "7 is not there from this time on"
    assert file_of(browser).splitlines()[1:] == []
    assert ids_of(browser) == replayed(sequence, "")


@pytest.mark.parametrize(("hold", "first"), [(False, 3599), (True, 3599), (False, -0.6), (True, -0.6)])
def test_any_edits_do_what_the_program_does(browser: Browser, tmp_path: Path, hold: bool, first: float) -> None:
    """Random edits on random tracks, with times that no decimal number meets."""
    random = np.random.default_rng(int(hold))
    poses = []
    for _ in range(30):
        there = np.flatnonzero(random.random(7) < 0.6).tolist()
        places = {track: someone(*random.uniform(0, 300, 2)) for track in there}
        poses.append(people(places, {track: int(random.integers(0, 3)) for track in there}))
    sequence = write_run(tmp_path, poses, (np.arange(30) / 29.97 + first).tolist())
    browser.open(write_page(tmp_path))
    done = 0
    for _ in range(60):
        verb = str(random.choice(["swap", "merge", "split", "split", "delete"], p=[0.4, 0.2, 0.15, 0.15, 0.1]))
        a, b = random.permutation(10)[:2].tolist()
        edit = json.dumps({"verb": verb, "a": a, "b": b, "frame": int(random.integers(0, 30))})
        flag = json.dumps(hold)
        code = f"(() => {{ try {{ view.edits.add({edit}, {flag}); return true; }} catch {{ return false; }} }})()"
        done += browser.ask(code)
    text = file_of(browser)
    assert done >= 10
    assert ("person " in text) == hold
    assert (" -00:00." in text) == (first < 0)
    assert ids_of(browser) == replayed(sequence, text)


def test_people_and_rows_can_be_clicked(page: tuple[Browser, PoseSequence]) -> None:
    browser, _ = page
    browser.ask("view.player.seek(2)")
    left, top, scale = browser.ask(
        "((box) => [box.x, box.y, box.width / view.content.width])(canvas.getBoundingClientRect())"
    )

    def click(x: float, y: float) -> list[int]:
        browser.click(left + x * scale, top + y * scale)
        result: list[int] = browser.ask("view.selected")
        return result

    assert click(40 + 2 * STEP, 60) == [3]
    assert click(60, 150) == [3, 7]
    assert click(60, 150) == [3]
    assert click(310, 10) == []
    assert browser.ask("[a.value, b.value, swap.disabled]") == ["", "", True]
    x, y, wide = browser.ask("((box) => [box.x, box.y, box.width])(timeline.getBoundingClientRect())")
    browser.click(x + 44 + (wide - 56) * 0.52, y + 22 + 20 + 18 * 1.5)  # half way along the second row
    assert browser.ask("[view.selected, view.player.frame]") == [[5], 10]
    browser.click(x + 44 + (wide - 56) * 0.21, y + 22 + 10)  # on the mark of the first doubt
    assert browser.ask("view.doubt.kind") == "jump"
    browser.ask("timeline.focus()")
    browser.key("ArrowDown")
    assert browser.ask("view.selected") == [9]
    browser.key("+")
    assert browser.ask("view.timeline.zoom") == 1  # twenty frames are wide already
    assert browser.complaints == []


def test_long_videos_can_be_magnified(browser: Browser, tmp_path: Path) -> None:
    """An hour: the playhead stays in sight, and a place leads back to its frame."""
    frames = 3600 * 5
    write_run(
        tmp_path,
        [people({0: someone(50, 50)} if t % 500 else {}) for t in range(frames)],
        [t / 5 for t in range(frames)],
    )
    browser.open(write_page(tmp_path))
    browser.ask("view.player.seek(9000)")
    for _ in range(12):
        browser.key("+")
    assert browser.ask("view.timeline.zoom") > 200
    x, wide = browser.ask("[view.timeline.x(view.poses.times[9000]), timeline.clientWidth]")
    assert 44 <= x <= wide
    assert browser.ask("view.timeline.seconds(view.timeline.x(1800.4))") == pytest.approx(1800.4, abs=0.001)
    browser.ask("view.player.seek(17000)")
    x = browser.ask("view.timeline.x(view.poses.times[17000])")
    assert 44 <= x <= wide
    browser.key("0")
    assert browser.ask("[view.timeline.zoom, timeline.scrollLeft]") == [1, 0]


@pytest.mark.parametrize("frames", [0, 1, 5])
def test_nobody_is_ordinary(browser: Browser, tmp_path: Path, frames: int) -> None:
    write_run(tmp_path, [Poses.empty(17)] * frames, [t / 25 for t in range(frames)])
    browser.open(write_page(tmp_path))
    for key in ("ArrowRight", "ArrowLeft", "n", "p", "s", "m", "d", "x", "u", "+", "-", "0", "Home", "End", " "):
        browser.key(key)
    browser.wait("!view.player.playing")
    shown = f"frame {frames} of {frames}" if frames else "no frames"
    assert browser.ask("document.getElementById('frame').textContent") == shown
    assert browser.ask("document.getElementById('black').hidden") is False
    assert browser.complaints == []


def test_a_video_that_is_gone_leaves_the_poses(browser: Browser, tmp_path: Path) -> None:
    poses, times = walkers()
    write_run(tmp_path, poses, times, film=True)
    path = write_page(tmp_path, film=True)
    (tmp_path / "film.mp4").unlink()
    browser.open(path)
    assert browser.ask("document.getElementById('black').hidden") is False
    browser.key("ArrowRight")
    assert browser.ask("view.drawn") == 1
    assert [words for words in browser.complaints if "ERR_FILE_NOT_FOUND" not in words] == []


@pytest.mark.parametrize("dark", [False, True])
def test_phone_and_colours(page: tuple[Browser, PoseSequence], tmp_path: Path, dark: bool) -> None:
    browser, _ = page
    for width in (390, 1280):
        browser.open(tmp_path / "view.html", width=width, dark=dark)
        browser.key("n")
        browser.key("d")
        browser.ask("document.querySelector('details').open = true")
        assert (
            browser.ask("[document.documentElement.scrollWidth, document.documentElement.clientWidth]") == [width] * 2
        )
        wide = browser.ask(
            "[...document.querySelectorAll('body *')].filter((part) => !part.closest('.timeline')"
            f" && part.getBoundingClientRect().right > {width} + 1).map((part) => part.outerHTML.slice(0, 80))"
        )
        assert wide == []
        unnamed = browser.ask(
            "[...document.querySelectorAll('button, select, canvas[id], input')].filter((part) =>"
            " !(part.textContent.trim() || part.getAttribute('aria-label') || part.labels?.length))"
            ".map((part) => part.id)"
        )
        assert unnamed == []
        paper, ink = (
            browser.ask(f"getComputedStyle(document.body).{what}.match(/\\d+/g).slice(0, 3).map(Number)")
            for what in ("backgroundColor", "color")
        )
        assert (sum(paper) < sum(ink)) == dark
        assert abs(sum(paper) - sum(ink)) > 550
        assert browser.complaints == []
