"""Batches of training: which photos, cropped and changed how.

Letters: B batch, H W height and width of the network's input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from models.targets import Labels

__all__ = ["Batch", "Sampler"]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Pictures and what is known of them, on the device."""

    images: Tensor
    """float32 (B, 3, H, W), RGB 0..255."""

    labels: Labels
    """In cells of the maps, H/4 by W/4."""


class Sampler(Protocol):
    """Where batches come from; the photos lie on the device, or are read by workers."""

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> Batch:
        """The batch of a step: decided by seed and step alone, so that a resumed training sees what it would have.

        With `world` processes, each gets its equal share of the one batch of this step.
        """
        ...

    def close(self) -> None:
        """Let go of workers and memory."""
        ...
