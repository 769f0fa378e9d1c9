"""The main job: frames in, people with identities out, as data and as a picture.

    VideoReader - PoseEstimator - Tracker - sink (tables, Renderer, VideoWriter)

The decoder, the encoder and the sink each run in a thread of their own beside the network; bounded queues
join them, so memory does not grow with the length of the video.
"""

from __future__ import annotations

import ctypes
import json
import platform
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from posetrack_app.config import Settings
from posetrack_app.doubts import DoubtsWriter
from posetrack_app.errors import OutputError, UserError
from posetrack_app.estimator import PoseEstimator
from posetrack_app.formats.parquet import ParquetWriter
from posetrack_app.formats.posetrack2018 import PoseTrack2018Writer
from posetrack_app.formats.saving import saving
from posetrack_app.render import Renderer
from posetrack_app.types import Frame, Poses
from posetrack_app.video import Source, VideoInfo, VideoReader, VideoWriter
from trackers.tracker import TrackedFrame, Tracker

__all__ = ["RunReport", "run", "versions"]

_TRIM_FRAMES = 100

Progress = Callable[[], None]
"""Called once for each frame that is on its way to the files."""


@dataclass(frozen=True)
class RunReport:
    """What a run did; the content of run.json."""

    complete: bool
    """False where the run was interrupted: the files then carry `.partial` in their names."""

    input: dict[str, Any]
    """What was read: location, kind and what the reader knows of it."""

    network: dict[str, Any]
    """Weights, device, precision and input size of the network."""

    frames_decoded: int
    """Frames that came out of the input."""

    frames_estimated: int
    """Frames that the network saw."""

    frames_written: int
    """Frames in the data, and in the video where one is written."""

    people: int
    """Identities that were given."""

    poses: int
    """Poses that were written, all frames together."""

    doubts: int
    """Places where identities may be wrong: doubts.json lists them."""

    seconds: dict[str, float]
    """Seconds of work by stage. Stages run side by side: their sum may exceed `total`, which is wall time."""

    fps: float
    """Frames written a second of wall time, from opening the input to closing the last file."""

    warnings: list[str]
    """What a user should know: lost frames, repaired times, changed sizes."""

    settings: dict[str, Any]
    """The whole tree of settings of this run."""

    versions: dict[str, str]
    """Versions of this program and of what it stands on."""

    def write(self, folder: Path) -> None:
        """Write run.json; under that name only where the run is complete."""
        with saving(folder / "run.json", complete=self.complete) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def run(
    source: Source,
    folder: Path,
    *,
    settings: Settings,
    estimator: PoseEstimator,
    opened: Callable[[VideoInfo], Progress] = lambda info: lambda: None,
) -> RunReport:
    """Track the people of one input and write the results into `folder`.

    Args:
        source: What to read.
        folder: Where to write; made where it is missing. Files of the same names are replaced.
        settings: The whole tree of settings.
        estimator: The network, made from the same settings; it may serve many inputs.
        opened: Called when the input is open; gives the function to call for each finished frame.

    Raises:
        UserError: The input or the output fails. What was finished stays, readable, under `.partial` names.
        KeyboardInterrupt: After the same clean-up.
    """
    started = time.perf_counter()
    clock = Clock()
    before = Counter(estimator.seconds)
    failure: BaseException | None = None
    with VideoReader(source, queue_frames=settings.input.queue_frames, image_rate=settings.input.image_rate) as reader:
        progress = opened(reader.info)
        sink = Sink(folder, source=source, info=reader.info, estimator=estimator, settings=settings, clock=clock)
        tracker = Tracker(settings.tracker, sigmas=np.array(estimator.skeleton.sigmas))
        try:
            seen = _estimated(reader, estimator, settings.network.batch or estimator.batch, clock)
            for frame, poses in _tracked(seen, tracker, clock):
                sink.put(frame, poses)
                progress()
            sink.close()
        except BaseException as error:
            failure = error
            sink.abort()
    total = time.perf_counter() - started
    stages = {
        "decode": reader.decode_seconds,
        **{name: seconds - before[name] for name, seconds in estimator.seconds.items()},
        **clock.seconds,
        "encode": sink.encode_seconds,
        "total": total,
    }
    report = RunReport(
        complete=failure is None,
        input=_described(source, reader.info),
        network=estimator.describe(),
        frames_decoded=reader.frames_decoded,
        frames_estimated=clock.frames["network"],
        frames_written=sink.frames,
        people=len(sink.people),
        poses=sink.poses,
        doubts=sink.doubts,
        seconds={name: round(seconds, 4) for name, seconds in stages.items()},
        fps=round(sink.frames / total, 2),
        warnings=[*reader.warnings, *sink.warnings],
        settings=asdict(settings),
        versions=versions(),
    )
    if failure is not None:
        with suppress(OutputError):  # the disk may be what failed
            report.write(folder)
        raise failure
    report.write(folder)
    return report


class Clock:
    """Seconds of work and frames by stage; each stage belongs to one thread."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {"tracking": 0.0, "render": 0.0, "tables": 0.0}
        self.frames: Counter[str] = Counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of a block to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - started


def _estimated(
    frames: Iterable[Frame], estimator: PoseEstimator, batch: int, clock: Clock
) -> Iterator[tuple[Frame, Poses]]:
    """Each frame with the people that the network sees in it."""
    stream = iter(frames)
    while True:
        together, failure = _take(stream, batch)
        clock.frames["network"] += len(together)
        yield from zip(together, estimator.estimate(together), strict=True)
        if failure is not None:
            raise failure
        if len(together) < batch:
            return


def _take(stream: Iterator[Frame], count: int) -> tuple[list[Frame], UserError | None]:
    """Up to `count` frames, and the error that ended the stream: frames before a break are not lost."""
    frames: list[Frame] = []
    try:
        for frame in islice(stream, count):
            frames.append(frame)  # noqa: PERF402  # what came before an error stays
    except UserError as error:
        return frames, error
    return frames, None


def _tracked(pairs: Iterator[tuple[Frame, Poses]], tracker: Tracker, clock: Clock) -> Iterator[tuple[Frame, Poses]]:
    """Each frame with its people and their identities; a few frames late, since births take some."""
    waiting: dict[int, Frame] = {}

    def finished(done: Iterable[TrackedFrame]) -> Iterator[tuple[Frame, Poses]]:
        for item in done:
            yield (
                waiting.pop(item.index),
                Poses(
                    xy=item.xy,
                    joint_score=item.joint_score,
                    score=item.score,
                    track_id=item.track_id,
                    origin=item.origin,
                ),
            )

    failure: UserError | None = None
    try:
        for frame, poses in pairs:
            waiting[frame.index] = frame
            with clock.stage("tracking"):
                done = tracker.update(
                    index=frame.index,
                    seconds=frame.pts,
                    xy=poses.xy,
                    joint_score=poses.joint_score,
                    score=poses.score,
                )
            yield from finished(done)
    except UserError as error:
        failure = error
    yield from finished(tracker.flush())
    if failure is not None:
        raise failure


class Sink:
    """Writes finished frames in a thread of its own: tables, picture, video.

    `put` blocks while four frames wait. An error of the thread is raised by the next `put` or by `close`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        source: Source,
        info: VideoInfo,
        estimator: PoseEstimator,
        settings: Settings,
        clock: Clock,
    ) -> None:
        """Make the folder and open the files in it."""
        self.frames = 0
        self.poses = 0
        self.people: set[int] = set()
        self._clock = clock
        self._queue: queue.Queue[tuple[Frame, Poses] | None] = queue.Queue(maxsize=4)
        self._error: BaseException | None = None
        skeleton = estimator.skeleton
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from None
        self._tables: list[ParquetWriter | PoseTrack2018Writer | DoubtsWriter] = []
        self._video: VideoWriter | None = None
        self._renderer = Renderer(skeleton, settings.render)
        try:
            self._parquet = ParquetWriter(
                folder / "poses.parquet",
                skeleton=skeleton,
                video=source.name,
                width=info.width,
                height=info.height,
            )
            self._tables.append(self._parquet)
            self._json = PoseTrack2018Writer(folder / "poses.json", video=source.name, skeleton=skeleton)
            self._tables.append(self._json)
            self._doubts = DoubtsWriter(folder / "doubts.json", joints=len(skeleton.joints))
            self._tables.append(self._doubts)
            if settings.video.enabled:
                self._video = VideoWriter(
                    folder / "tracked.mp4",
                    width=info.width,
                    height=info.height,
                    rate=info.average_rate,
                    audio_from=Path(source.location) if info.has_audio else None,
                    quality=settings.video.quality,
                )
        except BaseException:
            self._abort_files()
            raise
        self._thread = threading.Thread(target=self._work, name="sink", daemon=True)
        self._thread.start()

    @property
    def warnings(self) -> list[str]:
        """What a user should know of the written files."""
        warnings = list(self._video.warnings) if self._video else []
        if self.frames and not self.poses:
            warnings.append("nobody was found in any frame; --short-side 384 finds smaller people")
        return warnings

    @property
    def doubts(self) -> int:
        """Places where identities may be wrong; 0 until the files are closed."""
        return self._doubts.count

    @property
    def encode_seconds(self) -> float:
        """Seconds that the encoder worked."""
        return self._video.encode_seconds if self._video else 0.0

    def put(self, frame: Frame, poses: Poses) -> None:
        """Hand over a frame; waits while too many are under way."""
        if self._error is not None:
            raise self._error
        self._queue.put((frame, poses))

    def close(self) -> None:
        """Write what waits and complete the files under their final names."""
        self._join()
        if self._error is not None:
            raise self._error
        for table in self._tables:
            table.close()
        if self._video is not None:
            self._video.close()

    def abort(self) -> None:
        """Write what waits and close the files, readable, under their partial names."""
        self._join()
        self._abort_files()

    def _abort_files(self) -> None:
        for file in [*self._tables, self._video]:
            if file is not None:
                with suppress(Exception):  # the first error is the one to tell
                    file.abort()

    def _join(self) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is not None:
                continue  # keep the queue moving, so that `put` never waits for nobody
            try:
                self._write(*item)
            except BaseException as error:
                self._error = error

    def _write(self, frame: Frame, poses: Poses) -> None:
        with self._clock.stage("tables"):
            self._parquet.add(frame.index, frame.pts, poses, frame.name)
            self._json.add(frame.index, frame.name, poses)
            self._doubts.add(frame.index, frame.pts, poses)
        if self._video is not None:
            with self._clock.stage("render"):
                image = self._renderer.draw(frame, poses)
            self._video.write(image, frame.pts)
        self.frames += 1
        if self.frames % _TRIM_FRAMES == 0:
            _trim_memory()
        self.poses += len(poses)
        self.people.update(int(track) for track in poses.track_id if track >= 0)


def _trim_memory() -> None:
    """Give freed memory back to the system.

    Pictures are made in one thread and freed in another, and glibc keeps what they leave behind: some 45 KiB a frame,
    measured. This takes 8 ms. Other C libraries do without it.
    """
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)


def _described(source: Source, info: VideoInfo) -> dict[str, Any]:
    """What is known of an input, in values that JSON has."""
    values = asdict(info)
    values["average_rate"] = float(info.average_rate) if info.average_rate else None
    return {"location": source.shown, "kind": source.kind, **values}


def versions() -> dict[str, str]:
    """Versions of this program, of Python and of the libraries that decide about results."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in (
        "posetrack-app",
        "torch",
        "openvino",
        "av",
        "opencv-python-headless",
        "numpy",
        "scipy",
        "filterpy",
    ):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
