"""What the network is to say of labelled pictures: heatmaps with a peak for each joint, and where nothing is known.

Letters: B batch, N persons, K joints, C maps (one for each cluster of joints), H W height and width of a map.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Labels"]


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
