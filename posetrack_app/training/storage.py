"""Where photos lie during training: all on the device, or on disk and read as they are needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch

from models.skeleton import Skeleton
from posetrack_app.errors import UsageError
from posetrack_app.training.augmentation import CELL, AugmentationConfig
from posetrack_app.training.decoding import layout
from posetrack_app.training.device_set import DeviceSampler
from posetrack_app.training.photos import LabelledPhoto
from posetrack_app.training.planning import Planner
from posetrack_app.training.sampling import Sampler
from posetrack_app.training.streaming import StreamSampler

__all__ = ["Storage", "open_sampler"]

Storage = Literal["auto", "device", "stream"]

_BYTES = 4
"""Of a pixel."""


def open_sampler(
    photos: Sequence[LabelledPhoto],
    config: AugmentationConfig,
    *,
    skeleton: Skeleton,
    side: int | tuple[int, int],
    batch: int,
    seed: int,
    device: torch.device | str,
    storage: Storage = "auto",
    workers: int = 2,
    shares: Mapping[str, float] | None = None,
    max_side: int | None = None,
    memory_share: float = 0.5,
    progress: Callable[[int, int], None] | None = None,
) -> Sampler:
    """Batches of augmented photos; the same ones wherever the photos lie.

    Args:
        photos: what to train on.
        config: how photos are changed.
        skeleton: the joints of the photos' labels.
        side: of the pictures, pixels, or their width and height; multiples of 4.
        batch: pictures a step.
        seed: another one gives other batches.
        device: where batches are made.
        storage: `device` decodes all photos once and keeps them there, `stream` reads them for each batch; `auto`
            takes the first where they fit.
        workers: threads that decode.
        shares: how often an epoch shows each photo of a source; once where a source is not named.
        max_side: photos are kept with a long side of at most this, pixels; None is twice the pictures' long side.
            Less saves memory, and what is enlarged by `max_zoom` becomes blurred.
        memory_share: how much of the free memory of the device photos may take.
        progress: is told how many photos of how many are decoded.

    Raises:
        UsageError: sides that do not fit, a source that does not exist, or photos that do not fit into memory.
        InputError: a photo cannot be read, or is of another size than its annotations say.
    """
    size = (side, side) if isinstance(side, int) else side
    if min(size) < CELL or any(pixels % CELL for pixels in size):
        raise UsageError(f"pictures of {size[0]} x {size[1]} pixels: sides must be multiples of {CELL}")
    device = torch.device(device)
    planner = Planner(
        photos,
        config,
        skeleton=skeleton,
        size=size,
        batch=batch,
        seed=seed,
        shares=shares or {},
        max_side=max_side or 2 * max(size),
    )
    if storage != "stream":
        needed, free = _BYTES * layout(planner.level_sizes)[1], _free_memory(device)
        fits = needed <= memory_share * free
        if storage == "device" and not fits:
            what = f"{len(photos)} photos take {needed / 1e9:.1f} GB of the {free / 1e9:.1f} GB that {device} has free"
            raise UsageError(f"{what}: storage 'stream' reads them as they are needed, and max_side makes them smaller")
        if fits:
            return DeviceSampler(photos, planner, device=device, workers=workers, progress=progress)
    return StreamSampler(photos, planner, device=device, workers=workers)


def _free_memory(device: torch.device) -> int:
    """Bytes that a program may still take; where the system does not say, half of what there is, or 8 GB."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 8 * 10**9
