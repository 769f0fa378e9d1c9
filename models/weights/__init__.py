"""Trained weights: those that ship with the project, and reading and writing of any others.

A file is safetensors (no pickle, so nothing in it can run); its metadata carries the network's configuration as JSON,
the SHA-256 of the tensors, and notes on how it was made. A model card in Markdown lies beside each shipped file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from models.cluster_net import ClusterNet, ClusterNetConfig

__all__ = ["available", "load", "read_metadata", "resolve", "save"]

_FOLDER = Path(__file__).parent


def available() -> list[str]:
    """Names of the weights that ship with the project."""
    return sorted(path.stem for path in _FOLDER.glob("*.safetensors"))


def resolve(name_or_path: str | Path) -> Path:
    """The file behind a shipped name or a path.

    Raises:
        FileNotFoundError: neither a shipped name nor a file.
    """
    shipped = _FOLDER / f"{name_or_path}.safetensors"
    if str(name_or_path) in available():
        return shipped
    path = Path(name_or_path)
    if not path.is_file():
        raise FileNotFoundError(
            f"weights '{name_or_path}' are neither a file nor a shipped name; shipped are: {', '.join(available())}"
        )
    return path


def load(name_or_path: str | Path = "small", *, device: str | torch.device = "cpu") -> ClusterNet:
    """A network with its weights, in float32 and in evaluation mode.

    Raises:
        FileNotFoundError: no such file or name.
        ValueError: no safetensors, no configuration in it, tensors damaged or of another network.
    """
    path = resolve(name_or_path)
    metadata = read_metadata(path)
    if "config" not in metadata:
        raise ValueError(f"{path} holds tensors but no configuration of a network of ours")
    try:
        config = ClusterNetConfig.from_values(json.loads(metadata["config"]))
        network = ClusterNet(config)
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds a configuration that is none of ours: {error}") from None
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    if metadata.get("sha256") != digest(tensors):
        raise ValueError(f"{path} is damaged: its tensors do not have the SHA-256 written beside them")
    expected = network.state_dict()
    counters = {name for name in expected if name.endswith("num_batches_tracked")}
    missing, extra = expected.keys() - tensors.keys() - counters, tensors.keys() - expected.keys()
    for names, what in ((missing, "lacks"), (extra, "has besides")):
        if names:
            raise ValueError(
                f"{path} is not of network '{config.name}': it {what} {len(names)} tensors, as {min(names)}"
            )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise ValueError(
                f"{path} is no '{config.name}': {name} is {tuple(tensor.shape)}, not {tuple(expected[name].shape)}"
            )
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False)
    return network.to(device).eval()


def save(network: ClusterNet, path: Path, *, notes: dict[str, str] | None = None) -> None:
    """Write the weights in half precision with the network's configuration; the file appears when it is complete."""
    tensors = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    metadata = {**(notes or {}), "config": json.dumps(asdict(network.config)), "sha256": digest(tensors)}
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    partial.write_bytes(to_bytes(tensors, metadata=metadata))
    partial.replace(path)


def read_metadata(path: Path) -> dict[str, str]:
    """What a file says about itself.

    Raises:
        ValueError: not a safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from None


def digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over names, shapes and bytes of tensors, in the order of their names."""
    state = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        state.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        state.update(tensor.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return state.hexdigest()
