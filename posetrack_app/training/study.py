"""The networks of the paper against each other: scaled down alike, trained alike, measured on the same photos.

Letters: B batch, N persons, K joints, C maps, P peaks.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from models.cluster_net import ClusterNet, ClusterNetConfig, StackOutput
from models.losses import LossConfig, loss
from models.peaks import find_peaks
from models.skeleton import Skeleton
from models.targets import Labels, known
from posetrack_app.training.config import read_network
from posetrack_app.training.loop import Trainer
from posetrack_app.training.sampling import Batch

__all__ = ["NAMES", "Measured", "empty_error", "found_share", "held_out_error", "scaled_down", "table", "train_for"]

NAMES = ("pose_ae", "cluster1", "cluster2", "in_branch", "cross_branch", "in_cross_branch")
"""The networks, as their files in configs/models are called."""

_TIMED_STEPS = 10
"""Steps from which the time of the others is foretold; the first are slow and not counted."""

_LOWEST = 0.02
"""Peaks below are not counted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What became of a network with one seed."""

    name: str
    """Of the network."""

    seed: int
    """Of its random weights; batches are the same for all."""

    parameters: int
    """Numbers that are learned."""

    steps: int
    """That it was trained for."""

    seconds: float
    """That they took."""

    heatmap_error: float
    """What the last sparse heatmaps cost on photos that were not learned from, of `held_out_error`."""

    empty_error: float
    """The same of empty heatmaps."""

    found: float
    """Percent of the labelled joints there that are found, of `found_share`."""

    ap: float | None = None
    """OKS AP of whole people on the dev photos, percent; None where there are none."""


def scaled_down(name: str, *, stacks: int, channels: int, depth: int = 3) -> ClusterNetConfig:
    """A network of the paper with fewer stacks, the last ones, and fewer channels.

    Raises:
        ValueError: more stacks than it has.
    """
    full = read_network(name)
    if not 1 <= stacks <= full.stacks:
        raise ValueError(f"'{name}' has {full.stacks} stacks, not {stacks}")
    return dataclasses.replace(
        full,
        channels=channels,
        # Half of the channels, as in the paper, but room for a map of each joint and as many general features.
        branch_channels=max(channels // 2, 2 * full.sparse[-1]),
        depth=depth,
        sparse=full.sparse[-stacks:],
        dense=full.dense[-stacks:],
    )


def train_for(trainer: Trainer, *, minutes: float | None, clock: Callable[[], float] = time.perf_counter) -> float:
    """Take all steps, or as many as there is time for, and let the learning rate fall over them; returns seconds.

    Args:
        trainer: At its first step. Its number of steps becomes less where the time is short.
        minutes: None for no limit.
        clock: Seconds.
    """
    started = middle = clock()
    while trainer.step < trainer.total:
        trainer.take_step()
        if trainer.step == _TIMED_STEPS // 2:
            middle = clock()
        if minutes is not None and trainer.step == _TIMED_STEPS:
            each = (clock() - middle) / (_TIMED_STEPS - _TIMED_STEPS // 2)
            left = 60 * minutes - (clock() - started)
            trainer.total = min(trainer.total, trainer.step + max(0, math.floor(left / max(each, 1e-9))))
    return clock() - started


@torch.no_grad()
def held_out_error(
    network: Callable[[Tensor], Sequence[StackOutput]],
    batches: Sequence[Batch],
    shape: ClusterNetConfig,
    config: LossConfig,
) -> float:
    """What the last sparse heatmaps cost on these pictures, times 1000.

    Args:
        network: Of pictures to the maps of all stacks.
        batches: What is measured on; each picture counts the same.
        shape: Of the network.
        config: As in training: without its weight for peaks, maps that learned with it look worse than empty ones.
    """
    name = f"sparse_{shape.stacks - 1}_heatmap"
    pictures = sum(len(batch.images) for batch in batches)
    total = 0.0
    for batch in batches:
        losses = loss(network(batch.images), batch.labels, shape, config)
        total += float(losses.terms[name]) * len(batch.images)
    return 1000 * total / max(1, pictures)


def empty_error(batches: Sequence[Batch], shape: ClusterNetConfig, config: LossConfig) -> float:
    """The same of maps that say that nobody is there: who costs as much has learned nothing."""

    def say_nothing(images: Tensor) -> list[StackOutput]:
        B, _, H, W = images.shape
        maps = [images.new_zeros(B, clusters, H // 4, W // 4) for clusters in shape.sparse]
        return [StackOutput(empty, empty, None, None) for empty in maps]

    return held_out_error(say_nothing, batches, shape, config)


@torch.no_grad()
def found_share(network: ClusterNet, batches: Sequence[Batch]) -> float:
    """Percent of labelled joints that are among the highest peaks of their map, of which as many count as joints.

    No threshold, and no grouping, has a part in it. A peak is a joint's where OKS is 0.5 or more, for the size of the
    person; joints of people of unknown size count as peaks only. The maps must hold one joint each.
    """
    hits = joints = 0
    skeleton = network.config.joints
    for batch in batches:
        maps = network.infer(batch.images).heatmaps
        some_hits, some_joints = _found(maps, batch.labels, skeleton)
        hits, joints = hits + some_hits, joints + some_joints
    return 100 * hits / max(1, joints)


def _found(maps: Tensor, labels: Labels, skeleton: Skeleton) -> tuple[int, int]:
    """How many joints are found, and of how many."""
    clusters = skeleton.clusters[len(skeleton.joints)]
    peaks = find_peaks(maps * known(labels, clusters), maps[:, None], threshold=_LOWEST, max_peaks=100)
    xy, size = labels.xy.cpu().numpy(), labels.size.cpu().numpy()
    labelled = labels.labelled.cpu().numpy()
    hits = joints = 0
    for b, k in np.argwhere(labelled.any(axis=1)).tolist():
        count = int(labelled[b, :, k].sum())
        sized = labelled[b, :, k] & (size[b] > 0)
        highest = peaks.xy[b, k, :count][peaks.score[b, k, :count] > 0]
        apart = np.linalg.norm(xy[b, sized, k][:, None] - highest, axis=2)
        # exp(-d^2 / (2 (2 sigma s)^2)) >= 0.5
        reach = 2 * skeleton.sigmas[k] * size[b, sized] * math.sqrt(2 * math.log(2))
        near = apart <= reach[:, None]
        hits += int(near[linear_sum_assignment(near, maximize=True)].sum())
        joints += int(sized.sum())
    return hits, joints


def table(rows: Sequence[Measured]) -> str:
    """Markdown: a line a network, in the order in which they come first; with several seeds mean and deviation.

    The last line is what heatmaps cost that are empty.
    """
    head = ("network", "parameters", "steps", "seconds", "heatmap loss x 1000", "joints found, %", "AP, %")
    lines = [head, ("---", *["---:"] * (len(head) - 1))]
    for name in dict.fromkeys(row.name for row in rows):
        own = [row for row in rows if row.name == name]
        aps = [row.ap for row in own if row.ap is not None]
        lines.append(
            (
                name,
                f"{own[0].parameters / 1e6:.2f} M",
                _several([row.steps for row in own], 0),
                _several([row.seconds for row in own], 0),
                _several([row.heatmap_error for row in own], 3),
                _several([row.found for row in own], 1),
                _several(aps, 2) if aps else "-",
            )
        )
    if rows:
        lines.append(("empty maps", "-", "-", "-", f"{rows[0].empty_error:.3f}", "0.0", "-"))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _several(values: Sequence[float], digits: int) -> str:
    mean = f"{statistics.fmean(values):.{digits}f}"
    if len(values) == 1 or not digits:
        return mean
    return f"{mean} ± {statistics.stdev(values):.{digits}f}"
