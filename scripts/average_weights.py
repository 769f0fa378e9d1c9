"""The mean of weights of one shape: `python scripts/average_weights.py OUT.safetensors WEIGHTS WEIGHTS...`.

Networks that were trained further from the same weights, with other pictures in another order, err in different ways;
their mean errs less than each (Wortsman et al., Model soups, ICML 2022), at no cost when it runs. Each is a file or the
name of weights that ship.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

import torch

from models import weights


def average(files: list[Path]) -> tuple[weights.ClusterNet, list[dict[str, str]]]:
    """The network of the mean weights, and what each file says of itself."""
    networks = [weights.load(file) for file in files]
    if len({network.config for network in networks}) > 1:
        raise SystemExit(f"the networks are of different shapes: {', '.join(map(str, files))}")
    states = [network.state_dict() for network in networks]
    with torch.no_grad():
        for name, values in networks[0].state_dict().items():
            if values.is_floating_point():
                values.copy_(torch.stack([state[name] for state in states]).sum(dim=0) / len(states))
    notes = [{key: note for key, note in weights.read_metadata(file).items() if key != "config"} for file in files]
    return networks[0], notes


def main() -> None:
    """Read, average, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("weights", nargs="+", help="two or more")
    parser.add_argument("--card", help="name of the model card, for the file's notes")
    arguments = parser.parse_args()
    files = [weights.resolve(given) for given in arguments.weights]
    network, sources = average(files)
    notes = {
        "made_by": "scripts/average_weights.py",
        "made": datetime.date.today().isoformat(),
        "mean_of": json.dumps(sources),
        **({"card": arguments.card} if arguments.card else {}),
    }
    weights.save(network, arguments.out, notes=notes)
    print(f"{arguments.out}: the mean of {len(files)}")


if __name__ == "__main__":
    main()
