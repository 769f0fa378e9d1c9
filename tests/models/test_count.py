"""Counts of parameters and work, against sums worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from models.cluster_net import ClusterNet, ClusterNetConfig
from models.count import count_macs, count_parameters, main, table

ROOT = Path(__file__).resolve().parents[2]
TINY = ClusterNetConfig(
    name="by hand",
    channels=8,
    growth=4,
    depth=1,
    block="bottleneck",
    dense=(1, 3),
    sparse=(5, 17),
    branch_channels=20,
    in_branch=True,
    cross_branch=True,
)


def _conv(height: int, width: int, inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> int:
    """Multiply-accumulates of a convolution by its output."""
    return height * width * outputs * (inputs // groups) * kernel * kernel


def _bottleneck(height: int, width: int, inputs: int, outputs: int) -> int:
    half = outputs // 2
    inside = (
        _conv(height, width, inputs, half) + _conv(height, width, half, half, 3) + _conv(height, width, half, outputs)
    )
    return inside + (_conv(height, width, inputs, outputs) if inputs != outputs else 0)


def _hourglass(side: int) -> int:
    """Depth 1, 8 and 12 channels, at `side` x `side` cells."""
    skip = _bottleneck(side, side, 8, 8)
    half = side // 2
    return skip + _bottleneck(half, half, 8, 12) + _bottleneck(half, half, 12, 12) + _bottleneck(half, half, 12, 8)


def test_work_of_a_tiny_network_by_hand() -> None:
    side = 64
    cells = side // 4
    stem = (
        _conv(side // 2, side // 2, 3, 64, 7)
        + _bottleneck(side // 2, side // 2, 64, 128)
        + _bottleneck(cells, cells, 128, 128)
        + _bottleneck(cells, cells, 128, 8)
    )
    stack = _hourglass(cells) + _conv(cells, cells, 8, 8, 3)
    branch = _conv(cells, cells, 8, 40)
    in_branch = 2 * _conv(cells, cells, 40, 20)
    cross = _conv(cells, cells, 5, 1) + _conv(cells, cells, 20, 19)
    to_next = 2 * _conv(cells, cells, 20, 8) + _conv(cells, cells, 8, 8)
    infer = stem + 2 * stack + 3 * branch + in_branch + cross + to_next
    assert count_macs(TINY, height=side, width=side, path="infer") == infer
    assert count_macs(TINY, height=side, width=side, path="forward") == infer + branch


def test_parameters_by_hand() -> None:
    norm = 2
    assert count_parameters(nn.Conv2d(6, 4, 3, groups=2)) == 4 * 3 * 9 + 4
    assert count_parameters(nn.Sequential(nn.Conv2d(3, 5, 1, bias=False), nn.BatchNorm2d(5))) == 15 + norm * 5

    def bottleneck(inputs: int, outputs: int) -> int:
        half = outputs // 2
        convs = inputs * half + half + half * half * 9 + half + half * outputs + outputs
        shortcut = inputs * outputs + outputs if inputs != outputs else 0
        return convs + norm * (inputs + half + half) + shortcut

    stem = 3 * 49 * 64 + norm * 64 + bottleneck(64, 128) + bottleneck(128, 128) + bottleneck(128, 8)
    hourglass = bottleneck(8, 8) + bottleneck(8, 12) + bottleneck(12, 12) + bottleneck(12, 8)
    features = 8 * 8 * 9 + norm * 8
    branches = 2 * (8 * 40 + 40)
    in_branch = 2 * (40 * 20 + 20)
    cross = 5 * 1 + 1 + 20 * 19 + 19
    to_next = 2 * (20 * 8 + 8) + 8 * 8 + 8
    expected = stem + 2 * (hourglass + features + branches) + in_branch + cross + to_next
    assert count_parameters(ClusterNet(TINY)) == expected


@pytest.mark.parametrize("stem", ["conv", "mobilenet_fpn"])
def test_work_agrees_with_outputs_of_modules(stem: str) -> None:
    """Each convolution multiplies its whole kernel once for each cell that it gives."""
    config = ClusterNetConfig.from_values({"name": "x", "channels": 8, "depth": 1, "sparse": [17], "stem": stem})
    network = ClusterNet(config).eval()
    work = 0

    def add(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal work
        assert isinstance(module, nn.Conv2d)
        work += output.shape[2] * output.shape[3] * module.weight.numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(add)
    with torch.no_grad():
        network.infer(torch.zeros(1, 3, 64, 96))
    assert count_macs(config, height=64, width=96) == work


def test_the_table_of_the_documentation_is_current(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    documented = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    for name in ("small", "tiny"):
        path = ROOT / "configs" / "models" / f"{name}.toml"
        monkeypatch.setattr("sys.argv", ["count", str(path)])
        main()
        row = capsys.readouterr().out.splitlines()[-1]
        assert row.startswith(f"| {name} ")
        assert row in documented


def test_no_networks_is_an_empty_table() -> None:
    assert len(table([]).splitlines()) == 2
