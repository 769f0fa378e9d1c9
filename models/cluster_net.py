"""The cluster-wise learning network of Zhao et al., Pattern Recognition 98 (2020) 107074.

Bottom-up: after each hourglass a dense and a sparse branch each give, for their clusters of joints, a heatmap with a
peak for every joint of every person, and a map of tags that tell the persons apart. Aggregation inside a branch lets
tags help detection (figure 4a of the paper); aggregation across branches hands the sparse predictions to the dense
branch (figure 4b).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.encoder import FeaturePyramid, MobileNetEncoder
from models.hourglass import BlockName, ConvStem, Hourglass, conv_norm_relu
from models.skeleton import SKELETONS, Skeleton

__all__ = ["ClusterNet", "ClusterNetConfig", "Prediction", "StackOutput"]


@dataclass(frozen=True, kw_only=True)
class ClusterNetConfig:
    """The shape of a network. Two networks of equal configuration can exchange weights."""

    name: str
    """What the network is called in tables and files."""

    skeleton: str = "coco17"
    """Name of the skeleton whose joints it finds."""

    stem: Literal["conv", "mobilenet_fpn"] = "conv"
    """What takes pictures to a quarter of their resolution: the paper's convolutions, or a light encoder."""

    channels: int = 256
    """Channels of features between hourglasses."""

    growth: int = 0
    """Channels that each level of an hourglass adds to the one above."""

    depth: int = 4
    """Halvings of resolution in an hourglass."""

    block: BlockName = "bottleneck"
    """Residual block of hourglasses and stem."""

    dense: tuple[int, ...] = ()
    """Clusters of the dense branch, one number a stack; empty for a network without dense branches."""

    sparse: tuple[int, ...] = (17, 17, 17, 17)
    """Clusters of the sparse branch, one number a stack; their count is the number of stacks."""

    branch_channels: int = 128
    """Channels of the detection half, and of the tag half, of each branch."""

    in_branch: bool = False
    """Add to a branch's detection features what its tags know (figure 4a)."""

    cross_branch: bool = False
    """Add to the dense branch what the sparse branch knows (figure 4b)."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.skeleton not in SKELETONS:
            raise ValueError(f"network '{self.name}': unknown skeleton '{self.skeleton}', known: {sorted(SKELETONS)}")
        if not self.sparse or (self.dense and len(self.dense) != len(self.sparse)):
            raise ValueError(
                f"network '{self.name}': sparse needs one number a stack, and dense as many or none; "
                f"got {len(self.sparse)} and {len(self.dense)}"
            )
        known = SKELETONS[self.skeleton].clusters
        for clusters in (*self.sparse, *self.dense):
            if clusters not in known:
                raise ValueError(
                    f"network '{self.name}': {self.skeleton} has no division into {clusters} clusters, "
                    f"only into {sorted(known)}"
                )
            if clusters > self.branch_channels:
                raise ValueError(
                    f"network '{self.name}': branch_channels = {self.branch_channels} is less than {clusters} clusters"
                )
        if self.cross_branch and not self.dense:
            raise ValueError(f"network '{self.name}': cross_branch needs a dense branch")

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> ClusterNetConfig:
        """From a table of TOML or JSON, where tuples are lists.

        Raises:
            ValueError: unknown key (with the nearest known one), no name, or what cannot be built.
        """
        known = [item.name for item in fields(cls)]
        for key in values:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1) or known
                raise ValueError(f"configuration of a network: unknown key '{key}', known is: {', '.join(close)}")
        if "name" not in values:
            raise ValueError("configuration of a network: it has no 'name'")
        arguments: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**arguments)

    @property
    def stacks(self) -> int:
        """Number of hourglasses."""
        return len(self.sparse)

    @property
    def joints(self) -> Skeleton:
        """The skeleton itself."""
        return SKELETONS[self.skeleton]

    @property
    def multiple(self) -> int:
        """Sides of pictures must be multiples of this many pixels."""
        return max(int(4 * 2**self.depth), MobileNetEncoder.multiple if self.stem == "mobilenet_fpn" else 1)


class StackOutput(NamedTuple):
    """The supervised maps of one stack, each (B, C, H/4, W/4) with C its clusters."""

    sparse_heatmaps: Tensor
    """Peaks of the joints of each sparse cluster; about 0..1."""

    sparse_tags: Tensor
    """Tags of the sparse branch, in tag units."""

    dense_heatmaps: Tensor | None
    """As `sparse_heatmaps`, of the dense clusters; None without a dense branch."""

    dense_tags: Tensor | None
    """As `sparse_tags`, of the dense clusters; None without a dense branch."""


class Prediction(NamedTuple):
    """What inference uses: the sparse branch of the last stack."""

    heatmaps: Tensor
    """(B, C, H/4, W/4), about 0..1."""

    tags: Tensor
    """(B, C, H/4, W/4), in tag units."""

    features: Tensor
    """(B, channels, H/4, W/4): what both maps are made from; tells people apart by their looks."""


class ClusterNet(nn.Module):
    """Pictures (B, 3, H, W), RGB 0..255, sides multiples of `config.multiple`, to heatmaps and tags."""

    def __init__(self, config: ClusterNetConfig) -> None:
        """Random weights; `models.weights.load` gives trained ones."""
        super().__init__()
        self.config = config
        channels, branch = config.channels, config.branch_channels
        if config.stem == "conv":
            self.stem: nn.Module = ConvStem(channels, block=config.block)
        else:
            self.encoder = MobileNetEncoder()
            self.fpn = FeaturePyramid()
            self.stem_adapter = conv_norm_relu(FeaturePyramid.channels, channels)
        self.hourglass = nn.ModuleList(
            Hourglass(channels, depth=config.depth, growth=config.growth, block=config.block)
            for _ in range(config.stacks)
        )
        self.features = nn.ModuleList(conv_norm_relu(channels, channels) for _ in range(config.stacks))
        self.sparse = nn.ModuleList(nn.Conv2d(channels, 2 * branch, 1) for _ in range(config.stacks))
        self.dense = nn.ModuleList(nn.Conv2d(channels, 2 * branch, 1) for _ in config.dense)
        between = range(config.stacks - 1)
        if config.in_branch:
            self.in_branch_sparse = nn.ModuleList(nn.Conv2d(2 * branch, branch, 1) for _ in between)
            if config.dense:
                self.in_branch_dense = nn.ModuleList(nn.Conv2d(2 * branch, branch, 1) for _ in between)
        if config.cross_branch:
            skeleton = config.joints
            self.cross_predictions = nn.ModuleList(
                _ClusterConv(skeleton.clusters[config.sparse[stack]], skeleton.clusters[config.dense[stack]])
                for stack in between
            )
            self.cross_general = nn.ModuleList(nn.Conv2d(branch, branch - config.dense[stack], 1) for stack in between)
        self.to_next_sparse = nn.ModuleList(nn.Conv2d(branch, channels, 1) for _ in between)
        if config.dense:
            self.to_next_dense = nn.ModuleList(nn.Conv2d(branch, channels, 1) for _ in between)
        self.to_next_features = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in between)

    def forward(self, images: Tensor) -> list[StackOutput]:
        """The supervised maps of every stack, for training."""
        outputs = []
        x = self._stem(images)
        for stack in range(self.config.stacks):
            features = self.features[stack](self.hourglass[stack](x))
            sparse = self.sparse[stack](features)
            dense = self.dense[stack](features) if self.config.dense else None
            outputs.append(self._supervised(sparse, dense, stack))
            if stack + 1 < self.config.stacks:
                x = self._next(x, features, sparse, dense, stack)
        return outputs

    def infer(self, images: Tensor) -> Prediction:
        """The sparse maps of the last stack; nothing is computed that they do not need."""
        x = self._stem(images)
        for stack in range(self.config.stacks - 1):
            features = self.features[stack](self.hourglass[stack](x))
            dense = self.dense[stack](features) if self.config.dense else None
            x = self._next(x, features, self.sparse[stack](features), dense, stack)
        features = self.features[-1](self.hourglass[-1](x))
        sparse = self._supervised(self.sparse[-1](features), None, self.config.stacks - 1)
        return Prediction(heatmaps=sparse.sparse_heatmaps, tags=sparse.sparse_tags, features=features)

    def _stem(self, images: Tensor) -> Tensor:
        """Pictures 0..255 to features (B, channels, H/4, W/4)."""
        x = images / 127.5 - 1.0
        if self.config.stem == "conv":
            y: Tensor = self.stem(x)
        else:
            y = self.stem_adapter(self.fpn(*self.encoder(x)))
        return y

    def _supervised(self, sparse: Tensor, dense: Tensor | None, stack: int) -> StackOutput:
        """The first channels of each half of each branch."""
        half = self.config.branch_channels
        c = self.config.sparse[stack]
        if dense is None:
            return StackOutput(sparse[:, :c], sparse[:, half : half + c], None, None)
        d = self.config.dense[stack]
        return StackOutput(sparse[:, :c], sparse[:, half : half + c], dense[:, :d], dense[:, half : half + d])

    def _next(self, x: Tensor, features: Tensor, sparse: Tensor, dense: Tensor | None, stack: int) -> Tensor:
        """Input of the next hourglass: x + conv(m_sparse) + conv(m_dense) + conv(f)."""
        config, half = self.config, self.config.branch_channels
        m_sparse = sparse[:, :half]
        if config.in_branch:
            m_sparse = m_sparse + self.in_branch_sparse[stack](sparse)
        y: Tensor = x + self.to_next_sparse[stack](m_sparse) + self.to_next_features[stack](features)
        if dense is None:
            return y
        m_dense = dense[:, :half]
        if config.in_branch:
            m_dense = m_dense + self.in_branch_dense[stack](dense)
        if config.cross_branch:
            predictions = self.cross_predictions[stack](m_sparse[:, : config.sparse[stack]])
            m_dense = m_dense + torch.cat([predictions, self.cross_general[stack](m_sparse)], dim=1)
        y += self.to_next_dense[stack](m_dense)
        return y


class _ClusterConv(nn.Conv2d):
    """A 1x1 convolution from sparse to dense clusters: a dense channel sees those that share a joint with it."""

    shared: Tensor

    def __init__(self, sparse: tuple[tuple[int, ...], ...], dense: tuple[tuple[int, ...], ...]) -> None:
        super().__init__(len(sparse), len(dense), 1)
        shared = [[bool(set(few) & set(many)) for few in sparse] for many in dense]
        mask = torch.tensor(shared, dtype=torch.float32)[:, :, None, None]
        self.register_buffer("shared", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.shared, self.bias)
