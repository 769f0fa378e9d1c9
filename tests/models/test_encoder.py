"""The light encoder: strides, TensorFlow's padding, residuals and the way down the pyramid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from models.encoder import FeaturePyramid, MobileNetEncoder


@pytest.fixture(scope="module")
def encoder() -> MobileNetEncoder:
    torch.manual_seed(0)
    return MobileNetEncoder().eval()


def test_features_at_four_strides_become_one_at_a_quarter(encoder: MobileNetEncoder) -> None:
    with torch.no_grad():
        features = encoder(torch.rand(2, 3, 64, 96) * 2 - 1)
        finest = FeaturePyramid()(*features)
    assert [tuple(x.shape) for x in features] == [(2, 40, 16, 24), (2, 48, 8, 12), (2, 96, 4, 6), (2, 1280, 2, 3)]
    assert finest.shape == (2, FeaturePyramid.channels, 16, 24)


def test_stride_two_pads_after_and_not_before(encoder: MobileNetEncoder) -> None:
    """TensorFlow's 'same' padding on even sizes: output (0, 0) sees input rows 0 to 2, the last one sees a zero row."""
    x = torch.randn(1, 3, 6, 8)
    with torch.no_grad():
        y = encoder.stem(x)[0].numpy()
    weight, bias = encoder.stem.weight.detach().numpy(), encoder.stem.bias
    assert bias is not None
    padded = np.pad(x[0].numpy(), ((0, 0), (0, 1), (0, 1)))
    assert y.shape == (48, 3, 4)
    for row in range(3):
        for column in range(4):
            patch = padded[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            expected = (weight * patch).sum(axis=(1, 2, 3)) + bias.detach().numpy()
            np.testing.assert_allclose(y[:, row, column], expected, atol=1e-5)


def test_residuals_are_where_shapes_agree(encoder: MobileNetEncoder) -> None:
    residual = {2, 4, 5, 7, 8, 9, 11, 12, 14, 15}
    inputs = 48
    for number in range(17):
        block: Any = encoder.get_submodule(f"block{number}")
        outputs = block.project.out_channels
        saved = [parameter.detach().clone() for parameter in block.project.parameters()]
        with torch.no_grad():
            for parameter in block.project.parameters():
                parameter.zero_()
            x = torch.randn(1, inputs, 4, 4)
            y = block(x)
            for parameter, value in zip(block.project.parameters(), saved, strict=True):
                parameter.copy_(value)
        strided = number in (1, 3, 6, 13)
        assert y.shape == (1, outputs, *((2, 2) if strided else (4, 4)))
        if number in residual:
            assert torch.equal(x, y)
        else:
            assert not y.any()
        inputs = outputs


def test_the_pyramid_doubles_between_centres() -> None:
    """With lateral and smoothing convolutions that copy one channel, coarse values are carried down linearly."""
    pyramid = FeaturePyramid().eval()
    with torch.no_grad():
        for parameter in pyramid.parameters():
            parameter.zero_()
        pyramid.lateral32.weight[0, 0] = 1
        for smooth in (pyramid.smooth16, pyramid.smooth8, pyramid.smooth4):
            smooth.depthwise.weight[:, 0, 1, 1] = 1
            smooth.pointwise.weight[0, 0] = 1
        coarse = torch.zeros(1, 1280, 1, 2)
        coarse[0, 0, 0] = torch.tensor([1.0, 3.0])
        x = pyramid(torch.zeros(1, 40, 8, 16), torch.zeros(1, 48, 4, 8), torch.zeros(1, 96, 2, 4), coarse)[0]
    row = np.array([1.0, 3.0])
    for _ in range(3):
        centres = (np.arange(2 * len(row)) + 0.5) / 2 - 0.5  # in cells of the coarser row
        row = np.interp(centres, np.arange(len(row)), row)
    np.testing.assert_allclose(x[0], np.tile(row, (8, 1)), atol=1e-6)
    assert not x[1:].any()
