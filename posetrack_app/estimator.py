"""Frames in, people out: the network, peaks, grouping, what people look like, and the way back to the frame.

Letters: B batch, N persons, K joints, H W height and width.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.grouping import GroupingConfig, group
from models.peaks import Peaks, pack_peaks, unpack_peaks
from posetrack_app.appearance import looks
from posetrack_app.config import Settings
from posetrack_app.engines import (
    DeviceName,
    Engine,
    EngineName,
    PrecisionName,
    make_engine,
    resolve_device,
    resolve_precision,
)
from posetrack_app.errors import DeviceError
from posetrack_app.letterbox import STRIDE, Letterbox
from posetrack_app.types import Frame, Poses

__all__ = ["DeviceName", "PoseEstimator", "PrecisionName", "resolve_device", "resolve_precision"]

_BATCH = {"cpu": 2, "cuda": 16, "mps": 8}
"""Frames that go through together, by device, where nobody told or measured it."""

_MOST_TOGETHER, _MOST_WAITING = 64, 2**28
"""So many frames at most, and bytes of frames that wait for each other, are tried."""

_WORTH = 0.9
"""Twice as many frames together are better where one takes less than so many times as long."""


def _best_batch(seconds: Callable[[int], float], *, most: int) -> int:
    """A power of two, `most` at most: the least that twice as many are hardly faster than; `seconds` tells their time.

    Those that the GPU's memory does not hold are none.
    """
    batch, taken, tried = 1, math.inf, 1
    while tried <= most:
        try:
            needed = seconds(tried)
        except torch.OutOfMemoryError:
            break
        if needed / tried >= _WORTH * taken / batch:
            break
        batch, taken, tried = tried, needed, 2 * tried
    _free_memory()
    return batch


def _free_memory() -> None:
    """Give back what PyTorch keeps of a GPU's memory, after more was asked of it than there is."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class PoseEstimator:
    """The network and what belongs to it."""

    def __init__(
        self,
        *,
        weights: str | Path = "small",
        device: DeviceName = "auto",
        precision: PrecisionName = "auto",
        short_side: int = 256,
        max_long_side: int | None = None,
        mirror: bool = False,
        batch: int | None = None,
        grouping: GroupingConfig | None = None,
        engine: Engine | EngineName = "auto",
    ) -> None:
        """Load the network.

        Args:
            weights: Name of shipped weights, or path of a file.
            device: Where the network runs.
            precision: Its arithmetic.
            short_side: Pixels of the short side of its input; more finds smaller people, and takes longer.
            max_long_side: Pixels that the long side may have; None means four times `short_side`, which bounds
                memory for panoramas.
            mirror: Average with the mirrored picture, at twice the time.
            batch: Frames that go through together; None chooses by device, and lets `settle` measure. Results do not
                depend on it.
            grouping: How peaks become people.
            engine: What runs the network, by name, or made already: then weights, device and precision are its own.

        Raises:
            DeviceError: device, precision or engine is not to be had here.
            WeightsError: no such weights, or they are damaged or of another kind.
        """
        if isinstance(engine, str):
            engine = make_engine(engine, weights, device=device, precision=precision)
        self.engine = engine
        self.beside = engine.beside
        """Whether the network works while the processor does other things."""
        self.weights = str(weights)
        self.short_side = short_side
        self.max_long_side = max_long_side or 4 * short_side
        self.mirror = mirror
        self.batch = batch or _BATCH.get(engine.describe()["device"], 1)
        self._settled: dict[tuple[int, int], int] | None = None if batch or not engine.beside else {}
        self.grouping = grouping or GroupingConfig()
        self.skeleton = engine.config.joints
        """The joints of the poses."""
        self.seconds: dict[str, float] = {
            "prepare": 0.0, "network": 0.0, "peaks": 0.0, "grouping": 0.0, "appearance": 0.0,
        }  # fmt: skip
        """Seconds of work by stage, since the beginning."""
        clusters = self.skeleton.clusters[engine.config.sparse[-1]]
        self._max_peaks = tuple(30 * len(cluster) for cluster in clusters)

    @classmethod
    def from_settings(cls, settings: Settings) -> PoseEstimator:
        """The estimator that some settings ask for; errors as of the constructor."""
        network = settings.network
        return cls(
            weights=network.weights,
            engine=network.engine,
            device=network.device,
            precision=network.precision,
            short_side=network.short_side,
            mirror=network.mirror,
            batch=network.batch or None,
            grouping=settings.grouping,
        )

    def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
        """The people of each frame, in pixels of the frame, best first; frames may differ in size.

        Raises:
            DeviceError: as of `begin`.
        """
        return self.begin(frames)()

    def begin(self, frames: Sequence[Frame]) -> Callable[[], list[Poses]]:
        """Start the network on frames; what it returns waits for it, and gives what `estimate` gives.

        A GPU can work on the next frames while the people of these are put together. Where its memory does not hold
        `batch` frames, `batch` becomes smaller, and stays so.

        Raises:
            DeviceError: it does not hold a single one.
        """
        boxes = [self._letterbox(*frame.image.shape[1::-1]) for frame in frames]
        together: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for number, box in enumerate(boxes):
            together[box.canvas].append(number)
        begun: list[tuple[list[int], Callable[[], list[Poses]]]] = []
        for numbers in together.values():
            while numbers:
                some, rest = numbers[: self.batch], numbers[self.batch :]
                people = self._begun_or_too_many([frames[i].image for i in some], [boxes[i] for i in some])
                if people is not None:
                    begun.append((some, people))
                    numbers = rest
                elif len(some) > 1:
                    self.batch = len(some) // 2
                else:
                    width, height = boxes[some[0]].canvas
                    raise DeviceError(
                        f"the GPU's memory does not hold the network for one picture of {width}x{height}: "
                        f"use a smaller --short-side, or --device cpu"
                    )

        def finish() -> list[Poses]:
            poses = {number: one for some, people in begun for number, one in zip(some, people(), strict=True)}
            return [poses[number] for number in range(len(frames))]

        return finish

    def settle(self, width: int, height: int) -> None:
        """Choose how many frames of so many pixels go through a GPU together, by trying, where that was not told.

        The numbers double as long as it pays; a second or so for each size of the network's input.
        """
        if self._settled is None:
            return
        columns, rows = canvas = self.canvas(width, height)

        def seconds(batch: int) -> float:
            pictures = np.zeros((batch, rows, columns, 3), dtype=np.uint8)
            best = math.inf
            for _ in range(3):  # in the first, memory is taken and kernels are chosen
                started = time.perf_counter()
                self.engine.begin(pictures, mirror=self.mirror, then=lambda heatmaps, tags: heatmaps[..., :1, :1])()
                best = min(best, time.perf_counter() - started)
            return best

        if canvas not in self._settled:
            waiting = _MOST_WAITING // (3 * width * height)
            self._settled[canvas] = _best_batch(seconds, most=max(1, min(_MOST_TOGETHER, waiting)))
        self.batch = self._settled[canvas]

    def describe(self) -> dict[str, Any]:
        """What decides about the results, for reports."""
        return {
            "weights": self.weights,
            "network": self.engine.config.name,
            **self.engine.describe(),
            "short_side": self.short_side,
            "max_long_side": self.max_long_side,
            "mirror": self.mirror,
            "batch": self.batch,
        }

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the network's input for a frame of so many pixels."""
        return self._letterbox(width, height).canvas

    def _letterbox(self, width: int, height: int) -> Letterbox:
        return Letterbox.fit(
            width,
            height,
            short_side=self.short_side,
            max_long_side=self.max_long_side,
            multiple=self.engine.config.multiple,
        )

    def _begun_or_too_many(
        self, images: Sequence[npt.NDArray[np.uint8]], boxes: Sequence[Letterbox]
    ) -> Callable[[], list[Poses]] | None:
        """As `_begin`; None where the GPU's memory does not hold all of the images."""
        try:
            return self._begin(images, boxes)
        except torch.OutOfMemoryError:
            pass  # what the error holds is free only after this block
        _free_memory()
        return None

    def _begin(self, images: Sequence[npt.NDArray[np.uint8]], boxes: Sequence[Letterbox]) -> Callable[[], list[Poses]]:
        """Start the network on images whose canvases have one size; what it returns waits, and gives the people."""
        with self._stage("prepare"):
            width, height = boxes[0].canvas
            canvas = np.empty((len(images), height, width, 3), dtype=np.uint8)
            for number, (image, box) in enumerate(zip(images, boxes, strict=True)):
                box.draw(image, canvas[number])

        def peaks(heatmaps: Tensor, tags: Tensor) -> Tensor:
            with self._stage("peaks"):
                return pack_peaks(
                    heatmaps,
                    tags,
                    threshold=self.grouping.peak_threshold,
                    max_peaks=self._max_peaks,
                    valid=[box.cells for box in boxes],
                )

        with self._stage("network"):
            packed = self.engine.begin(canvas, mirror=self.mirror, then=peaks)

        def finish() -> list[Poses]:
            with self._stage("network"):
                found = unpack_peaks(packed())
            return self._people(found, canvas, boxes)

        return finish

    def _people(self, peaks: Peaks, canvas: npt.NDArray[np.uint8], boxes: Sequence[Letterbox]) -> list[Poses]:
        """The people of pictures that lie in canvases (B, H, W, 3)."""
        with self._stage("grouping"):
            found = [
                group(
                    peaks.xy[number],
                    peaks.score[number],
                    peaks.tags[number],
                    skeleton=self.skeleton,
                    config=self.grouping,
                )
                for number in range(len(boxes))
            ]
        with self._stage("appearance"):
            appearance = [
                looks(picture, (people.xy + 0.5) * STRIDE - 0.5, people.joint_score, skeleton=self.skeleton)
                for picture, people in zip(canvas, found, strict=True)
            ]
        return [
            Poses.untracked(
                xy=np.where(people.joint_score[..., None] > 0, box.to_frame(people.xy), 0),
                joint_score=people.joint_score,
                score=people.score,
                appearance=look,
            )
            for people, box, look in zip(found, boxes, appearance, strict=True)
        ]

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Add the time of a block to a stage; that of a stage inside of it counts there alone."""
        started, elsewhere = time.perf_counter(), sum(self.seconds.values())
        try:
            yield
        finally:
            elsewhere = sum(self.seconds.values()) - elsewhere
            self.seconds[name] += time.perf_counter() - started - elsewhere
