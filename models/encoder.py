"""The `mobilenet_fpn` stem: MobileNetV2 at width 1.5 with a feature pyramid down to a quarter of the resolution.

Shapes and weights come from MoveNet MultiPose Lightning (Google, Apache-2.0; see NOTICE); the architecture is that
of Sandler et al., MobileNetV2, CVPR 2018, table 2, and Lin et al., Feature Pyramid Networks, CVPR 2017.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["FeaturePyramid", "MobileNetEncoder"]

# Output channels of the inverted residual blocks 1 to 16, and the blocks that halve the resolution.
_CHANNELS = (40, 40, 48, 48, 48, 96, 96, 96, 96, 144, 144, 144, 240, 240, 240, 480)
_STRIDED = frozenset({1, 3, 6, 13})
_EXPANSION = 6


class _SameConv(nn.Conv2d):
    """A convolution with TensorFlow's 'same' padding: at stride 2 and even sizes, 0 before and 1 after."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        padding = 0 if stride == 2 else kernel // 2
        super().__init__(inputs, outputs, kernel, stride=stride, padding=padding, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == (2, 2):
            x = F.pad(x, (0, 1, 0, 1))
        return super().forward(x)


class _InvertedResidual(nn.Module):
    """Expand, filter each channel, project; added to its input where shapes agree."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = _SameConv(inputs, inner, 1) if expansion > 1 else None
        self.depthwise = _SameConv(inner, inner, 3, stride=stride, groups=inner)
        self.project = _SameConv(inner, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class MobileNetEncoder(nn.Module):
    """Pictures (B, 3, H, W), -1..1, sides multiples of 32, to features at strides 4, 8, 16 and 32."""

    multiple = 32

    def __init__(self) -> None:
        super().__init__()
        self.stem = _SameConv(3, 48, 3, stride=2)
        self.block0 = _InvertedResidual(48, 24, stride=1, expansion=1)
        inputs = 24
        for number, outputs in enumerate(_CHANNELS, start=1):
            stride = 2 if number in _STRIDED else 1
            self.add_module(f"block{number}", _InvertedResidual(inputs, outputs, stride=stride, expansion=_EXPANSION))
            inputs = outputs
        self.head = _SameConv(inputs, 1280, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = F.relu6(self.stem(x))
        kept = {}
        for number in range(len(_CHANNELS) + 1):
            x = self.get_submodule(f"block{number}")(x)
            if number in (2, 5, 9):  # the last blocks at strides 4, 8 and 16
                kept[number] = x
        return kept[2], kept[5], kept[9], F.relu6(self.head(x))


class _Smooth(nn.Module):
    """A depthwise and a pointwise convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.pointwise(self.depthwise(x)))


class FeaturePyramid(nn.Module):
    """Coarse features carried down to a quarter of the resolution: (B, 24, H/4, W/4)."""

    channels = 24

    def __init__(self) -> None:
        super().__init__()
        self.lateral32 = nn.Conv2d(1280, 64, 1)
        self.lateral16 = nn.Conv2d(96, 64, 1)
        self.lateral8 = nn.Conv2d(48, 32, 1)
        self.lateral4 = nn.Conv2d(40, 24, 1)
        self.smooth16 = _Smooth(64, 32)
        self.smooth8 = _Smooth(32, 24)
        self.smooth4 = _Smooth(24, 24)

    def forward(self, stride4: Tensor, stride8: Tensor, stride16: Tensor, stride32: Tensor) -> Tensor:
        x = self.smooth16(_double(self.lateral32(stride32)) + self.lateral16(stride16))
        x = self.smooth8(_double(x) + self.lateral8(stride8))
        finest: Tensor = self.smooth4(_double(x) + self.lateral4(stride4))
        return finest


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
