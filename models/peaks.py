"""Peaks of heatmaps, found where the heatmaps are: only the peaks leave the device.

Letters: B batch, C maps (one for each cluster of joints), H W height and width of a map, P peaks of a map,
D tags of a cell (one, or one for each view of the picture that was averaged).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Peaks", "find_peaks", "highest", "pack_peaks", "places", "unpack_peaks"]

_FLOOR = 1e-3
"""Heatmap values below this count as this much where a logarithm is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """The peaks of a batch, on the host; P is the largest number that any map has, and may be 0."""

    xy: npt.NDArray[np.float32]
    """float32 (B, C, P, 2): x, y in cells; (0, 0) is the centre of the first cell."""

    score: npt.NDArray[np.float32]
    """float32 (B, C, P): height of the heatmap, falling along P; 0 where a map has fewer peaks than P."""

    tags: npt.NDArray[np.float32]
    """float32 (B, C, P, D): tags at the peaks."""


def find_peaks(
    heatmaps: Tensor,
    tags: Tensor,
    *,
    threshold: float = 0.05,
    max_peaks: int | tuple[int, ...] = 30,
    valid: Sequence[tuple[int, int]] | None = None,
) -> Peaks:
    """Local maxima of each map, refined below the size of a cell, with the tags that lie under them.

    Args:
        heatmaps: (B, C, H, W), about 0..1, any floating type.
        tags: (B, D, C, H, W), any floating type.
        threshold: A cell must be higher than this to be a peak.
        max_peaks: The highest so many of each map are kept; one number, or one for each map.
        valid: B times width and height in cells of the part of each map that is picture; what lies beyond is
            padding, where no peak is looked for. None means all of it.

    Returns:
        The peaks, on the host.
    """
    packed = pack_peaks(heatmaps, tags, threshold=threshold, max_peaks=max_peaks, valid=valid)
    return unpack_peaks(packed.cpu().numpy())


def pack_peaks(
    heatmaps: Tensor,
    tags: Tensor,
    *,
    threshold: float,
    max_peaks: int | tuple[int, ...],
    valid: Sequence[tuple[int, int]] | None = None,
) -> Tensor:
    """What `find_peaks` finds, where the maps are: (B, C, P, 3 + D) with x, y, score and tags.

    P is the largest of `max_peaks`. Nothing in here waits for a GPU, so that it has work while the host does other.
    """
    C, H, W = heatmaps.shape[1:]
    limits = (max_peaks,) * C if isinstance(max_peaks, int) else max_peaks
    heatmaps = heatmaps.float()
    score, cell = highest(heatmaps, threshold=threshold, most=min(max(limits), H * W), valid=valid)
    for number, limit in enumerate(limits):
        score[:, number, limit:] = 0
    index = cell[:, None].expand(-1, tags.shape[1], -1, -1)
    under = tags.flatten(3).gather(3, index).movedim(1, -1).float()  # (B, C, P, D)
    return torch.cat([places(heatmaps, cell), score[..., None], under], dim=-1)


def unpack_peaks(packed: npt.NDArray[np.float32]) -> Peaks:
    """Peaks from what `pack_peaks` made, on the host."""
    score = packed[..., 2]
    longest = int((score > 0).sum(axis=2).max(initial=0))
    packed = packed[:, :, :longest]
    return Peaks(xy=packed[..., :2], score=packed[..., 2], tags=packed[..., 3:])


def highest(
    heatmaps: Tensor, *, threshold: float, most: int, valid: Sequence[tuple[int, int]] | None = None
) -> tuple[Tensor, Tensor]:
    """Heights of the peaks of each map, falling, 0 beyond the last; and their cells, by number. (B, C, P) each.

    Args:
        heatmaps: (B, C, H, W).
        threshold: As of `find_peaks`.
        most: P.
        valid: As of `find_peaks`.
    """
    height = torch.where(_is_peak(heatmaps) & (heatmaps > threshold), heatmaps, 0)
    for number, (columns, rows) in enumerate(valid or ()):
        height[number, :, rows:] = 0
        height[number, :, :, columns:] = 0
    return height.flatten(2).topk(most, dim=2)


def places(heatmaps: Tensor, cell: Tensor) -> Tensor:
    """(B, C, P, 2): x and y in cells of the peaks at `cell` (B, C, P), refined below the size of a cell."""
    W = heatmaps.shape[3]
    return torch.stack([cell % W, cell // W], dim=-1) + _offsets(heatmaps, cell)


def _is_peak(maps: Tensor) -> Tensor:
    """(B, C, H, W) of bool: cells that no neighbour exceeds, of equal neighbours the first in reading order.

    Half precision makes equal neighbours common, and each must not become two people.
    """
    padded = F.pad(maps, (1, 1, 1, 1), value=-torch.inf)
    # (B, C, H + 2, W): of each cell and those beside it; on a processor many times faster than by pooling.
    triples = torch.maximum(torch.maximum(padded[..., :-2], padded[..., 1:-1]), padded[..., 2:])
    before = torch.maximum(triples[:, :, :-2], padded[:, :, 1:-1, :-2])
    after = torch.maximum(triples[:, :, 2:], padded[:, :, 1:-1, 2:])
    return (maps > before) & (maps >= after)


def _offsets(heatmaps: Tensor, cell: Tensor) -> Tensor:
    """(B, C, P, 2): from the centre of each peak's cell to the top of the Gaussian through it and its neighbours.

    The logarithm of a Gaussian is a parabola, whose top follows from three values on each axis.
    """
    H, W = heatmaps.shape[2:]
    flat = heatmaps.flatten(2)
    x, y = cell % W, cell // W

    def log_at(x: Tensor, y: Tensor) -> Tensor:
        return flat.gather(2, y.clamp(0, H - 1) * W + x.clamp(0, W - 1)).clamp(min=_FLOOR).log()

    middle = log_at(x, y)
    offsets = []
    for place, last, below, above in (
        (x, W - 1, log_at(x - 1, y), log_at(x + 1, y)),
        (y, H - 1, log_at(x, y - 1), log_at(x, y + 1)),
    ):
        curvature = below + above - 2 * middle
        known = (curvature < 0) & (place > 0) & (place < last)  # at the border one of the three is missing
        offsets.append(torch.where(known, (below - above) / (2 * curvature), 0).clamp(-0.5, 0.5))
    return torch.stack(offsets, dim=-1)
