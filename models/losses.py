"""The losses of Zhao et al., Pattern Recognition 98 (2020) 107074, equations (1) to (8).

At every stack, for the sparse and for the dense branch: heatmaps are drawn towards a Gaussian for each joint, the tags
of a person together, and the tags of different people apart.

Letters: B batch, N persons, K joints, C maps (one for each cluster of joints), H W height and width of a map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from models.cluster_net import ClusterNetConfig, StackOutput
from models.skeleton import Skeleton
from models.targets import Clusters, Labels, heatmaps, known, map_of, under_peaks

__all__ = ["LossConfig", "Losses", "collapsed", "loss"]

_WIDTHS = 2.0
"""With `heatmap = "oks"` Gaussians are at most so many times as wide as `sigma`, and at least that share of it."""


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What a mistake costs."""

    heatmap: Literal["squared", "focal", "oks"] = "squared"
    """How the error of a heatmap is counted. `squared` is the paper's. `focal` is the square times the error's amount,
    so that cells that are nearly right count little: the factor |y - p|^b of the focal loss of graded targets (Li et
    al. 2020, Generalized Focal Loss, equation 4), with b = 1. `oks` makes mistakes cost what they cost in COCO's
    measure: the Gaussian of a joint is as wide as OKS tolerates for a person of this size (from half of `sigma` to
    twice), and the squared error around it counts (sigma / width)^2, so that a joint that is off costs in proportion to
    what it loses in OKS, and all joints that are missing cost the same."""

    sigma: float = 1.5
    """Width of a target's Gaussian, cells. Near 0 a peak is a single cell, hard to find and without a place below the
    size of a cell; too high, peaks of neighbours melt into each other."""

    peak_weight: float = 0.0
    """Cells count 1 + this * target. At 0, as in the paper, empty cells outweigh peaks by far and these stay low for
    long; too high, heatmaps see joints everywhere. The shipped weights were made with 10."""

    heatmap_weight: float = 1.0
    """lambda_d of equation (8): of the heatmaps in the total. At 0 nothing is found."""

    tag_weight: float = 1e-3
    """lambda_e of equation (8): of the tags in the total. At 0 nobody is told from others; too high, heatmaps learn
    slowly."""

    push: Literal["gaussian", "laplace"] = "gaussian"
    """How the tags of two people push each other away: `gaussian` is exp(-(a - b)^2 / (2 margin^2)), the paper's, which
    has no slope where they are equal, so that tags which fell together stay so; `laplace` is exp(-|a - b|), whose slope
    is greatest there."""

    margin: float = 4.0
    """Delta of equation (6), in units of tags: the distance from which on people push each other less and less; of
    `gaussian` only. Near 0 neighbours have nearly the same tag; too high, tags spread without end."""

    offset: float = 0.03
    """delta of equations (3) to (5): distance between the tags of neighbouring joints in a map that holds several;
    `grouping.tag_step` when people are found. At 0 such joints cannot be told apart; too high, they look like those of
    another person."""

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        for name in ("sigma", "margin"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"loss: {name} = {getattr(self, name)} must be above 0")
        for name in ("peak_weight", "heatmap_weight", "tag_weight", "offset"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"loss: {name} = {getattr(self, name)} must not be below 0")


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """What the mistakes of a batch cost. Each is a mean over pictures, so a batch costs the mean of its halves."""

    total: Tensor
    """float32 (): what to descend, with its gradient; equation (8) summed over stacks."""

    terms: dict[str, Tensor]
    """float32 () each, detached, before the weights of (8): `sparse_0_heatmap`, `sparse_0_pull`, `sparse_0_push`, the
    same as `dense_0_...` where there is a dense branch, and so on for every stack."""

    crowded: Tensor
    """float32 (): share of the pictures in which two people or more have a labelled joint; only these push."""


def loss(outputs: Sequence[StackOutput], labels: Labels, network: ClusterNetConfig, config: LossConfig) -> Losses:
    """What the mistakes of all stacks and branches cost, in float32 whatever the arithmetic of the network.

    All means are over the cells, joints, people or pairs of one picture first and then over the pictures, also those
    where nobody is. So the loss of a batch is the mean of the losses of its equal parts, which is what training on many
    devices takes it for.

    Args:
        outputs: What the network said, one a stack.
        labels: What is known of the pictures.
        network: Configuration of the network, which names the clusters of each branch.
        config: The weights.
    """
    device = labels.xy.device
    total, terms = torch.zeros((), device=device), {}
    with torch.autocast(device.type, enabled=False):
        crowded = (labels.labelled.any(dim=2).sum(dim=1) >= 2).float()
        targets = {
            clusters: _target(labels, network.joints, network.joints.clusters[clusters], config)
            for clusters in {*network.sparse, *network.dense}
        }
        for stack, output in enumerate(outputs):
            branches = [("sparse", network.sparse[stack], output.sparse_heatmaps, output.sparse_tags)]
            if output.dense_heatmaps is not None and output.dense_tags is not None:
                branches.append(("dense", network.dense[stack], output.dense_heatmaps, output.dense_tags))
            for branch, clusters, maps, tags in branches:
                heatmap = _heatmap_loss(maps.float(), targets[clusters], config)
                pull, push = _tag_losses(tags.float(), labels, network.joints.clusters[clusters], config)
                total = total + config.heatmap_weight * heatmap + config.tag_weight * (pull + push)
                for name, term in (("heatmap", heatmap), ("pull", pull), ("push", push)):
                    terms[f"{branch}_{stack}_{name}"] = term.detach()
    return Losses(total=total, terms=terms, crowded=_mean(crowded))


def collapsed(terms: Mapping[str, float | Tensor], crowded: float | Tensor, *, limit: float = 0.98) -> list[str]:
    """The branches, as `sparse_1`, whose tags are the same for everybody: pushes near 1 that do not fall.

    At the beginning all are; after a few hundred steps it is worth a warning.

    Args:
        terms: Of `Losses`, or means of them over many batches.
        crowded: Of `Losses`, or its mean over the same batches; at 0 nothing can be told.
        limit: From this mean push on, over the pictures with two people or more.
    """
    pushes = {name.removesuffix("_push"): float(term) for name, term in terms.items() if name.endswith("_push")}
    return [branch for branch, push in pushes.items() if float(crowded) > 0 and push >= limit * float(crowded)]


class _Target(NamedTuple):
    """What the heatmaps of one division into clusters are to be."""

    maps: Tensor
    """float32 (B, C, H, W), 0..1."""

    weight: Tensor
    """float32 (B, C, H, W): how much the error of a cell counts; 0 where nothing is known."""


@torch.no_grad()
def _target(labels: Labels, skeleton: Skeleton, clusters: Clusters, config: LossConfig) -> _Target:
    sigma = _widths(labels, skeleton, config) if config.heatmap == "oks" else config.sigma
    maps = heatmaps(labels, clusters, sigma=sigma)
    weight = (1 + config.peak_weight * maps) * known(labels, clusters)
    if isinstance(sigma, Tensor):
        weight *= under_peaks((config.sigma / sigma) ** 2, labels, clusters, sigma=sigma, default=1)
    return _Target(maps, weight)


def _widths(labels: Labels, skeleton: Skeleton, config: LossConfig) -> Tensor:
    """(B, N, K), cells: the deviation that OKS tolerates, its k s with k twice the labellers' sigma, within bounds."""
    tolerance = 2 * torch.tensor(skeleton.sigmas, device=labels.size.device)
    width = (labels.size[..., None] * tolerance).clamp(config.sigma / _WIDTHS, config.sigma * _WIDTHS)
    return torch.where(labels.size[..., None] > 0, width, config.sigma)


def _heatmap_loss(maps: Tensor, target: _Target, config: LossConfig) -> Tensor:
    """(): equation (1), a mean over all cells; those of which nothing is known count as right."""
    error = maps - target.maps
    cost = error * error * target.weight
    return _mean(cost * error.abs() if config.heatmap == "focal" else cost)


def _tag_losses(tags: Tensor, labels: Labels, clusters: Clusters, config: LossConfig) -> tuple[Tensor, Tensor]:
    """() and (): pull, equations (2) to (5), and push, equation (6).

    Joint k of person n, of place d_k in its cluster, is to have the tag of the person plus (d_k - mean d) * delta; the
    tag of the person is the mean of what the joints say of it.
    """
    labelled, offset = labels.labelled, _offsets(clusters, labels.xy.device) * config.offset
    own = torch.where(labelled, _at_joints(tags, labels, clusters) - offset, 0)  # (B, N, K)
    joints = labelled.sum(dim=2)
    reference = own.sum(dim=2) / joints.clamp(min=1)  # (B, N)
    apart = torch.where(labelled, own - reference[..., None], 0)
    present = joints > 0
    persons = present.sum(dim=1)
    pull = ((apart * apart).sum(dim=2) / joints.clamp(min=1)).sum(dim=1) / persons.clamp(min=1)  # (B,)

    others = present[:, :, None] & present[:, None] & ~torch.eye(present.shape[1], dtype=torch.bool, device=own.device)
    gap = reference[:, :, None] - reference[:, None]
    near = torch.exp(-gap.abs() if config.push == "laplace" else -(gap * gap) / (2 * config.margin**2))
    push = torch.where(others, near, 0).sum(dim=(1, 2)) / (persons * (persons - 1)).clamp(min=1)
    return _mean(pull), _mean(push)


def _at_joints(tags: Tensor, labels: Labels, clusters: Clusters) -> Tensor:
    """(B, N, K): the tag in the cell nearest to each joint, in the map that holds it; any number where not labelled."""
    _, _, H, W = tags.shape
    x, y = torch.where(labels.labelled[..., None], labels.xy, 0).round().long().unbind(-1)
    row = map_of(clusters, tags.device) * H + y.clamp(0, H - 1)
    cell = row * W + x.clamp(0, W - 1)
    return tags.flatten(1).gather(1, cell.flatten(1)).view(cell.shape)


def _offsets(clusters: Clusters, device: torch.device) -> Tensor:
    """(K,): d_k - mean d, the place of each joint in its cluster relative to the middle."""
    offsets = {joint: d - (len(joints) - 1) / 2 for joints in clusters for d, joint in enumerate(joints)}
    return torch.tensor([offsets[joint] for joint in sorted(offsets)], device=device)


def _mean(values: Tensor) -> Tensor:
    """(): 0 of nothing."""
    return values.sum() / max(values.numel(), 1)
