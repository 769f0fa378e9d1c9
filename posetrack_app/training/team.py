"""The processes of a training: one alone, or those that torchrun started, on one machine or many."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from posetrack_app.errors import UsageError

__all__ = ["Team", "join_team"]

_PATIENCE = timedelta(hours=2)
"""How long the others wait for the first process, which alone measures and writes."""


@dataclass(frozen=True)
class Team:
    """Who else trains the same network; without others, everything here does nothing."""

    device: torch.device
    """Where this process computes."""

    rank: int = 0
    """Number of this process among all; 0 leads: it alone measures, writes and speaks."""

    world: int = 1
    """How many processes there are."""

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network, whose gradients become the mean over all processes."""
        if self.world == 1:
            return network
        if self.device.type != "cuda":
            return DistributedDataParallel(network)
        # A process's part of a batch is small: batch norms look at all of them. Only GPUs can.
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(network, device_ids=[self.device.index])

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes; every process must ask."""
        if self.world > 1:
            dist.all_reduce(values)
            values = values / self.world
        return values

    def any(self, flag: bool) -> bool:
        """Whether it is true in any process; every process must ask."""
        if self.world == 1:
            return flag
        return bool(self.mean(torch.tensor(float(flag), device=self.device)) > 0)

    def wait(self) -> None:
        """Until all processes are here."""
        self.any(False)


@contextmanager
def join_team(device: str) -> Iterator[Team]:
    """The team of this process, by the environment variables of torchrun; one alone without them.

    Args:
        device: cpu, cuda or mps.

    Raises:
        UsageError: many processes on a device that cannot.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or "RANK" not in os.environ:
        yield Team(torch.device(device))
        return
    if device == "mps":
        raise UsageError("many processes train on cpu or cuda, not on 'mps'; start one, without torchrun")
    place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if device == "cuda" else torch.device(device)
    if device == "cuda":
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield Team(place, rank=dist.get_rank(), world=world)
    finally:
        dist.destroy_process_group()
