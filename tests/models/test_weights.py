"""Weights: the shipped ones give the reference's maps; files are checked before they are believed."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.cluster_net import ClusterNet, ClusterNetConfig
from models.weights import available, digest, load, read_metadata, resolve, save

CONFIG = ClusterNetConfig(
    name="mini", channels=8, depth=1, dense=(1, 1), sparse=(5, 17), branch_channels=17, in_branch=True
)


@pytest.fixture(scope="module")
def network() -> ClusterNet:
    """Random weights that half precision holds exactly, and statistics as after training."""
    torch.manual_seed(0)
    network = ClusterNet(CONFIG).eval()
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_mean"):
                tensor.normal_()
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            tensor.copy_(tensor.half() if tensor.is_floating_point() else tensor)
    return network


@pytest.fixture
def path(network: ClusterNet, tmp_path: Path) -> Path:
    save(network, tmp_path / "mini.safetensors", notes={"made_by": "a test"})
    return tmp_path / "mini.safetensors"


def rewrite(path: Path, **metadata: str | None) -> None:
    """The same tensors with changed metadata; None takes an entry away."""
    merged = {**read_metadata(path), **metadata}
    save_file(load_file(path), path, metadata={key: value for key, value in merged.items() if value is not None})


def test_the_first_weights_give_the_maps_of_the_reference(shared: Path, tmp_path: Path) -> None:
    reference = np.load(shared / "weights" / "small-0-reference.npz")
    converter = Path(__file__).parents[2] / "scripts" / "convert_first_weights.py"
    first = tmp_path / "first.safetensors"
    subprocess.run([sys.executable, converter, shared / "weights" / "small-0.safetensors", first], check=True)
    network = load(first)
    kept: dict[str, torch.Tensor] = {}
    network.fpn.register_forward_hook(lambda _, __, y: kept.update(fpn=y))
    images = torch.from_numpy(reference["image"]).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        outputs = network(images)
    ours = {"fpn": kept["fpn"][0]}
    for stack, output in enumerate(outputs):
        assert output.dense_heatmaps is not None
        assert output.dense_tags is not None
        ours[f"sparse{stack}"] = torch.cat([output.sparse_heatmaps, output.sparse_tags], dim=1)[0]
        ours[f"dense{stack}"] = torch.cat([output.dense_heatmaps, output.dense_tags], dim=1)[0]
    for name, maps in ours.items():
        expected = reference[name].astype(np.float32)  # stored in half precision, so right to one part in 2048
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(maps, expected, atol=1e-3, rtol=1 / 2048, err_msg=name)


def test_the_shipped_file_tells_what_it_is() -> None:
    assert "small" in available()
    file = resolve("small")
    metadata = read_metadata(file)
    assert ClusterNetConfig.from_values(json.loads(metadata["config"])) == load("small").config
    assert metadata["sha256"] == digest(load_file(file))
    assert (file.parent / metadata["card"]).is_file()
    values = tomllib.loads((Path(__file__).parents[2] / "configs" / "models" / "small.toml").read_text())
    assert ClusterNetConfig.from_values(values) == load("small").config


def test_infer_of_the_shipped_network_is_the_last_stack() -> None:
    network = load("small")
    assert not network.training
    images = torch.rand(1, 3, 64, 96) * 255
    with torch.no_grad():
        prediction, last = network.infer(images), network(images)[-1]
    assert torch.equal(prediction.heatmaps, last.sparse_heatmaps)
    assert torch.equal(prediction.tags, last.sparse_tags)


def test_weights_come_back_bit_for_bit_in_half_precision(network: ClusterNet, path: Path) -> None:
    back = load(path)
    assert back.config == network.config
    before, after = network.state_dict(), back.state_dict()
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(tensor, after[name]), name
    images = torch.rand(1, 3, 32, 48) * 255
    with torch.no_grad():
        assert torch.equal(network.infer(images).heatmaps, back.infer(images).heatmaps)
    first, metadata = load_file(path), read_metadata(path)
    save(back, path, notes={"made_by": "a test"})
    again = load_file(path)
    assert first.keys() == again.keys()
    assert all(tensor.dtype == torch.float16 and torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert read_metadata(path) == metadata
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_values_are_rounded_to_half_precision_once(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = ClusterNet(CONFIG)
    save(network, tmp_path / "mini.safetensors")
    for name, tensor in load(tmp_path / "mini.safetensors").state_dict().items():
        if tensor.is_floating_point():
            assert torch.equal(tensor, network.state_dict()[name].half().float()), name


def test_the_digest_knows_names_shapes_types_and_bytes() -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1.5, dtype=torch.bfloat16)}
    seen = {
        digest(tensors),
        digest({"a": tensors["a"], "c": tensors["b"]}),
        digest({**tensors, "a": tensors["a"].reshape(3, 2)}),
        digest({**tensors, "a": tensors["a"].int()}),
        digest({**tensors, "b": -tensors["b"]}),
    }
    assert len(seen) == 5
    assert digest(dict(reversed(tensors.items()))) == digest(tensors)
    assert digest({"a": tensors["a"].T.contiguous().T, "b": tensors["b"]}) == digest(tensors)


def test_no_such_weights(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"weights 'smal' are neither a file .* shipped are: .*small"):
        load("smal")
    with pytest.raises(FileNotFoundError, match="neither a file"):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\x80\x02}q\x00."])
def test_not_safetensors(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.safetensors is not a readable safetensors file") as error:
        load(tmp_path / "bad.safetensors")
    assert "\n" not in str(error.value)


def test_a_file_cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is not a readable safetensors file"):
        load(path)


def test_damaged_tensors(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mini\.safetensors is damaged: .*SHA-256"):
        load(path)


def test_no_configuration(path: Path) -> None:
    rewrite(path, config=None)
    with pytest.raises(ValueError, match="holds tensors but no configuration of a network of ours"):
        load(path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "holds a configuration that is none of ours"),
        ("[]", "holds a configuration that is none of ours"),
        ('{"name": "x", "sparse": 17}', "holds a configuration that is none of ours"),
        ('{"name": "x", "channels": "many"}', "holds a configuration that is none of ours"),
        ('{"name": "x", "chanels": 8}', "unknown key 'chanels', known is: channels"),
    ],
)
def test_a_configuration_that_is_none(config: str, message: str, path: Path) -> None:
    rewrite(path, config=config)
    with pytest.raises(ValueError, match=message):
        load(path)


def test_weights_of_another_network(network: ClusterNet, path: Path) -> None:
    def pretend(**changes: object) -> None:
        other = replace(network.config, **changes)  # type: ignore[arg-type]  # any field
        values = {name: getattr(other, name) for name in other.__dataclass_fields__}
        rewrite(path, config=json.dumps(values))

    pretend(sparse=(5, 17, 17), dense=(1, 1, 1))
    with pytest.raises(ValueError, match=r"is not of network 'mini': it lacks \d+ tensors, as dense\.2"):
        load(path)
    pretend(sparse=(17,), dense=(1,))
    with pytest.raises(ValueError, match=r"is not of network 'mini': it has besides \d+ tensors, as dense\.1"):
        load(path)
    pretend(channels=16)
    with pytest.raises(ValueError, match=r"is no 'mini': .* is \(.*\), not \("):
        load(path)
