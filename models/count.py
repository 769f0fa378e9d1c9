"""Size and work of networks: `python -m models.count configs/models/*.toml` prints the table of docs/networks.md.

Work is counted by `torch.utils.flop_counter` over tensors without values (device `meta`), so nothing is computed:
every convolution counts its multiply-accumulates, padding included, and everything else counts nothing.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Literal

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models.cluster_net import ClusterNet, ClusterNetConfig

__all__ = ["count_macs", "count_parameters", "table"]

_SIZES = (256, 512)


def count_parameters(network: nn.Module) -> int:
    """Numbers that are learned; running means and variances are not among them."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(
    config: ClusterNetConfig, *, height: int, width: int, path: Literal["infer", "forward"] = "infer"
) -> int:
    """Multiply-accumulates for one picture: of inference, or of the forward pass with the maps of all stacks."""
    with torch.device("meta"):
        network = ClusterNet(config).eval()
        images = torch.empty(1, 3, height, width)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.infer(images) if path == "infer" else network(images)
    return int(counter.get_total_flops()) // 2  # a multiply-accumulate is two operations there


def table(configs: list[ClusterNetConfig]) -> str:
    """A table in Markdown: parameters, and work of inference and of the forward pass."""
    heads = [f"{path}, {size}x{size}" for path in ("GMAC inference", "GMAC all stacks") for size in _SIZES]
    rows = [["network", "parameters, M", *heads]]
    for config in configs:
        with torch.device("meta"):
            parameters = count_parameters(ClusterNet(config)) / 1e6
        works = [count_macs(config, height=size, width=size, path="infer") / 1e9 for size in _SIZES]
        works += [count_macs(config, height=size, width=size, path="forward") / 1e9 for size in _SIZES]
        rows.append([config.name, f"{parameters:.2f}", *(f"{work:.2f}" for work in works)])
    rows.insert(1, ["---", *["---:"] * (len(heads) + 1)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Print the table of the configurations that are named."""
    configs = [ClusterNetConfig.from_values(tomllib.loads(Path(name).read_text())) for name in sys.argv[1:]]
    print(table(configs))


if __name__ == "__main__":
    main()
