"""All photos on the device, decoded once: nothing but tensor operations is left to do for a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch

from posetrack_app.training.decoding import Pixels, decode_photo, layout
from posetrack_app.training.photos import LabelledPhoto
from posetrack_app.training.planning import Planner
from posetrack_app.training.sampling import Batch

__all__ = ["DeviceSampler"]

T = TypeVar("T")


class DeviceSampler:
    """A `Sampler` of photos that lie on the device."""

    def __init__(
        self,
        photos: Sequence[LabelledPhoto],
        planner: Planner,
        *,
        device: torch.device,
        workers: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        """Decode all photos.

        Raises:
            InputError: a photo cannot be read, or is of another size than its annotations say.
        """
        self._planner = planner
        sizes = planner.level_sizes
        start, total = layout(sizes)
        flat = torch.empty(total, dtype=torch.int32, device=device)
        with ThreadPoolExecutor(max(1, workers)) as pool:
            tasks = (pool.submit(decode_photo, photo, size) for photo, size in zip(photos, sizes, strict=True))
            for number, pixels in enumerate(_ahead(tasks, 4 * max(1, workers))):
                first = start[number, 0]
                flat[first : first + len(pixels)] = torch.from_numpy(pixels)
                if progress is not None:
                    progress(number + 1, len(photos))
        self._pixels: Pixels | None = Pixels(flat=flat, start=start, size=sizes)

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> Batch:
        """The batch of a step, or this process's share of it; see `Sampler`."""
        if self._pixels is None:
            raise ValueError("the sampler is closed")
        plan = self._planner.plan(step, rank=rank, world=world)
        return self._planner.finish(plan, self._pixels, plan.views.photo)

    def close(self) -> None:
        """Let go of the photos."""
        self._pixels = None


def _ahead(tasks: Iterable[Future[T]], number: int) -> Iterator[T]:
    """Results in order, of which so many are begun before the first is asked for."""
    tasks = iter(tasks)
    begun = list(islice(tasks, number))
    try:
        while begun:
            result = begun.pop(0).result()
            begun += islice(tasks, 1)
            yield result
    finally:
        for task in begun:
            task.cancel()
