"""The end of the main job: finished frames into tables and video, in a thread of its own."""

from __future__ import annotations

import ctypes
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posetrack_app.appearance import SIZE
from posetrack_app.between import as_seen
from posetrack_app.config import Settings
from posetrack_app.doubts import DoubtsWriter
from posetrack_app.estimator import PoseEstimator
from posetrack_app.formats.parquet import ParquetWriter
from posetrack_app.formats.posetrack2018 import PoseTrack2018Writer
from posetrack_app.formats.saving import partial_of
from posetrack_app.render import Renderer
from posetrack_app.render.scaling import scaled, scaled_size
from posetrack_app.stages import Clock
from posetrack_app.types import Frame, Poses
from posetrack_app.video import Source, VideoInfo, VideoWriter

__all__ = ["Sink"]

_TRIM_FRAMES = 100


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
        show: Callable[[npt.NDArray[np.uint8]], None] | None = None,
    ) -> None:
        """Open the files in `folder`, which is there; `show` is called with each drawn picture."""
        self.frames = 0
        self.poses = 0
        self.people: set[int] = set()
        self.cuts: list[float] = []
        self._folder = folder
        self._clock = clock
        self._show = show
        self._queue: queue.Queue[tuple[Frame, Poses] | None] = queue.Queue(maxsize=4)
        self._error: BaseException | None = None
        skeleton = estimator.skeleton
        self._tables: list[ParquetWriter | PoseTrack2018Writer | DoubtsWriter] = []
        self._video: VideoWriter | None = None
        self._renderer = Renderer(skeleton, settings.render)
        self._scale = settings.video.scale
        self._every = settings.network.every
        is_stretch = settings.input.is_stretch
        try:
            self._parquet = ParquetWriter(
                folder / "poses.parquet",
                skeleton=skeleton,
                video=source.name,
                width=info.width,
                height=info.height,
                appearance=SIZE,
                every=self._every,
                is_stretch=is_stretch,
            )
            self._tables.append(self._parquet)
            self._json = PoseTrack2018Writer(folder / "poses.json", video=source.name, skeleton=skeleton)
            self._tables.append(self._json)
            self._doubts = DoubtsWriter(folder / "doubts.json", joints=len(skeleton.joints))
            self._tables.append(self._doubts)
            if settings.video.enabled:
                width, height = scaled_size(info.width, info.height, self._scale)
                self._video = VideoWriter(
                    folder / "tracked.mp4",
                    width=width,
                    height=height,
                    rate=info.average_rate,
                    is_stretch=is_stretch,
                    audio_from=Path(source.location) if info.has_audio else None,
                    quality=settings.video.quality,
                    encoder=settings.video.encoder,
                )
        except BaseException:
            self._abort_files()
            with suppress(OSError):  # it stays where there is anything else in it
                folder.rmdir()
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

    @property
    def wait_seconds(self) -> float:
        """Seconds that the encoder let this thread wait."""
        return self._video.wait_seconds if self._video else 0.0

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
        else:  # a video of an earlier run, or of its beginning, does not show these people
            self._remove(self._folder / "tracked.mp4", partial_of(self._folder / "tracked.mp4"))

    def abort(self) -> None:
        """Write what waits and close the files, readable, under their partial names; none stays without a frame."""
        self._join()
        self._abort_files()

    def _abort_files(self) -> None:
        for file in [*self._tables, self._video]:
            if file is not None:
                with suppress(Exception):  # the first error is the one to tell
                    file.abort()
        if not self.frames:
            self._remove(*(partial_of(self._folder / name) for name in ("poses.parquet", "poses.json", "doubts.json")))

    def _remove(self, *paths: Path) -> None:
        for path in paths:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _join(self) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._clock.wait("draw for frames"):
                item = self._queue.get()
            if item is None:
                return
            if self._error is not None:
                continue  # keep the queue moving, so that `put` never waits for nobody
            try:
                self._write(*item)
            except BaseException as error:
                self._error = error

    def _write(self, frame: Frame, poses: Poses) -> None:
        with self._clock.stage("tables"):
            self._parquet.add(frame.index, frame.pts, poses, frame.name, cut=frame.cut)
            self._json.add(frame.index, frame.name, poses)
            self._doubts.add(frame.index, frame.pts, poses, cut=frame.cut)
        if self._video is not None or self._show is not None:
            with self._clock.stage("render"):
                shown = as_seen(poses) if self._every > 1 else poses
                image = self._renderer.draw(*scaled(frame, shown, self._scale))
            if self._show is not None:
                self._show(image)
            if self._video is not None:
                self._video.write(image, frame.pts)
        if frame.cut:
            self.cuts.append(frame.pts)
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
