"""Photos that are read and decoded for each batch, by threads, a few batches ahead."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from posetrack_app.training.decoding import Pixels, decode_photo, layout
from posetrack_app.training.photos import LabelledPhoto
from posetrack_app.training.planning import Plan, Planner
from posetrack_app.training.sampling import Batch

__all__ = ["StreamSampler"]

_AHEAD = 2
"""Batches that are read while one is in use."""


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    """A batch on its way."""

    plan: Plan
    numbers: npt.NDArray[np.intp]
    """The photos that it needs."""
    rows: npt.NDArray[np.intp]
    """(V,): which of them each view shows."""
    tasks: list[Future[npt.NDArray[np.int32]]]


class StreamSampler:
    """A `Sampler` of photos that stay where they are; the pixels of `_AHEAD` + 1 batches are in memory.

    Threads do, and processes would copy every pixel: OpenCV lets others run while it decodes.
    """

    def __init__(
        self, photos: Sequence[LabelledPhoto], planner: Planner, *, device: torch.device, workers: int
    ) -> None:
        self._photos = photos
        self._planner = planner
        self._device = device
        self._pool = ThreadPoolExecutor(max(1, workers))
        self._readings: dict[tuple[int, int, int], _Reading] = {}

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> Batch:
        """The batch of a step, or this process's share of it; see `Sampler`. Fast where steps follow each other.

        Raises:
            InputError: a photo cannot be read, or is of another size than its annotations say.
        """
        wanted = [(later, rank, world) for later in range(step, step + 1 + _AHEAD)]
        for key in self._readings.keys() - set(wanted):
            for task in self._readings.pop(key).tasks:
                task.cancel()
        for key in wanted:
            if key not in self._readings:
                self._readings[key] = self._begin(*key)
        reading = self._readings.pop(wanted[0])
        size = self._planner.level_sizes[reading.numbers]
        start, _ = layout(size)
        flat = torch.from_numpy(np.concatenate([task.result() for task in reading.tasks]))
        pixels = Pixels(flat=flat.to(self._device), start=start, size=size)
        return self._planner.finish(reading.plan, pixels, reading.rows)

    def close(self) -> None:
        """Stop reading."""
        self._readings.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, step: int, rank: int, world: int) -> _Reading:
        plan = self._planner.plan(step, rank=rank, world=world)
        numbers, rows = np.unique(plan.views.photo, return_inverse=True)
        sizes = self._planner.level_sizes
        tasks = [self._pool.submit(decode_photo, self._photos[n], sizes[n]) for n in numbers.tolist()]
        return _Reading(plan=plan, numbers=numbers, rows=rows, tasks=tasks)
