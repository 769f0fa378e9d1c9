"""Live inputs: a server on a loopback port sends MPEG-TS in real time; what it does to a run is counted and timed."""

from __future__ import annotations

import io
import json
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from models.skeleton import COCO17, Skeleton
from posetrack_app import pipeline
from posetrack_app.cli import app
from posetrack_app.config import InputSettings, LiveSettings, Settings, override
from posetrack_app.errors import InputError, UsageError
from posetrack_app.formats import parquet
from posetrack_app.types import Frame, Poses
from posetrack_app.video import LiveReader, Source, VideoInfo, VideoReader, VideoWriter, expand_inputs, open_reader
from posetrack_app.video.live import Pace
from posetrack_app.video.stretch import WHOLE, Stretch

RATE = 25
SIZE = (160, 96)


def picture(index: int, width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture whose place in the clip can be told from a bright bar: two pixels a frame from the left."""
    image = np.full((height, width, 3), 30, dtype=np.uint8)
    image[:, 2 * index : 2 * index + 16] = 220
    return image


def number_in(frame: Frame) -> int:
    """The place in the clip of a frame, from its picture."""
    bar = frame.image[..., 0].mean(axis=0) > 128
    return round((float(np.flatnonzero(bar).mean()) - 7.5) / 2)


def transport_stream(frames: int, size: tuple[int, int] = SIZE, *, first_seconds: float = 0.0) -> list[bytes]:
    """The bytes of a clip, in one piece a frame."""
    file = io.BytesIO()
    ends = []
    with av.open(file, "w", format="mpegts", options={"flush_packets": "1"}) as output:
        stream = output.add_stream("mpeg2video", rate=RATE, options={"g": "5", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.bit_rate = 2_000_000
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24")
            frame.pts = index + round(first_seconds * RATE)
            frame.time_base = Fraction(1, RATE)
            output.mux(stream.encode(frame))
            ends.append(file.tell())  # of the frame before: the muxer keeps one back
        output.mux(stream.encode(None))
    assert ends[0] == 0
    return [file.getvalue()[start:end] for start, end in pairwise([*ends, file.getbuffer().nbytes])]


class Server:
    """Sends each client that connects the next of some clips, in real time, and closes the connection after it."""

    def __init__(self, clips: Sequence[Sequence[bytes]], *, away_seconds: float = 0.0) -> None:
        self._clips = clips
        self._away = away_seconds
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._work, name="server")

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        with suppress(OSError):  # wakes a listener that waits
            socket.create_connection(self._listener.getsockname(), timeout=1).close()
        self._thread.join(5)
        self._listener.close()

    def _work(self) -> None:
        for clip in self._clips:
            with suppress(OSError), self._listener.accept()[0] as client:
                started = time.monotonic()
                for index, piece in enumerate(clip):
                    if self._over.wait(max(0.0, started + index / RATE - time.monotonic())):
                        return
                    client.sendall(piece)
            if self._over.is_set():
                return
        self._listener.close()


class SlowEstimator:
    """Stands in for the network: takes its time, and sees a person where the bar is."""

    skeleton: Skeleton = COCO17
    batch = 4
    beside = False

    def __init__(self, seconds: float, on_frame: Callable[[int], None] = lambda index: None) -> None:
        self.seconds = {"prepare": 0.0, "network": 0.0, "peaks": 0.0, "grouping": 0.0}
        self.takes = seconds
        self.on_frame = on_frame
        self.batches: list[int] = []

    def describe(self) -> dict[str, Any]:
        return {"weights": "planted"}

    def settle(self, width: int, height: int) -> None:
        pass

    def begin(self, frames: Sequence[Frame]) -> Callable[[], list[Poses]]:
        found = self.estimate(frames)
        return lambda: found

    def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
        self.batches.append(len(frames))
        found = []
        for frame in frames:
            self.on_frame(frame.index)
            time.sleep(self.takes)
            body = np.stack([np.linspace(-8, 8, 17), np.linspace(10, 80, 17)], axis=-1)
            x = 2 * number_in(frame) + 7.5
            found.append(Poses.untracked(xy=[body + [x, 0]], joint_score=np.full((1, 17), 0.9), score=[0.9]))
        return found


@pytest.fixture
def no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
        assert not thread.is_alive(), thread.name


def run(address: str | Path, out: Path, *, estimator: Any, assignments: Sequence[str] = (), **more: Any) -> Any:
    (source,) = expand_inputs([str(address)])
    settings = override(Settings(), list(assignments))
    return pipeline.run(source, out, settings=settings, estimator=estimator, **more)


def opened(address: str | Path, **live: Any) -> VideoReader | LiveReader:
    (source,) = expand_inputs([str(address)])
    return open_reader(source, input_=InputSettings(), live=LiveSettings(**live))


@pytest.fixture(scope="module")
def clip() -> list[bytes]:
    return transport_stream(60)


def test_a_slow_network_sees_the_newest_frames_and_drops_the_others(
    clip: list[bytes], tmp_path: Path, no_threads_left: None
) -> None:
    told: list[str] = []
    estimator = SlowEstimator(0.1)
    with Server([clip]) as server:
        report = run(
            server.address,
            tmp_path,
            estimator=estimator,
            assignments=["live.give_up_seconds=0.2"],
            status=told.append,
        )
    assert report.complete
    assert report.live is not None
    assert report.frames_decoded == len(clip)
    assert report.frames_written + report.live["frames_dropped"] == report.frames_decoded
    assert report.frames_written == report.frames_estimated < 35
    assert set(estimator.batches) == {1}
    # The network takes 100 ms a frame; the first frames wait for the third, which makes a person.
    assert 90 < report.live["age_ms"]["median"] < 500
    assert report.live["age_ms"]["largest"] < 2000  # 3.6 s if they waited in a row
    assert len(told) == report.frames_written
    assert "age " in told[-1]
    assert "dropped" in told[-1]

    rows = list(parquet.read(tmp_path / "poses.parquet"))
    assert [index for index, _, _ in rows] == list(range(report.frames_written))
    seconds = np.array([seconds for _, seconds, _ in rows])
    places = np.array([(poses.xy[0, :, 0].mean() - 7.5) / 2 for _, _, poses in rows])
    assert seconds[0] == 0
    assert places[-1] == pytest.approx(len(clip) - 1, abs=0.5)  # the newest is never dropped
    assert (np.diff(seconds) > 0).all()
    np.testing.assert_allclose(seconds, (places - places[0]) / RATE, atol=0.011)  # the stream's own times
    # What came while the stream was opened is decoded at once: the second frame is a second after the first.
    assert len({int(poses.track_id[0]) for _, _, poses in rows[1:]}) == 1
    with av.open(str(tmp_path / "tracked.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == report.frames_written
    assert json.loads((tmp_path / "run.json").read_text())["live"] == report.live


def test_time_is_up(clip: list[bytes], tmp_path: Path, no_threads_left: None) -> None:
    with Server([clip]) as server:
        report = run(server.address, tmp_path, estimator=SlowEstimator(0.02), assignments=["live.seconds=0.6"])
    assert report.complete
    assert report.seconds["total"] < 5
    assert 1 < report.frames_written <= report.frames_decoded < 50
    assert report.warnings == []
    assert not list(tmp_path.glob("*.partial*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_completes_a_live_run(
    number: signal.Signals, clip: list[bytes], tmp_path: Path, no_threads_left: None
) -> None:
    before = signal.getsignal(number)
    estimator = SlowEstimator(0.02, on_frame=lambda index: index == 8 and signal.raise_signal(number))
    with Server([clip]) as server:
        report = run(server.address, tmp_path, estimator=estimator)
    assert report.complete
    assert report.frames_written == 9
    assert {path.name for path in tmp_path.iterdir()} == {
        "tracked.mp4", "poses.json", "poses.parquet", "doubts.json", "run.json",
    }  # fmt: skip
    assert signal.getsignal(number) is before


def test_the_second_interruption_breaks_off(clip: list[bytes], tmp_path: Path, no_threads_left: None) -> None:
    def twice(index: int) -> None:
        if index == 4:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with Server([clip]) as server, pytest.raises(KeyboardInterrupt):
        run(server.address, tmp_path, estimator=SlowEstimator(0.02, on_frame=twice))
    assert (tmp_path / "run.partial.json").exists()


def test_what_breaks_is_taken_up_again_by_the_wall_clock(
    clip: list[bytes], tmp_path: Path, no_threads_left: None
) -> None:
    said: list[str] = []
    second = transport_stream(20, (80, 48), first_seconds=5000)
    with Server([clip[:30], second]) as server:
        started = time.monotonic()
        report = run(
            server.address,
            tmp_path,
            estimator=SlowEstimator(0.01),
            assignments=["live.give_up_seconds=1.2"],
            tell=said.append,
        )
        took = time.monotonic() - started
    assert report.complete
    assert report.live["reconnects"] == 1
    assert 0.9 < report.live["seconds_away"] < 6
    assert report.frames_written + report.live["frames_dropped"] == report.frames_decoded == 50
    assert len([line for line in report.warnings if "broke off once" in line]) == 1
    assert len([line for line in report.warnings if "160x96 to 80x48" in line]) == 1
    assert len([line for line in report.warnings if "did not come back" in line]) == 1
    assert len(report.warnings) == 3
    assert [line.partition(" ")[2] for line in said] == [
        "broke off; trying again for 1.2 s", "is back", "broke off; trying again for 1.2 s",
    ]  # fmt: skip
    seconds = np.array([seconds for _, seconds, _ in parquet.read(tmp_path / "poses.parquet")])
    steps = np.diff(seconds)
    assert (steps > 0).all()
    assert abs(steps.max() - report.live["seconds_away"]) < 1.5
    assert seconds[-1] < took
    with av.open(str(tmp_path / "tracked.mp4")) as video:
        assert {(frame.width, frame.height) for frame in video.decode(video=0)} == {SIZE}


def test_pictures_of_another_size_are_scaled_to_the_first(clip: list[bytes]) -> None:
    with Server([clip[:20], transport_stream(20, (80, 48))]) as server, opened(server.address) as reader:
        bar = np.zeros(0)
        for frame in reader:
            assert frame.image.shape == (SIZE[1], SIZE[0], 3)
            if isinstance(reader, LiveReader) and reader.reconnects:
                bar = np.flatnonzero(frame.image[..., 0].mean(axis=0) > 128)
                break
    assert 28 <= len(bar) <= 36  # twice as wide as it was drawn
    place = ((bar.mean() - 0.5) / 2 - 7.5) / 2
    assert place == pytest.approx(round(place), abs=0.3)


def test_a_server_that_never_comes_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(InputError, match=f"cannot open the stream tcp://127.0.0.1:{port}: ") as caught:
        opened(f"tcp://127.0.0.1:{port}")
    assert "\n" not in str(caught.value)


def test_leaving_does_not_wait_for_frames(clip: list[bytes], no_threads_left: None) -> None:
    with Server([clip]) as server:
        with opened(server.address) as reader:
            next(iter(reader))
            started = time.monotonic()
        assert time.monotonic() - started < 1.5
        with pytest.raises(RuntimeError, match="only once"):
            iter(reader)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "bar.mp4"
    with VideoWriter(path, width=SIZE[0], height=SIZE[1], rate=Fraction(RATE)) as writer:
        for index in range(30):
            writer.write(picture(index, *SIZE), index / RATE)
    return path


def test_a_file_can_be_played_live(film: Path, tmp_path: Path, no_threads_left: None) -> None:
    with opened(film) as reader:
        assert isinstance(reader, VideoReader)
    report = run(film, tmp_path, estimator=SlowEstimator(0.1), assignments=["live.mode=always"])
    assert report.complete
    assert report.frames_decoded == 30
    assert 4 <= report.frames_written <= 16  # 1.2 s, at 100 ms a frame
    assert report.frames_written + report.live["frames_dropped"] == 30
    rows = list(parquet.read(tmp_path / "poses.parquet"))
    for _, seconds, poses in rows:
        assert seconds * RATE == pytest.approx((poses.xy[0, :, 0].mean() - 7.5) / 2, abs=0.3)
    assert round(rows[-1][1] * RATE) == 29


def test_a_limit_of_time_is_for_live_inputs(film: Path) -> None:
    with pytest.raises(UsageError, match="--seconds needs a live input, or --live"):
        opened(film, seconds=3)


def test_a_stream_may_be_read_to_its_end(clip: list[bytes]) -> None:
    with Server([clip[:30]]) as server, opened(server.address, mode="never") as reader:
        assert isinstance(reader, VideoReader)
        assert [number_in(frame) for frame in reader] == list(range(30))


class Segments:
    """A live source that gives all of its frames at once, as a segment of HLS does."""

    live = in_bursts = True
    info = VideoInfo(
        width=4, height=2, frames_expected=None, average_rate=None, has_audio=False, duration_seconds=None,
        codec="none", pixel_format="none", orientation="upright",
    )  # fmt: skip

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def frames(self, stretch: Stretch = WHOLE) -> Iterator[Frame]:
        for index in range(12):
            yield Frame(index=index, pts=index / 20, image=np.full((2, 4, 3), index, dtype=np.uint8))

    def close(self) -> None:
        pass


def test_a_segment_is_played_at_its_own_pace() -> None:
    source = Source(location="camera:none", kind="camera", name="none")  # cannot be opened again
    started = time.monotonic()
    with LiveReader(source, Segments(), settings=LiveSettings(give_up_seconds=0.01)) as reader:
        frames = list(reader)
    assert time.monotonic() - started >= 0.55
    assert len(frames) >= 10  # all, where the machine is not busy
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert all(frame.pts == pytest.approx(frame.image[0, 0, 0] / 20) for frame in frames)


def test_pace() -> None:
    pace = Pace()
    assert pace.early(7.0, now=100.0) == 0
    assert pace.early(7.5, now=100.1) == pytest.approx(0.4)
    assert pace.early(7.6, now=101.0) == 0  # late, and on time again afterwards
    assert pace.early(8.0, now=100.9) == pytest.approx(0.1)
    assert pace.early(8.1, now=103.0) == 0  # so late that the pace is set anew
    assert pace.early(8.2, now=103.0) == pytest.approx(0.1)


def test_the_command(clip: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    seen: list[bytes] = []

    def look(index: int) -> None:
        if index == 12:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/picture", timeout=5) as answer:
                seen.append(answer.read(100))

    monkeypatch.setattr("posetrack_app.commands.run.estimator_of", lambda settings: SlowEstimator(0.02, look))
    with Server([clip]) as server:
        options = ["--out", str(tmp_path), "--seconds", "1", "--show", "--set", f"live.port={port}"]
        done = CliRunner().invoke(app, ["run", server.address, *options])
    assert done.exit_code == 0, done.output
    assert f"the picture is at http://127.0.0.1:{port}" in done.output
    assert b"Content-Type: image/jpeg" in seen[0]
    (folder,) = tmp_path.iterdir()
    report = json.loads((folder / "run.json").read_text())
    assert report["complete"]
    assert report["live"]["age_ms"]["median"] > 20
    assert report["settings"]["live"]["seconds"] == 1


def test_show_is_for_one_input(film: Path) -> None:
    done = CliRunner().invoke(app, ["run", str(film), str(film), "--show"])
    assert isinstance(done.exception, UsageError)
