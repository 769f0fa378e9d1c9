"""Give a bare state of `small` our metadata: `python scripts/convert_first_weights.py IN OUT` (.safetensors)."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from safetensors.torch import load_file

from models.cluster_net import ClusterNet, ClusterNetConfig
from models.weights import save

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Read, check against the network, write."""
    source, target = map(Path, sys.argv[1:])
    values = tomllib.loads((ROOT / "configs" / "models" / "small.toml").read_text())
    network = ClusterNet(ClusterNetConfig.from_values(values))
    expected = {name for name in network.state_dict() if not name.endswith("num_batches_tracked")}
    tensors = load_file(source)
    if tensors.keys() != expected:
        sys.exit(f"{source} is not a state of small: {sorted(tensors.keys() ^ expected)[:3]} differ")
    network.load_state_dict(tensors, strict=False)
    save(network, target, notes={"made_by": "scripts/convert_first_weights.py", "card": "small.md"})


if __name__ == "__main__":
    main()
