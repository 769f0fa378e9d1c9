"""Hourglasses: shapes, and a literal evaluation of blocks and of one level."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.hourglass import BlockName, BottleneckBlock, ConvStem, Hourglass, PlainBlock, residual_block

BLOCKS = get_args(BlockName)


def shake(module: nn.Module, seed: int = 0) -> nn.Module:
    """Random statistics and scales of batch norms, as after training; in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            for tensor in (part.running_mean, part.running_var, part.weight.data, part.bias.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module.eval()


def convolve(x: np.ndarray, conv: Any) -> np.ndarray:
    """A convolution of (C, H, W) with zero padding to the same size, pixel by pixel."""
    weight = conv.weight.detach().double().numpy()
    k = weight.shape[2]
    padded = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    out = np.zeros((len(weight), *x.shape[1:]))
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            patch = padded[:, row : row + k, column : column + k]
            out[:, row, column] = (weight * patch).sum(axis=(1, 2, 3))
    return out if conv.bias is None else out + conv.bias.detach().double().numpy()[:, None, None]


def normalise(x: np.ndarray, norm: Any) -> np.ndarray:
    mean, var, scale, shift = (
        tensor.detach().double().numpy()[:, None, None]
        for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return np.asarray((x - mean) / np.sqrt(var + norm.eps) * scale + shift)


def literal_block(x: np.ndarray, block: Any) -> np.ndarray:
    if isinstance(block, PlainBlock):
        conv, norm = block.conv
        y = normalise(convolve(x, conv), norm)
        if not isinstance(block.shortcut, nn.Identity):
            x = normalise(convolve(x, block.shortcut[0]), block.shortcut[1])
        return np.asarray(np.maximum(x + y, 0))
    assert isinstance(block, BottleneckBlock)
    y = x
    for norm, _, conv in zip(*[iter(block.conv)] * 3, strict=True):
        y = convolve(np.maximum(normalise(y, norm), 0), conv)
    return np.asarray(y + (x if isinstance(block.shortcut, nn.Identity) else convolve(x, block.shortcut)))


def literal_hourglass(x: np.ndarray, hourglass: Any) -> np.ndarray:
    if not isinstance(hourglass, Hourglass):
        return literal_block(x, hourglass)
    c, h, w = x.shape
    pooled = x.reshape(c, h // 2, 2, w // 2, 2).max(axis=(2, 4))
    y = literal_block(pooled, hourglass.down)
    y = literal_block(literal_hourglass(y, hourglass.inner), hourglass.up)
    return np.asarray(literal_block(x, hourglass.skip_block) + y.repeat(2, axis=1).repeat(2, axis=2))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(("depth", "growth"), [(1, 0), (2, 3)])
def test_an_hourglass_is_what_the_paper_draws(block: BlockName, depth: int, growth: int) -> None:
    torch.manual_seed(1)
    hourglass = shake(Hourglass(4, depth=depth, growth=growth, block=block))
    x = torch.randn(1, 4, 8, 4)
    with torch.no_grad():
        y = hourglass(x)
    np.testing.assert_allclose(y[0], literal_hourglass(x[0].double().numpy(), hourglass), atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("depth", [1, 3, 4])
def test_shapes_are_kept(block: BlockName, depth: int) -> None:
    side = 2**depth
    hourglass = Hourglass(8, depth=depth, growth=4, block=block).eval()
    assert hourglass(torch.zeros(2, 8, side, 3 * side)).shape == (2, 8, side, 3 * side)


@pytest.mark.parametrize("block", BLOCKS)
def test_levels_grow(block: BlockName) -> None:
    hourglass: nn.Module = Hourglass(8, depth=3, growth=4, block=block)
    inputs: list[int] = []
    shortcuts = 0
    while isinstance(hourglass, Hourglass):
        first = next(part for part in hourglass.down.modules() if isinstance(part, nn.Conv2d))
        inputs.append(first.in_channels)
        shortcuts += not isinstance(hourglass.down.shortcut, nn.Identity)
        shortcuts += not isinstance(hourglass.skip_block.shortcut, nn.Identity)
        hourglass = hourglass.inner
    assert inputs == [8, 12, 16]
    assert shortcuts == 3  # where channels change, and nowhere else


def test_a_bottleneck_is_narrow_inside() -> None:
    convs = [part for part in residual_block("bottleneck", 32, 64).modules() if isinstance(part, nn.Conv2d)]
    shapes = [(conv.in_channels, conv.out_channels, conv.kernel_size[0]) for conv in convs]
    assert shapes == [(32, 32, 1), (32, 32, 3), (32, 64, 1), (32, 64, 1)]


@pytest.mark.parametrize("block", BLOCKS)
def test_the_stem_quarters_the_resolution(block: BlockName) -> None:
    stem = ConvStem(12, block=block).eval()
    images: Tensor = torch.zeros(1, 3, 32, 48)
    assert stem(images).shape == (1, 12, 8, 12)
