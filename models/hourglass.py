"""Stacked hourglasses: residual blocks, the convolutional stem and the hourglass itself.

Source: Newell, Yang, Deng, Stacked Hourglass Networks for Human Pose Estimation, ECCV 2016.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BottleneckBlock", "ConvStem", "Hourglass", "PlainBlock", "conv_norm_relu", "residual_block"]

BlockName = Literal["bottleneck", "plain"]


def conv_norm_relu(inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1) -> nn.Sequential:
    """A convolution, its batch norm and a ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _conv_norm(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs))


class PlainBlock(nn.Module):
    """One 3x3 convolution beside a shortcut: what a processor runs fastest."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = _conv_norm(inputs, outputs, 3)
        self.shortcut = nn.Identity() if inputs == outputs else _conv_norm(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x) + self.shortcut(x))


class BottleneckBlock(nn.Module):
    """1x1, 3x3, 1x1 at half the channels, normalised before each (Newell et al. 2016, figure 4)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        layers: list[nn.Module] = []
        for a, b, kernel in ((inputs, half, 1), (half, half, 3), (half, outputs, 1)):
            layers += [
                nn.BatchNorm2d(a),
                nn.ReLU(inplace=False),
                nn.Conv2d(a, b, kernel, padding=kernel // 2),
            ]
        self.conv = nn.Sequential(*layers)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x) + self.shortcut(x)
        return y


def residual_block(name: BlockName, inputs: int, outputs: int) -> nn.Module:
    """A residual block by its name in configurations."""
    return PlainBlock(inputs, outputs) if name == "plain" else BottleneckBlock(inputs, outputs)


class ConvStem(nn.Module):
    """Pictures (B, 3, H, W) to features (B, `channels`, H/4, W/4), as in Newell et al. 2016, section 3.1."""

    def __init__(self, channels: int, *, block: BlockName) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv_norm_relu(3, 64, 7, stride=2),
            residual_block(block, 64, 128),
            nn.MaxPool2d(2),
            residual_block(block, 128, 128),
            residual_block(block, 128, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class Hourglass(nn.Module):
    """Features (B, C, H, W) to the same shape, through `depth` halvings; H and W multiples of 2 ** depth."""

    def __init__(self, channels: int, *, depth: int, growth: int, block: BlockName) -> None:
        """Level by level, `growth` channels are added below `channels`."""
        super().__init__()
        below = channels + growth
        self.skip_block = residual_block(block, channels, channels)
        self.down = residual_block(block, channels, below)
        self.inner: nn.Module = (
            Hourglass(below, depth=depth - 1, growth=growth, block=block)
            if depth > 1
            else residual_block(block, below, below)
        )
        self.up = residual_block(block, below, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        skip: Tensor = self.skip_block(x)
        return skip + F.interpolate(y, scale_factor=2.0, mode="nearest")
