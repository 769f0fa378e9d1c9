"""What the network is to say of labelled pictures: heatmaps with a peak for each joint, and where nothing is known.

Letters: B batch, N persons, K joints, C maps (one for each cluster of joints), H W height and width of a map,
R labelled joints of a batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Clusters", "Labels", "heatmaps", "known", "map_of", "under_peaks"]

Clusters = tuple[tuple[int, ...], ...]
"""The joints of each map, as in `Skeleton.clusters`; every joint is in one of them."""

_ENDS = 4.0
"""Gaussians end at this many sigmas, where they are 3e-4, far below what is looked at as a peak."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What is known of the people of a batch; N is the largest number in any picture, and may be 0."""

    xy: Tensor
    """float32 (B, N, K, 2): x, y in cells of the maps; (0, 0) is the centre of the first cell."""

    labelled: Tensor
    """bool (B, N, K): the place is known and inside the picture, so there is a peak and a tag."""

    size: Tensor
    """float32 (B, N): root of the person's area, in cells; 0 where it is not known."""

    unknown: Tensor
    """bool (B, K, H, W): cells where nothing is known about a joint; the heatmap loss leaves them out."""


def heatmaps(labels: Labels, clusters: Clusters, *, sigma: float | Tensor) -> Tensor:
    """(B, C, H, W): in each cell the highest of the Gaussians exp(-d^2 / (2 sigma^2)) of the joints of the map.

    Args:
        labels: Whose joints; the distance d is from the joint itself, not from the centre of its cell.
        clusters: The joints of each map.
        sigma: Cells; one number, or (B, N, K) for each joint. A Gaussian is 0 beyond four of them in x or in y.
    """
    B, _, H, W = labels.unknown.shape
    maps = torch.zeros(B * len(clusters) * H * W, device=labels.xy.device)
    peaks = _draw(labels, clusters, sigma)
    maps.scatter_reduce_(0, peaks.cell.flatten(), peaks.height.flatten(), "amax")
    return maps.view(B, len(clusters), H, W)


def under_peaks(values: Tensor, labels: Labels, clusters: Clusters, *, sigma: float | Tensor, default: float) -> Tensor:
    """(B, C, H, W): in each cell the value of the joint whose Gaussian is the highest there.

    Args:
        values: (B, N, K), positive; of joints with Gaussians of one height in a cell the highest is taken.
        labels: Whose joints.
        clusters: The joints of each map.
        sigma: As of `heatmaps`.
        default: What cells get that no Gaussian reaches.
    """
    maps = heatmaps(labels, clusters, sigma=sigma)
    peaks = _draw(labels, clusters, sigma)
    highest = (peaks.height > 0) & (peaks.height == maps.flatten()[peaks.cell])
    each = torch.where(highest, values[labels.labelled].float()[:, None, None], 0)
    found = torch.zeros_like(maps).flatten()
    found.scatter_reduce_(0, peaks.cell.flatten(), each.flatten(), "amax")
    return torch.where(maps > 0, found.view_as(maps), default)


def known(labels: Labels, clusters: Clusters) -> Tensor:
    """Cells of each map where all of its joints are known, there or not there: bool (B, C, H, W)."""
    if all(len(joints) == 1 for joints in clusters):
        return ~labels.unknown[:, [joint for (joint,) in clusters]]
    each = labels.unknown.unbind(1)  # joint by joint: several times as fast as `any` over an axis
    return torch.stack([~reduce(torch.logical_or, [each[joint] for joint in joints]) for joints in clusters], dim=1)


def map_of(clusters: Clusters, device: torch.device | None = None) -> Tensor:
    """int64 (K,): the number of the map that holds each joint.

    >>> map_of(((0, 2), (1,))).tolist()
    [0, 1, 0]
    """
    number_of = {joint: number for number, joints in enumerate(clusters) for joint in joints}
    return torch.tensor([number_of[joint] for joint in sorted(number_of)], device=device)


class _Peaks(NamedTuple):
    """A square window of cells around each labelled joint."""

    cell: Tensor
    """int64 (R, S, S): place in the flat maps (B, C, H, W)."""

    height: Tensor
    """float32 (R, S, S): of the joint's Gaussian; 0 beyond its end, and where the window is beyond the map."""


def _draw(labels: Labels, clusters: Clusters, sigma: float | Tensor) -> _Peaks:
    _, _, H, W = labels.unknown.shape
    device = labels.xy.device
    picture, person, joint = labels.labelled.nonzero().unbind(1)  # (R,)
    xy = labels.xy[picture, person, joint].float()
    if isinstance(sigma, Tensor):
        width = sigma[picture, person, joint].float()
        widest = float(width.max()) if len(width) else 0.0
    else:
        width, widest = torch.full_like(xy[:, 0], sigma), sigma
    radius = math.ceil(_ENDS * widest)
    around = torch.arange(-radius, radius + 1, device=device)
    cells = xy.round().long()[..., None] + around  # (R, 2, S)
    apart = (cells - xy[..., None]) / width[:, None, None]
    inside = (cells >= 0) & (cells < torch.tensor([W, H], device=device)[:, None])
    along = torch.where(inside & (apart.abs() <= _ENDS), torch.exp(-0.5 * apart**2), 0)
    x, y = cells[:, 0].clamp(0, W - 1), cells[:, 1].clamp(0, H - 1)
    first = (picture * len(clusters) + map_of(clusters, device)[joint]) * (H * W)
    return _Peaks(
        cell=first[:, None, None] + y[:, :, None] * W + x[:, None, :],
        height=along[:, 1, :, None] * along[:, 0, None, :],
    )
