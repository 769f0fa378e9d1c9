"""Runs that are killed, at random and at every step that changes a file: the next one ends as if nothing had been.

The processes are forked from one that has everything imported (this file, as a program), so that a kill costs a
fraction of a second.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import takewhile
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from models.skeleton import COCO17, Skeleton
from posetrack_app import journal, pipeline
from posetrack_app.cli import app
from posetrack_app.config import Settings, override
from posetrack_app.jobs.ledger import survey
from posetrack_app.types import Frame, Poses
from posetrack_app.video import VideoWriter, expand_inputs

FILES = ("poses.parquet", "poses.json", "doubts.json")
"""The files that are the same to the last byte. Of the same pictures x264 sometimes makes other bytes, 1 time in 60."""

FRAMES = 60

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


class WalkingEstimator:
    """Stands in for the network: sees people who walk, with tremor of their own in every frame, and is slow."""

    skeleton: Skeleton = COCO17
    batch = 4
    beside = False

    def __init__(self, *, slow_seconds: float = 0.0) -> None:
        self.seconds = {"prepare": 0.0, "network": 0.0, "peaks": 0.0, "grouping": 0.0}
        self.slow_seconds = slow_seconds
        self.seen: list[int] = []

    def describe(self) -> dict[str, Any]:
        return {"weights": "walking"}

    def settle(self, width: int, height: int) -> None:
        pass

    def begin(self, frames: Sequence[Frame]) -> Callable[[], list[Poses]]:
        found = self.estimate(frames)
        return lambda: found

    def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
        time.sleep(self.slow_seconds * len(frames))
        self.seen += [frame.index for frame in frames]
        return [self._see(frame.index) for frame in frames]

    def _see(self, index: int) -> Poses:
        tremor = np.random.default_rng(index)
        count = 3 if index % 17 else 2
        body = np.stack([np.linspace(-8, 8, 17), np.linspace(20, 100, 17)], axis=-1)
        places = np.array([[20 + index, 0], [150 - index, 4], [80, 2]])[:count]
        xy = body + places[:, None] + tremor.normal(scale=0.7, size=(count, 17, 2))
        return Poses.untracked(
            xy=xy, joint_score=tremor.uniform(0.4, 1, (count, 17)), score=tremor.uniform(0.4, 1, count)
        )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "walk.mp4"
    with VideoWriter(path, width=176, height=120, rate=Fraction(25)) as writer:
        for index in range(FRAMES):
            image = np.full((120, 176, 3), 30, dtype=np.uint8)
            image[20:100, 20 + index : 36 + index] = 220
            writer.write(image, index / 25)
    return path


def run(
    clip: Path, out: Path, *, assignments: Sequence[str] = (), slow_seconds: float = 0.0, lines: list[str] | None = None
) -> tuple[pipeline.RunReport, list[int]]:
    """The report, and the frames that the network was shown."""
    estimator: Any = WalkingEstimator(slow_seconds=slow_seconds)
    (source,) = expand_inputs([str(clip)])
    settings = override(Settings(), list(assignments))
    tell = (lines if lines is not None else []).append
    return pipeline.run(source, out, settings=settings, estimator=estimator, tell=tell), estimator.seen


def break_off(clip: Path, out: Path, assignments: Sequence[str], after: int) -> list[int]:
    """Interrupt a run that has done so many frames; gives those that are kept."""
    (source,) = expand_inputs([str(clip)])
    estimator: Any = WalkingEstimator()
    steps = iter(range(FRAMES))

    def progress() -> None:
        if next(steps) == after:
            raise KeyboardInterrupt

    settings = override(Settings(), list(assignments))
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(source, out, settings=settings, estimator=estimator, opened=lambda info: progress)
    return [index for path in sorted((out / journal.NAME).glob("*.npz")) for index in np.load(path)["index"].tolist()]


def _slow(clip: Path, out: Path, assignments: Sequence[str]) -> None:
    journal.SEGMENT_SECONDS = 0.05
    run(clip, out, assignments=assignments, slow_seconds=0.02)


def _dies(clip: Path, out: Path, value: tuple[int, int]) -> None:
    """End without a word at the step-th half of the renamings of files: before it was done, or, if odd, after."""
    step, batch = value
    journal.SEGMENT_SECONDS = 0.0
    replace, done = Path.replace, iter(range(10_000))

    def counted(self: Path, target: Path) -> Path:
        if next(done) == step // 2:
            if step % 2:
                replace(self, target)
            os._exit(9)
        return replace(self, target)

    Path.replace = counted  # type: ignore[method-assign, assignment]
    run(clip, out, assignments=[f"network.batch={batch}"])


class Forks:
    """Runs in processes of their own."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.pid = 0

    def start(self, work: str, clip: Path, out: Path, value: Any) -> None:
        """Begin `_slow` or `_dies`."""
        self._tell(json.dumps([work, str(clip), str(out), value]))
        self.pid = self._number()

    def end(self) -> int:
        """Wait for it; its exit code, negative where a signal ended it. Until then its number is nobody else's."""
        self._tell("end")
        return self._number()

    def close(self) -> None:
        self._server.communicate(timeout=60)

    def _tell(self, line: str) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(f"{line}\n")
        self._server.stdin.flush()

    def _number(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())


def _serve() -> None:
    """Fork a process for each line of the input; tell its number, then how it ended."""
    for line in sys.stdin:
        work, clip, out, value = json.loads(line)
        pid = os.fork()
        if pid == 0:
            try:
                {"slow": _slow, "dies": _dies}[work](Path(clip), Path(out), value)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(pid, flush=True)
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    server = Forks()
    yield server
    server.close()


def same_film(a: Path, b: Path) -> bool:
    """Whether two runs made films of the same pictures, as far as a codec that loses something lets tell."""
    films = []
    for out in (a, b):
        with av.open(str(out / "tracked.mp4")) as video:
            films.append([(frame.pts, frame.to_ndarray(format="rgb24")) for frame in video.decode(video=0)])
    return [pts for pts, _ in films[0]] == [pts for pts, _ in films[1]] and all(
        np.abs(one.astype(int) - other).mean() < 1 for (_, one), (_, other) in zip(*films, strict=True)
    )


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in FILES if (out / name).exists()}


@pytest.fixture(scope="module")
def whole_run(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run at one go."""
    out = tmp_path_factory.mktemp("whole")
    run(clip, out)
    return out


@pytest.fixture(scope="module")
def whole(whole_run: Path) -> dict[str, bytes]:
    """The files of a run at one go."""
    found = contents(whole_run)
    assert set(found) == set(FILES)
    return found


def test_two_runs_at_one_go_are_the_same(clip: Path, whole: dict[str, bytes], whole_run: Path, tmp_path: Path) -> None:
    run(clip, tmp_path / "out")
    assert contents(tmp_path / "out") == whole
    assert same_film(tmp_path / "out", whole_run)


@pytest.mark.parametrize("stretch", [[], ["input.start=0.2", "input.end=2.2"]])
@pytest.mark.parametrize("every", [1, 3])
def test_killed_at_random(every: int, stretch: list[str], clip: Path, forks: Forks, tmp_path: Path) -> None:
    assignments = [f"network.every={every}", *stretch]
    run(clip, tmp_path / "whole", assignments=assignments)
    out, delays, kills = tmp_path / "out", [], 0
    for attempt in range(6):
        forks.start("slow", clip, out, assignments)
        delays.append(random.uniform(0.05, 0.6) if attempt else 0.1)
        time.sleep(delays[-1])
        os.kill(forks.pid, signal.SIGKILL)
        code = forks.end()
        assert code in (0, -signal.SIGKILL)
        if code == 0:
            break
        kills += 1
    report, _ = run(clip, out, assignments=assignments)
    assert contents(out) == contents(tmp_path / "whole"), delays
    assert same_film(out, tmp_path / "whole"), delays
    assert report.complete
    assert not list(out.glob("*.partial*")), delays
    assert kills >= 1, delays


def test_killed_at_every_renaming_of_a_file(clip: Path, forks: Forks, whole: dict[str, bytes], tmp_path: Path) -> None:
    """Killed before each of them in turn, and after the last, which is that of run.json."""

    def killed(step: int) -> tuple[Path, int]:
        out = tmp_path / str(step)
        forks.start("dies", clip, out, (step, FRAMES // 3))
        return out, forks.end()

    for step in range(0, 100, 2):
        out, code = killed(step)
        if code == 0:
            break
        assert code == 9
        assert not (out / "run.json").exists()
        assert journal.unfinished(out) or not contents(out)  # else the next run may not write here unasked
        _, seen = run(clip, out)
        assert contents(out) == whole
        assert not list(out.glob("*.partial*"))
        assert seen == list(range(FRAMES - len(seen), FRAMES))
    assert 2 * len(FILES) < step < 100
    out, code = killed(step - 1)
    assert code == 9
    assert (out / "run.json").exists()
    assert not journal.unfinished(out)
    assert contents(out) == whole


def test_the_network_is_not_shown_again_what_it_saw(
    clip: Path, forks: Forks, whole: dict[str, bytes], tmp_path: Path
) -> None:
    out, lines = tmp_path / "out", list[str]()
    forks.start("dies", clip, out, (2 * 10, 4))  # before, key.json, writer.json and eight batches of four are renamed
    assert forks.end() == 9
    (left,) = survey(tmp_path)
    assert (left.state, left.frames) == ("stopped", 32)
    report, seen = run(clip, out, lines=lines)
    assert seen == list(range(32, FRAMES))
    assert (report.frames_resumed, report.frames_estimated, report.frames_written) == (32, FRAMES, FRAMES)
    assert len(lines) == 1
    assert "goes on; the network saw its frames up to 31 already" in lines[0]
    assert contents(out) == whole


def test_other_settings_of_the_tracker_go_on_and_of_the_network_begin_anew(
    clip: Path, forks: Forks, tmp_path: Path
) -> None:
    for name, assignment, goes_on in [
        ("tracker", "tracker.position_noise=0.8", True),
        ("network", "network.every=2", False),
    ]:
        out, lines = tmp_path / name, list[str]()
        forks.start("dies", clip, out, (2 * 10, 4))
        assert forks.end() == 9
        _, seen = run(clip, out, assignments=[assignment], lines=lines)
        assert seen[0] == (32 if goes_on else 0)
        assert ("goes on" in lines[0]) if goes_on else ("begins anew: every was 1, and is 2" in lines[0])
        run(clip, tmp_path / f"{name} whole", assignments=[assignment])
        assert contents(out) == contents(tmp_path / f"{name} whole")


def test_a_clean_interruption_goes_on_too(clip: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    kept = break_off(clip, tmp_path, [], 30)
    _, seen = run(clip, tmp_path)
    assert seen == list(range(kept[-1] + 1, FRAMES))
    assert contents(tmp_path) == whole


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shots that begin at frames 25 and 58, and a flash at 40 and 41 that is none, unless the film ends there."""
    path = tmp_path_factory.mktemp("clips") / "film.mp4"
    places = [
        np.random.default_rng(shot).integers(60 * shot, 60 * shot + 60, (15, 22, 3), dtype=np.uint8).repeat(8, 0)
        for shot in range(4)
    ]
    with VideoWriter(path, width=176, height=120, rate=Fraction(25)) as writer:
        for index in range(FRAMES):
            shot = 3 if index in (40, 41) else sum(index >= cut for cut in (25, 58))
            writer.write(places[shot].repeat(8, 1), index / 25)
    return path


@pytest.mark.parametrize("every", [1, 3, 7])
@pytest.mark.parametrize(
    ("before", "now"),
    [
        (["input.start=0.2", "input.end=1.68"], ["input.start=0.2"]),
        (["input.start=0.2", "input.end=1.6"], ["input.start=0.2", "input.end=1.2"]),
        (["input.cuts=false"], ["input.cuts=true"]),
        (["input.cuts=true"], ["input.cuts=false"]),
    ],
)
def test_with_another_end_or_other_cuts_it_goes_on_to_what_a_fresh_run_gives(
    every: int, before: list[str], now: list[str], film: Path, tmp_path: Path
) -> None:
    """Frames that the network sees only in one of the two, as the first and last of shots, are no obstacle."""
    out, lines, assignments = tmp_path / "out", list[str](), [*now, f"network.every={every}"]
    kept = break_off(film, out, [*before, f"network.every={every}"], 32)
    report, seen = run(film, out, assignments=assignments, lines=lines)
    assert "goes on" in lines[0]
    _, all_of_them = run(film, tmp_path / "whole", assignments=assignments)
    assert contents(out) == contents(tmp_path / "whole")
    known = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(kept, all_of_them, strict=False)))
    assert report.frames_resumed == known > 0
    assert seen == all_of_them[known:]


def test_another_beginning_begins_anew_and_is_said_as_it_was_asked_for(film: Path, tmp_path: Path) -> None:
    lines = list[str]()
    break_off(film, tmp_path / "out", ["input.start=0.2", "input.end=1.6"], 20)
    report, _ = run(film, tmp_path / "out", lines=lines)
    assert lines[0].endswith("begins anew: --from was 0.2, and is 0")
    assert report.frames_resumed == 0


def test_the_command_goes_on_unasked_only_where_a_run_was_broken_off(clip: Path, tmp_path: Path) -> None:
    """Killed while it gave files their names, a run leaves some under their final ones."""
    folder = tmp_path / "walk"
    folder.mkdir()
    (folder / "poses.parquet").write_bytes(b"PAR1")

    def refused() -> bool:
        command = ["run", str(clip), "--out", str(tmp_path), "--device", "cpu", "--dry-run"]
        return bool(app(command, standalone_mode=False))

    assert refused()
    (folder / journal.NAME).mkdir()
    assert not refused()
    (folder / "run.json").write_text("{}")
    assert refused()


if __name__ == "__main__":
    _serve()
