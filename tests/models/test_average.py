"""`scripts/average_weights.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models import weights
from models.cluster_net import ClusterNet, ClusterNetConfig

SCRIPT = Path(__file__).parents[2] / "scripts" / "average_weights.py"


def written(folder: Path, name: str, *, seed: int, channels: int = 8) -> Path:
    torch.manual_seed(seed)
    config = ClusterNetConfig(
        name="tiny", stem="conv", channels=channels, growth=4, depth=1, block="plain", dense=(1,), sparse=(1,),
        branch_channels=20, in_branch=False, cross_branch=False,
    )  # fmt: skip
    path = folder / f"{name}.safetensors"
    weights.save(ClusterNet(config), path, notes={"seed": str(seed)})
    return path


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_each_weight_is_the_mean(tmp_path: Path) -> None:
    files = [written(tmp_path, name, seed=seed) for seed, name in enumerate("abc")]
    out = tmp_path / "mean.safetensors"
    done = call(out, *files)
    assert done.returncode == 0, done.stderr
    states = [weights.load(file).state_dict() for file in files]
    for name, values in weights.load(out).state_dict().items():
        if values.is_floating_point():
            mean = (states[0][name].double() + states[1][name].double() + states[2][name].double()) / 3
            torch.testing.assert_close(values.double(), mean, rtol=1e-3, atol=1e-6)
    sources = json.loads(weights.read_metadata(out)["mean_of"])
    assert [source["seed"] for source in sources] == ["0", "1", "2"]


@pytest.mark.parametrize("channels", [12])
def test_other_shapes_are_refused(channels: int, tmp_path: Path) -> None:
    files = [written(tmp_path, "a", seed=0), written(tmp_path, "b", seed=1, channels=channels)]
    done = call(tmp_path / "mean.safetensors", *files)
    assert done.returncode == 1
    assert "different shapes" in done.stderr
    assert not (tmp_path / "mean.safetensors").exists()
